# SPDX-License-Identifier: GPL-2.0-only
"""Evaluate pytest's command line options: which guests, how many, how to rerun a test."""

from __future__ import annotations

import dataclasses
import datetime
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness import adaptors, options, paths, serial
from harness.adaptors import AdaptedSuite
from harness.guest import GuestSpec, accel
from harness.guest.image import check as check_image
from harness.guest.image import uncompressed
from harness.options import GUEST_ARCH, GUEST_MEMORY, parse_variables
from harness.plugin.fleet import Fleet, guest_count, hold_seconds
from harness.progress import Progress


def fleet(config: pytest.Config) -> tuple[Fleet, str]:
    """Return the requested guests, not booted yet, and why their accelerator was chosen."""
    get = config.getoption
    image = Path(get("kernel")).absolute()
    fields = {option.guest: get(_dest(option)) for option in options.OPTIONS if option.guest}
    fields["arch"] = fields["arch"] or GUEST_ARCH
    fields["memory"] = fields["memory"] or GUEST_MEMORY
    if not get("guest_booter"):  # other booters may accept other kinds of files
        check_image(image, fields["arch"])
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    folder = Path(get("guest_folder") or paths.state("pytest", stamp)).absolute()
    kind, reason = accel.choose(get("accel") or "auto", Progress(quiet=True))
    spec = GuestSpec(
        image=image,
        folder=folder / "guests",
        accel=kind,
        cwd=config.invocation_params.dir,
        vmlinux=uncompressed(image),
        modules=_modules(get("guest_modules"), image),
        booter=tuple(shlex.split(get("guest_booter"))),
        hold=hold_seconds(config),
        environment=parse_variables(get("guest_env")),
        append=(
            *" ".join(get("guest_append")).split(),
            *boot_arguments(config.args),
        ),
        **fields,
    ).with_disks(get("guest_disk"))
    if not get("guest_disk"):
        kinds = {suite.kind for suite in map(adaptors.parse, config.args) if suite}
        spec = dataclasses.replace(
            spec, empty_disks=max((adaptors.adaptor(kind).disks for kind in kinds), default=())
        )
    if get("repeat") > 1:  # runs are compared, and what is random at boot is the same in copies
        spec = dataclasses.replace(spec, no_snapshot=True)
    # Without --guests, xdist's -n is the number of guests.
    wanted = str(get("guests"))
    if wanted in ("", "auto"):
        wanted = str(get("numprocesses") or "auto")
    if spec.hold:
        wanted = "1"  # the user inspects one guest at a time
    named = config.args if all("::" in arg for arg in config.args) else []
    return Fleet(spec, guest_count(wanted, spec, len(named))), reason


def required_options(config: pytest.Config) -> dict[str, str]:
    """Return the kernel options that the guest's kernel must have.  Raises pytest.UsageError."""
    file = config.getoption("kernel_options")
    try:
        return serial.read(Path(file), dict[str, str]) if file else {}
    except (OSError, serial.DamagedError) as error:
        raise pytest.UsageError(
            f'--kernel-options {file}: {error}\nhint: write JSON such as {{"CONFIG_X": "y"}}'
        ) from error


def first(config: pytest.Config) -> list[str]:
    """Return the ids of the tests to run before all others.  Raises pytest.UsageError."""
    file = config.getoption("run_first")
    try:
        return Path(file).read_text(encoding="utf-8").splitlines() if file else []
    except (OSError, UnicodeDecodeError) as error:
        raise pytest.UsageError(f"--run-first {file}: {error}") from error


def deadlines(config: pytest.Config, factor: float) -> Callable[[str], float]:
    """Return the function that gives the deadline of a test, 0 if it has none of its own.

    It is that in the file of --deadlines, or the longer one that a test asks for itself.
    ``factor`` is how much slower than native the guests are.  Raises pytest.UsageError.
    """
    places = adaptors.places(config.getoption("suite_folder"))
    file: str | None = config.getoption("deadlines")
    usual: float = config.getoption("test_timeout")
    try:
        known = serial.read(Path(file), dict[str, float]) if file else {}
    except (OSError, serial.DamagedError) as error:
        raise pytest.UsageError(f"--deadlines {file}: {error}") from error

    def seconds(test: str) -> float:
        suite = adaptors.parse(test)
        # Without a deadline for tests (0), none gets one.
        if test in known or not usual or suite is None:
            return known.get(test, 0.0)
        place = places.get(suite.name, config.rootpath)
        asked = adaptors.adaptor(suite.kind).seconds(suite.what, suite.item, place)
        return factor * max(usual, asked)

    return seconds


def command(config: pytest.Config, spec: GuestSpec) -> list[str]:
    """Return the command that runs a test alone in a new guest of this kind, from any folder.

    The caller appends the test's absolute path and name.
    """
    argv = [sys.executable, "-m", "pytest", "--kernel", str(spec.image), "--guests", "1"]
    for option in options.OPTIONS:
        value = config.getoption(_dest(option)) if option.carried else ()
        if option.carried and value != option.form["default"]:
            values = value if isinstance(value, list) else [value]
            for each in values:
                argv += [option.pytest] if each is True else [option.pytest, str(each)]
    if config.getoption("guest_modules"):
        argv += ["--guest-modules", str(spec.modules)]
    for name, text in spec.environment:
        argv += ["--guest-env", f"{name}={text}"]
    for disk in config.getoption("guest_disk"):
        place = str(Path(disk).absolute()) if options.is_disk_file(disk) else disk
        argv += ["--guest-disk", place]
    return [*argv, "--rootdir", str(config.rootpath)]


def _dest(option: options.CommandOption) -> str:
    """Return the name of an option in pytest's config."""
    return option.pytest.lstrip("-").replace("-", "_")


def _modules(given: str | None, image: Path) -> Path | None:
    """Return the modules folder: the given one, or that of a kept kernel."""
    folder = Path(given).absolute() if given else image.with_name("modules")
    if given and not any(folder.glob("*/modules.dep")):
        raise pytest.UsageError(f"--guest-modules {given}: it contains no RELEASE/modules.dep")
    return folder if folder.is_dir() else None


def counters(spec: GuestSpec) -> list[str]:
    """Return the names of the counters that a kept kernel has, as below /sys/kernel/debug/gcov."""
    notes = spec.image.with_name("gcno")
    return [str(file.relative_to(notes).with_suffix(".gcda")) for file in notes.rglob("*.gcno")]


def boot_arguments(words: Sequence[str]) -> tuple[str, ...]:
    """Return the kernel arguments that the suites need."""
    suites = [suite for suite in map(adaptors.parse, words) if suite]
    if len(words) > 1:  # a guest runs more than a single item or subtest
        suites = [AdaptedSuite(kind, "") for kind in dict.fromkeys(s.kind for s in suites)]
    found = (adaptors.adaptor(s.kind).boot_arguments(s.item, s.subtest) for s in suites)
    return tuple(argument for arguments in found for argument in arguments)
