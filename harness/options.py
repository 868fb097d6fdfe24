# SPDX-License-Identifier: GPL-2.0-only
"""The table of options of the command line and of our pytest plugin.

Every pytest process loads this module, also in guests, so it imports little.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.architectures import ARCHITECTURES
from harness.errors import UsageError
from harness.model.plan import Plan

if TYPE_CHECKING:
    from harness.model import Run

GUEST_MEMORY = 1024  # MiB
GUEST_ARCH = "x86_64"
NULL_DISK = "null_blk"  # a disk that the guest's kernel provides
LONG_HOLD = 7 * 24 * 3600.0  # seconds; the user ends such a hold at the terminal
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # a name that shells accept
_ARCHITECTURES = " or ".join(entry.name for entry in ARCHITECTURES)


def count(text: str) -> int:
    """Parse a whole number, 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number (0 or more), got {text!r}")
    return int(text)


def number_or_auto(text: str) -> str:
    """Check a number of guests: 1 or more, "auto" or empty."""
    if text not in ("", "auto") and not (text.isdecimal() and int(text)):
        what = f"expected a whole number (1 or more) or auto, got {text!r}"
        raise argparse.ArgumentTypeError(what)
    return text


def mebibytes(text: str) -> int:
    """Parse a size such as 1024, 1024M or 2G; return it in MiB."""
    match = re.fullmatch(r"(\d+)([MG]?)", text.strip().upper().removesuffix("B").removesuffix("I"))
    if match is None:
        what = f"expected a memory size such as 1024M or 2G, got {text!r}"
        raise argparse.ArgumentTypeError(what)
    return int(match[1]) * (1024 if match[2] == "G" else 1)


def is_disk_file(word: str) -> bool:
    """Whether a value of --disk is a file: not null_blk, and not a size such as 4G."""
    return word != NULL_DISK and not re.fullmatch(r"\d+[MGmg]", word)


def suite_of(kind: str) -> Callable[[str], str]:
    """Return the parser of an option that names suites of a kind (harness.adaptors)."""
    return lambda text: f"{kind}:{text}"


def items_of(kind: str) -> Callable[[str], str]:
    """Return the parser of an option whose value is a suite, or SUITE:ITEM."""

    def parse(text: str) -> str:
        name, colon, item = text.rpartition(":")
        return f"{kind}:{name}::{item}" if colon else f"{kind}:{text}"

    return parse


def path(text: str) -> Path | None:
    """Parse a path; None for an empty string, for example from an unset shell variable."""
    return Path(text) if text else None


def parse_variables(arguments: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Parse the arguments of --guest-env: NAME=VALUE, or NAME for its value on this machine.

    Raises UsageError for an invalid name, and for a variable that is not set on this machine.
    """
    variables: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not _VARIABLE.fullmatch(name):
            valid = re.sub(r"^(?=[0-9])|[^A-Za-z0-9_]", "_", name) or "NAME"
            raise UsageError(
                f"--guest-env: {name!r} is not a valid variable name",
                hint=f"--guest-env {shlex.quote(valid + equals + value)}",
            )
        if not equals and name not in os.environ:
            raise UsageError(
                f"--guest-env {name}: {name} is not set on this machine",
                hint=f"to set it in the guests: --guest-env {name}=VALUE",
            )
        variables[name] = value if equals else os.environ[name]
    return tuple(variables.items())


@dataclasses.dataclass(frozen=True)
class CommandOption:
    """An option of the command line, of pytest with our plugin, or of both.

    ``verbs`` accept it as ``flag``; their help lists it under ``group``.  ``plan`` is the field of
    the Plan that it sets, and its default is that field's default; ``default`` is for options
    without a field.  An option whose default is False is a switch; one whose default is a tuple
    may be given several times.

    ``pytest`` is its name in pytest; a name with a single dash is one of pytest's own options.
    ``guest`` is the field of the GuestSpec that it sets, ``setting`` its key in [tool.harness].
    ``repeated``: it changes what is tested, so the command that repeats a run on another machine
    includes it.  ``carried``: it changes what a test sees, so the command that runs one test alone
    includes it.  ``short_for``: another way to write this option, which commands use instead.
    """

    flag: str = ""
    help: str = ""
    verbs: tuple[str, ...] = ()
    group: str = ""
    metavar: str = ""
    type: Callable[[str], object] | None = None
    choices: tuple[str, ...] = ()
    plan: str = ""
    default: object = ""
    pytest: str = ""
    guest: str = ""
    setting: str = ""
    repeated: bool = False
    carried: bool = False
    short_for: str = ""

    @property
    def dest(self) -> str:
        """The attribute of argparse's namespace that holds its value."""
        return self.plan or self.flag.lstrip("-").replace("-", "_")

    @property
    def initial(self) -> object:
        """The value when the option is not given."""
        return _DEFAULTS[self.plan] if self.plan else self.default

    @property
    def form(self) -> dict[str, Any]:
        """The keyword arguments of argparse's add_argument."""
        form: dict[str, Any] = {"help": self.help, "default": self.initial}
        if self.initial is False:
            return {**form, "action": "store_true"}
        if isinstance(self.initial, tuple):
            form |= {"action": "append", "default": list(self.initial)}
        optional = {"metavar": self.metavar, "type": self.type, "choices": self.choices}
        return form | {name: value for name, value in optional.items() if value}


_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Plan)}

_RUN_VERBS = ("run", "matrix")  # a matrix has no options that its axes stand for
_SUITE_VERBS = ("run", "check", "bisect", "mutate")
_NAMED_VERBS, _TEST_VERBS = (*_SUITE_VERBS, "shell"), (*_SUITE_VERBS, "matrix")
_SERIES_VERBS, _KERNEL_VERBS = (*_NAMED_VERBS, "series", "fetch"), (*_TEST_VERBS, "shell")
_PAIR_VERBS = (*_RUN_VERBS, "check")  # these test a patched kernel and its base
_HISTORY_VERBS = (*_TEST_VERBS, "compare", "history", "runs", "show", "gc", "report")
_CLUSTER_VERBS = (*_TEST_VERBS, "compare")  # these can do their trials on other machines

SERIES, KERNEL, TESTS, GUESTS, RESULTS = "series", "kernel", "tests", "guests", "results"
CLUSTER = "other machines"

# fmt: off
OPTIONS = (
    CommandOption("--no-series", "test the kernel without a series", _NAMED_VERBS, SERIES,
        plan="no_series"),
    CommandOption("--pick", "choose one of several series by subject or message id",
        _SERIES_VERBS, SERIES, metavar="WORDS", plan="pick"),
    CommandOption("--revision", "use revision N, [PATCH vN] (default: the newest)",
        _SERIES_VERBS, SERIES, metavar="N", type=int, plan="revision"),
    CommandOption("--trust", "allow scripts and build rules that the series changes to run",
        _KERNEL_VERBS, SERIES, plan="trust"),
    CommandOption("--kernel", "a kernel release: 7.2.13, or 7.2 for the newest 7.2.x",
        _NAMED_VERBS, KERNEL, metavar="X.Y[.Z]", plan="kernel", setting="kernel",
        repeated=True),
    CommandOption("--refresh", "check for a newer X.Y.Z now (default: once a day)",
        _KERNEL_VERBS, KERNEL, plan="refresh"),
    CommandOption("--tree", "your own kernel git tree", (*_SERIES_VERBS, "matrix"), KERNEL,
        metavar="DIR", type=path, plan="tree", setting="tree"),
    CommandOption("--base", "the base commit in --tree", _SERIES_VERBS, KERNEL,
        metavar="REF", plan="base", setting="base"),
    CommandOption("--kconfig", "an additional config fragment, such as debug",
        _NAMED_VERBS, KERNEL, metavar="FILE|NAME", plan="fragments", setting="kconfig",
        repeated=True),
    CommandOption("--no-follow", "do not add the options that the series needs to be compiled",
        _KERNEL_VERBS, KERNEL, plan="no_follow", repeated=True),
    CommandOption("--coverage", "count which lines of the series each test executes",
        _PAIR_VERBS, KERNEL, plan="coverage", repeated=True),
    CommandOption("--arch", f"the architecture: {_ARCHITECTURES}", _KERNEL_VERBS, KERNEL,
        metavar="ARCH", plan="arch", pytest="--guest-arch", guest="arch", setting="arch",
        repeated=True, carried=True),
    CommandOption("--llvm", "build with clang and lld", _NAMED_VERBS, KERNEL,
        plan="llvm", setting="llvm", repeated=True),
    CommandOption("--jobs", "number of make jobs (default: one per CPU)",
        _KERNEL_VERBS, KERNEL, metavar="N", type=int, plan="jobs"),
    CommandOption("--patched-only", "do not test the base", _PAIR_VERBS, TESTS,
        plan="patched_only", repeated=True),
    CommandOption("--suite", "pytest files or folders to run in the guest, or KIND:WHAT",
        _SUITE_VERBS, TESTS, metavar="PATH", plan="suites", setting="suites", repeated=True),
    CommandOption("--program",
        "a command to run as a test: exit status 0 passes, 4 skips; or a folder of programs",
        _SUITE_VERBS, TESTS, metavar="COMMAND", type=suite_of("program"), plan="suites",
        short_for="--suite"),
    CommandOption("--kselftest", "kernel self-tests, such as filesystems/statmount",
        _SUITE_VERBS, TESTS, metavar="TARGET[:TEST]", type=items_of("kselftest"), plan="suites",
        short_for="--suite"),
    CommandOption("--kunit", "KUnit suites, by name, such as 'ext4*'",
        _SUITE_VERBS, TESTS, metavar="GLOB", type=suite_of("kunit"), plan="suites",
        short_for="--suite"),
    CommandOption("--blktests", "tests of a blktests checkout, such as DIR:nvme/003",
        _SUITE_VERBS, TESTS, metavar="DIR[:GROUP|:TEST]", type=items_of("blktests"),
        plan="suites", short_for="--suite"),
    CommandOption("--fstests", "tests of an fstests checkout, such as DIR:generic/quick",
        _SUITE_VERBS, TESTS, metavar="DIR[:GROUP|:TEST]", type=items_of("fstests"),
        plan="suites", short_for="--suite"),
    CommandOption("--no-suggest",
        "do not add the tree's own tests to a series that has no suites", _RUN_VERBS, TESTS,
        plan="no_suggest", repeated=True),
    CommandOption("--affected",
        "run first the tests that executed what differs from the revision counted last",
        ("run",), TESTS, plan="affected"),
    CommandOption("--only-affected", "run only these tests", ("run",), TESTS, plan="only_affected"),
    CommandOption("-k", "run only tests that match EXPR, as in pytest", _TEST_VERBS, TESTS,
        metavar="EXPR", plan="keyword", pytest="-k", repeated=True),
    CommandOption("--test-timeout",
        "deadline per test in seconds, extended under emulation (default: %(default)g)",
        _TEST_VERBS, TESTS, metavar="S", type=float, plan="test_timeout",
        pytest="--test-timeout", repeated=True, carried=True),
    CommandOption("--timeout",
        "deadline for all tests of one kernel in seconds, never extended (default: none)",
        _TEST_VERBS, TESTS, metavar="S", type=float, plan="run_timeout", pytest="--run-timeout"),
    CommandOption("--repeat", "run each test N times in its guest", _TEST_VERBS, TESTS,
        metavar="N", type=count, plan="repeat", pytest="--repeat", repeated=True),
    CommandOption("--fresh", "run each test, class or module in a guest of its own", _TEST_VERBS,
        TESTS, choices=("test", "class", "module"), plan="fresh", pytest="--fresh", repeated=True),
    CommandOption("--retry",
        "run a failing test again, alone, up to N times (default: once after a crash)",
        _PAIR_VERBS, TESTS, metavar="N", type=count, plan="retry", pytest="--retry",
        repeated=True),
    CommandOption("--rerun",
        "rerun suspected regressions N times on both kernels (default: %(default)s)",
        (*_PAIR_VERBS, "compare"), TESTS, metavar="N", type=count, plan="reruns", repeated=True),
    CommandOption("--allow-flaky", "do not count flaky tests as bad", _PAIR_VERBS, TESTS,
        plan="allow_flaky", pytest="--allow-flaky", repeated=True),
    CommandOption("--ignore-splat",
        "a kind of splat that does not count, such as 'page allocation failure'", _TEST_VERBS,
        TESTS, metavar="KIND", plan="ignored_splats", pytest="--ignore-splat",
        repeated=True, carried=True),
    CommandOption("--strict", "count flaky tests, and failures that the base has too, as bad",
        _RUN_VERBS, TESTS, plan="strict", repeated=True),
    CommandOption("--accel", "how QEMU runs guest code (default: KVM where it works)",
        _KERNEL_VERBS, GUESTS, choices=("auto", "kvm", "tcg"), plan="accel", pytest="--accel",
        setting="accel", carried=True),
    CommandOption("--guests", "number of parallel guests, or auto (from CPUs and memory)",
        _KERNEL_VERBS, GUESTS, metavar="N", type=number_or_auto, plan="guests",
        pytest="--guests", setting="guests"),
    CommandOption("--memory", f"memory per guest, such as 2G (default: {GUEST_MEMORY}M)",
        _KERNEL_VERBS, GUESTS, metavar="SIZE", type=mebibytes, plan="memory",
        pytest="--guest-memory", guest="memory", setting="memory", repeated=True, carried=True),
    CommandOption("--cpus", "CPUs per guest (default: 2, or 1 under emulation)",
        _KERNEL_VERBS, GUESTS, metavar="N", type=int, plan="cpus", pytest="--guest-cpus",
        guest="cpus", setting="cpus", repeated=True, carried=True),
    CommandOption("--disk",
        "an additional disk: a file, null_blk, or a size such as 4G for an empty disk",
        _KERNEL_VERBS, GUESTS, metavar="FILE|SIZE", plan="disks", pytest="--guest-disk"),
    CommandOption("--guest-env",
        "an environment variable for the guests (default VALUE: its value on the host)",
        _KERNEL_VERBS, GUESTS, metavar="NAME[=VALUE]", plan="environment", pytest="--guest-env",
        repeated=True),
    CommandOption("--no-snapshot", "boot every guest, instead of copying a saved one",
        _KERNEL_VERBS, GUESTS, plan="no_snapshot", pytest="--no-snapshot", guest="no_snapshot",
        repeated=True, carried=True),
    CommandOption("--boot-timeout",
        "deadline per boot in seconds, extended under emulation (default: %(default)g)",
        _KERNEL_VERBS, GUESTS, metavar="S", type=float, plan="boot_timeout",
        pytest="--boot-timeout", guest="boot_deadline", carried=True),
    CommandOption("--hold",
        "keep the guest of a failing test as it is, and open a shell in it on this terminal",
        ("run",), GUESTS, plan="hold", pytest="--hold"),
    CommandOption("--hold-for", "keep the guest of a failing test for S seconds; needs no terminal",
        ("run",), GUESTS, metavar="S", type=float, plan="hold_for", pytest="--hold-for"),
    CommandOption("--vmcore", "dump the memory of a kernel that panics or hangs, for drgn",
        _RUN_VERBS, GUESTS, plan="vmcore", pytest="--vmcore", guest="vmcore"),
    CommandOption("--out", "the folder for the evidence (default: a new one)",
        (*_TEST_VERBS, "compare"), RESULTS, metavar="DIR", type=path, plan="out"),
    CommandOption("--db", "the history database (see docs/history.md)",
        _HISTORY_VERBS, RESULTS, metavar="URL|FILE", plan="db", setting="db"),
    CommandOption("--on",
        "do the trials on workers: local:N processes here, or those of a Dask scheduler",
        _CLUSTER_VERBS, CLUSTER, metavar="local:N|ADDRESS", plan="on"),
    CommandOption("--tls", "encrypt, with the certificates in Dask's configuration",
        _CLUSTER_VERBS, CLUSTER, plan="tls"),
    CommandOption("--insecure",
        "allow an unencrypted scheduler on another machine: whoever reaches it can run code here",
        _CLUSTER_VERBS, CLUSTER, plan="insecure"),
    # Options of pytest only.
    CommandOption(pytest="--kernel", metavar="IMAGE", default=None, help="run tests on this image"),
    CommandOption(pytest="--guest-append", metavar="WORDS", default=(), carried=True,
        help="additional arguments for the kernel's command line"),
    CommandOption(pytest="--guest-write", metavar="FILE=TEXT", default=(), carried=True,
        help="text to write into a guest's file before its tests, such as a sysctl"),
    CommandOption(pytest="--guest-modules", metavar="DIR",
        help="the guest's /lib/modules (default: the folder modules next to IMAGE)"),
    CommandOption(pytest="--guest-scale", metavar="F", type=float, default=1.0,
        help="multiply all deadlines by this factor", guest="scale", carried=True),
    CommandOption(pytest="--guest-folder", metavar="DIR", help="folder for consoles and results"),
    CommandOption(pytest="--suite-folder", metavar="SUITE=DIR", default=(), carried=True,
        help="where the tests of a suite such as kselftest:TARGET were built"),
    CommandOption(pytest="--guest-booter", metavar="COMMAND", carried=True,
        help="a program to run instead of virtme-run (for tests)"),
    CommandOption(pytest="--run-first", metavar="FILE",
        help="a file with ids of tests, one a line, to run before all others"),
    CommandOption(pytest="--only-first", default=False, help="run only those of --run-first"),
    CommandOption(pytest="--deadlines", metavar="FILE",
        help="a JSON file of seconds after which single tests are ended, as measured in the guest"),
    CommandOption(pytest="--kernel-options", metavar="FILE",
        help="a JSON file of config options that the running kernel must have"),
)
# fmt: on


def of_verb(verb: str) -> tuple[CommandOption, ...]:
    """Return the options that a verb accepts."""
    return tuple(option for option in OPTIONS if verb in option.verbs)


def plugin_options() -> tuple[CommandOption, ...]:
    """Return the options that our plugin adds to pytest."""
    return tuple(option for option in OPTIONS if option.pytest.startswith("--"))


def words(plan: Plan, options: Iterable[CommandOption] = OPTIONS) -> list[str]:
    """Return the ``harness`` options that turn the default plan into ``plan``."""
    return [
        word
        for option in options
        if option.flag and option.plan and not option.short_for
        for word in _words(option.flag, option, plan)
    ]


def pytest_words(plan: Plan) -> list[str]:
    """Return the pytest options that turn the default plan into ``plan``."""
    return [
        word
        for option in OPTIONS
        if option.pytest and option.plan
        for word in _words(option.pytest, option, plan)
    ]


def _words(name: str, option: CommandOption, plan: Plan) -> Iterator[str]:
    value = getattr(plan, option.plan)
    if value == option.initial:
        return
    if value is True:
        yield name
        return
    for item in value if isinstance(value, tuple) else (value,):
        text = f"{item:.12g}" if isinstance(item, float) else str(item)
        yield from (f"{name}={text}",) if text.startswith("-") else (name, text)


def command(plan: Plan, verb: str = "run") -> list[str]:
    """Return the command line that requests ``plan``."""
    rest = ["--", *plan.pytest_args] if plan.pytest_args else []
    return ["harness", verb, *plan.series_words, *plan.assignments, *words(plan), *rest]


def repeat_command(plan: Plan) -> str:
    """Return the command that repeats the run, with its evidence in a new folder."""
    return shlex.join(command(dataclasses.replace(plan.typed or plan, out=None)))


def single_test_command(run: Run, test: str) -> str:
    """Return the command that runs one test on the judged kernel; empty for an old run.json."""
    if run.plan is None:
        return ""
    default = Plan()
    plan = dataclasses.replace(
        run.plan,
        suites=(test,),
        patched_only=run.series is not None,
        keyword=default.keyword,
        repeat=default.repeat,
        retry=default.retry,
        reruns=default.reruns,
        strict=default.strict,
        out=None,
    )
    return shlex.join(command(plan))
