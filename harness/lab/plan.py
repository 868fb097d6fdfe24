# SPDX-License-Identifier: GPL-2.0-only
"""What a run is asked to do: the command line over series.toml over [tool.harness]."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from harness import paths
from harness import series as series_stage
from harness.errors import UsageError
from harness.guest.hold import LONG
from harness.guest.spec import parse_variables
from harness.model import Plan, Series
from harness.options import mebibytes
from harness.series import SeriesRequest, trust
from harness.settings import Settings

BOOTS = Path(__file__).parent / "suite"  # for kernels that have no suites: does it boot at all?

_ASSIGNMENT = re.compile(r"(CONFIG_)?[A-Z][A-Z0-9_]*=.*")


def _here(path: str) -> str:
    """Take a path as seen from where it was typed."""
    return str(Path(path).absolute())


def tell(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell the series from ``CONFIG_X=y`` words; several words are the files of one series."""
    assignments = tuple(word for word in words if _ASSIGNMENT.fullmatch(word))
    rest = tuple(word for word in words if word not in assignments)
    if len(rest) > 1 and not all(paths.expanded(word).is_file() for word in rest):
        raise UsageError(
            f"one series at a time, not {len(rest)}: {' '.join(rest)}",
            hint="name suites with --suite PATH, pytest's own arguments after --",
        )
    return rest, assignments


def wish(typed: Plan, settings: Settings) -> SeriesRequest:
    """Say what is taken of that which a word names; a range is one of the tree asked for."""
    tree = typed.tree or settings.tree
    return SeriesRequest(
        tree=_tree(tree, settings) if tree else None,
        base=typed.base,
        pick=typed.pick,
        revision=typed.revision,
    )


def _tree(tree: str | Path, settings: Settings) -> Path:
    """Name a tree: one that was typed (a Path) is seen from here, the settings' from their file."""
    path = paths.expanded(tree)
    return path.absolute() if isinstance(tree, Path) else settings.folder / path


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


def _variables(typed: Plan) -> tuple[str, ...]:
    """Read the variables for the guests, with those behind --: pytest has an option for them too.

    Each gets the value that it has now.  Raises UsageError.
    """
    rest = typed.pytest_args
    parts = [word.partition("=") for word in rest]
    apart = [value for name, value in itertools.pairwise(rest) if name == "--guest-env"]
    joined = [value for name, equals, value in parts if equals and name == "--guest-env"]
    variables = parse_variables([*typed.environment, *apart, *joined])
    return tuple(f"{name}={value}" for name, value in variables)


def _memory(settings: Settings) -> int:
    try:
        return mebibytes(settings.memory or "0")
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"[tool.harness] memory: {error}", hint='memory = "2G"') from error


def complete(typed: Plan, settings: Settings) -> Plan:
    """Complete what the command line gave from series.toml, then from [tool.harness].

    Raises UsageError where they do not say enough, SeriesError for a series that is no use.
    """
    series = None
    if not typed.no_series:
        series = find_series(typed.series_words, settings, wish(typed, settings))
    tree = typed.tree or settings.tree
    if series and series.repo and not typed.kernel:
        tree = series.repo  # commits are for the tree they are in
    # A release in series.toml is the series' own wish; a tree on the command line beats it.
    base = typed.base or (series.base if series and tree else "") or settings.base
    return dataclasses.replace(
        typed,
        typed=typed,
        folder=settings.folder,
        series=series,
        kernel=typed.kernel or (series.kernel if series else "") or settings.kernel,
        tree=_tree(tree, settings) if tree and not typed.kernel else None,
        base=base or "HEAD",
        search_base=not typed.base and bool(series and (series.base or not settings.base)),
        fragments=((series.kconfig if series else ()) or settings.kconfig) + typed.fragments,
        suites=_suites(typed.suites, settings, series),
        guests=typed.guests or str(settings.guests or "auto"),
        accel=typed.accel or settings.accel or "auto",
        memory=typed.memory or _memory(settings),
        cpus=typed.cpus or settings.cpus,
        arch=typed.arch or settings.arch,
        llvm=typed.llvm or settings.llvm,
        disks=tuple(disk if disk == "null_blk" else _here(disk) for disk in typed.disks),
        environment=_variables(typed),
        out=typed.out.absolute() if typed.out else None,
        hold=typed.hold and not typed.hold_for,
        hold_for=typed.hold_for or (LONG if typed.hold else 0.0),
    )


def trusted(plan: Plan) -> Plan:
    """Add notes on how the series was understood, and which programs it runs on the host.

    Raises UsageError for a series that would run its own programs and is not trusted.
    """
    if plan.series is None:
        return plan
    return dataclasses.replace(
        plan, notes=(*plan.series.notes, *trust.require(plan.series, plan.trust))
    )
