# SPDX-License-Identifier: GPL-2.0-only
"""What a run is asked to do: the command line over series.toml over [tool.harness]."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import paths
from harness import series as series_stage
from harness.errors import UsageError
from harness.guest import facts
from harness.guest.hold import LONG
from harness.model import Series
from harness.series import SeriesRequest
from harness.settings import Settings

BOOTS = Path(__file__).parent / "suite"  # for kernels that have no suites: does it boot at all?

_ASSIGNMENT = re.compile(r"(CONFIG_)?[A-Z][A-Z0-9_]*=.*")


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything a run needs to know; ``folder`` is where relative suites start.

    ``sides`` says whether the base is tested too; without a series there is only a base.  Timeouts
    are in seconds of real hardware; emulation stretches them.  ``memory`` is in MiB.  0 or ""
    leaves a choice to us.  ``environment`` holds the guests' environment
    variables.  ``notes`` are lines for people about how the series was understood.
    ``hold``: a person at the terminal enters guests that are held.
    ``search_base``: nobody but perhaps the series named ``base``, and it may have to be found.
    ``reruns`` is how often what looks broken is run again on each kernel; ``strict``: failures that
    the base has too count as bad, and so do flaky tests.
    """

    folder: Path
    series: Series | None
    kernel: str
    tree: Path | None
    base: str
    fragments: tuple[str, ...]
    assignments: tuple[str, ...]
    suites: tuple[str, ...]
    pytest_args: tuple[str, ...] = ()
    with_base: bool = True
    guests: str = "auto"
    accel: str = "auto"
    memory: int = 0
    cpus: int = 0
    disks: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    boot_timeout: float = 30.0
    test_timeout: float = 60.0
    run_timeout: float = 0.0
    arch: str = ""
    llvm: bool = False
    jobs: int = 0
    refresh: bool = False
    out: Path | None = None
    notes: tuple[str, ...] = ()
    search_base: bool = False
    hold: bool = False
    reruns: int = 2
    strict: bool = False

    @property
    def fragment_folders(self) -> tuple[Path, ...]:
        """Where a fragment's name is looked for, first the series', then the project's."""
        own = (self.series.folder,) if self.series else ()
        return (*own, self.folder / "kconfigs")


def mebibytes(text: str) -> int:
    """Read a size such as 1024, 1024M or 2G as MiB."""
    match = re.fullmatch(r"(\d+)([MG]?)", text.strip().upper().removesuffix("B").removesuffix("I"))
    if match is None:
        raise UsageError(f"{text!r} is not an amount of memory", hint="for instance 1024M or 2G")
    return int(match[1]) * (1024 if match[2] == "G" else 1)


def _here(path: str) -> str:
    """Take a path as seen from where it was typed."""
    return str(Path(path).absolute())


def split(words: list[str]) -> tuple[str, tuple[str, ...]]:
    """Tell the one word for the series from ``CONFIG_X=y`` words on the command line."""
    rest, assignments = tell(words)
    if len(rest) > 1:
        raise UsageError("one series at a time", hint="give one folder, mbox or range")
    return "".join(rest), assignments


def tell(words: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell the series from ``CONFIG_X=y`` words; several words are the files of one series."""
    assignments = tuple(word for word in words if _ASSIGNMENT.fullmatch(word))
    rest = tuple(word for word in words if word not in assignments)
    if len(rest) > 1 and not all(paths.expanded(word).is_file() for word in rest):
        raise UsageError(
            f"one series at a time, not {len(rest)}: {' '.join(rest)}",
            hint="name suites with --suite PATH, pytest's own arguments after --",
        )
    return rest, assignments


def wish(options: dict[str, Any], settings: Settings) -> SeriesRequest:
    """Say what is taken of that which a word names; a range is one of the tree asked for."""
    tree = str(paths.expanded(options["tree"]).absolute()) if options["tree"] else settings.tree
    return SeriesRequest(
        tree=settings.folder / paths.expanded(tree) if tree else None,
        base=options["base"],
        pick=options.get("pick", ""),
        revision=options.get("revision", 0),
    )


def find_series(
    words: str | Sequence[str], settings: Settings, wanted: SeriesRequest | None = None
) -> Series:
    """Load the series that words on the command line mean: see series.load, or below patches/.

    Without a word it is [tool.harness]'s or the only one there is.
    """
    words = [words] if words and isinstance(words, str) else words
    if words:
        named = settings.folder / "patches" / words[0]
        below = len(words) == 1 and not Path(words[0]).exists() and words[0] and named.is_dir()
        return series_stage.load(named if below else words, wanted)
    if settings.series:
        return series_stage.load(settings.folder / settings.series)
    found = sorted(path.parent for path in settings.folder.glob("patches/*/series.toml"))
    if len(found) == 1:
        return series_stage.load(found[0])
    names = ", ".join(path.name for path in found) or "none"
    there = settings.folder / "patches"
    raise UsageError(
        f"no series given, and {there} does not hold exactly one (found: {names})",
        hint="harness run PATH-OF-SERIES, or --no-series to test a kernel as it is",
    )


def _suite(word: str, folder: Path, homes: Sequence[str]) -> str:
    """Name a suite as seen from ``folder``; what is typed elsewhere is looked for there first.

    Below ``homes``, the folders of the suites that are run anyway, a suite's own name will do.
    """
    file, colons, test = word.partition("::")
    here = Path(file).absolute()
    if not (folder / file).exists() and not here.exists():
        found = [f"{home}/{file}" for home in homes if (folder / home / file).exists()]
        return f"{found[0]}{colons}{test}" if found else word
    if Path.cwd() == folder or not here.exists():
        return word
    return f"{here}{colons}{test}"


def _suites(words: Sequence[str], settings: Settings, series: Series | None) -> tuple[str, ...]:
    """Give the suites that are named, or else the series', or the project's."""
    own = series.suites if series else ()
    homes = (*own, *settings.suites)
    return tuple(_suite(word, settings.folder, homes) for word in words) or own or settings.suites


def see_suites(plan: Plan) -> None:
    """Refuse suites that are not there.  Raises UsageError."""
    for suite in plan.suites:
        file = Path(suite.partition("::")[0])
        if not (plan.folder / file).exists():
            where = "" if file.is_absolute() else f" (looked in {plan.folder})"
            raise UsageError(
                f"no such test file or folder: {file}{where}",
                hint="give an existing path with --suite",
            )


def _pytest_args(options: dict[str, Any]) -> list[str]:
    """Give the options of ``harness run`` that are pytest's (with our plugin), as it takes them."""
    named = {f"--{name}": options.get(name) for name in ("repeat", "retry")}
    words = [
        word
        for name, value in {"-k": options["k"], **named}.items()
        if value
        for word in (name, value)
    ]
    if options.get("hold") or options.get("hold_for"):
        words += ["--hold-for", f"{options['hold_for'] or LONG:g}"]
    flags = {"--allow-flaky": "allow_flaky", "--vmcore": "vmcore"}
    return [*words, *(flag for flag, name in flags.items() if options.get(name))]


def _named(rest: Sequence[str]) -> list[str]:
    """Give the variables that are named behind --, where pytest has an option for them, too."""
    parts = [word.partition("=") for word in rest]
    apart = [then for word, then in itertools.pairwise(rest) if word == "--guest-env"]
    return apart + [value for name, equals, value in parts if equals and name == "--guest-env"]


def _tree(options: dict[str, Any], settings: Settings, series: Series | None) -> str:
    """Name the tree: commits are for the one they are in."""
    if series and series.repo and not options["kernel"]:
        return str(series.repo)
    tree = options["tree"]
    return str(paths.expanded(tree).absolute()) if tree else settings.tree


def make(options: dict[str, Any], settings: Settings, rest: tuple[str, ...]) -> Plan:
    """Put a plan together from the command line's options (argparse's names) and the settings."""
    words, assignments = tell(options["words"])
    series = None if options["no_series"] else find_series(words, settings, wish(options, settings))
    # What the command line names is seen from where it was typed, the settings' from their file.
    tree = _tree(options, settings, series)
    # A release in series.toml is the series' own wish; a tree on the command line beats it.
    base = options["base"] or (series.base if series and tree else "") or settings.base
    return Plan(
        folder=settings.folder,
        series=series,
        kernel=options["kernel"] or (series.kernel if series else "") or settings.kernel,
        tree=settings.folder / paths.expanded(tree) if tree and not options["kernel"] else None,
        base=base or "HEAD",
        fragments=((series.kconfig if series else ()) or settings.kconfig)
        + tuple(options["kconfig"]),
        assignments=assignments,
        suites=_suites(options["suite"], settings, series),
        pytest_args=(*_pytest_args(options), *rest),
        with_base=not options["patched_only"],
        guests=options["guests"] or (str(settings.guests) if settings.guests else "auto"),
        accel=options["accel"] or settings.accel,
        memory=mebibytes(options["memory"] or settings.memory or "0"),
        cpus=options["cpus"] or settings.cpus,
        disks=tuple(disk if disk == "null_blk" else _here(disk) for disk in options["disk"]),
        environment=facts.variables([*options.get("guest_env", []), *_named(rest)]),
        boot_timeout=options["boot_timeout"],
        test_timeout=options["test_timeout"],
        run_timeout=options["timeout"],
        arch=options["arch"] or settings.arch,
        llvm=options["llvm"] or settings.llvm,
        jobs=options["jobs"],
        refresh=options["refresh"],
        out=Path(options["out"]).absolute() if options["out"] else None,
        reruns=options.get("rerun", 0),
        strict=bool(options.get("strict")),
        hold=bool(options.get("hold") and not options.get("hold_for")),
        search_base=not options["base"] and bool(series and (series.base or not settings.base)),
    )
