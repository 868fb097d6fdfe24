# SPDX-License-Identifier: GPL-2.0-only
"""Build a plan from the command line, series.toml and [tool.harness], and commands from a plan."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import adaptors, options, paths
from harness import series as series_stage
from harness.errors import UsageError
from harness.model import Plan, Series
from harness.series import SeriesRequest, trust
from harness.settings import Settings

BOOTS = Path(__file__).parent / "suite"  # the default suite: does the kernel boot?


def series_request(typed: Plan, settings: Settings) -> SeriesRequest:
    """Return which of several series is wanted, and the tree that has the commits of a range."""
    tree = typed.tree or settings.tree
    return SeriesRequest(
        tree=_tree(tree, settings) if tree else None,
        base=typed.base,
        pick=typed.pick,
        revision=typed.revision,
    )


def _tree(tree: str | Path, settings: Settings) -> Path:
    """Return a tree's path: relative to the working directory if typed, else to the settings."""
    path = paths.expanded(tree)
    return path.absolute() if isinstance(tree, Path) else settings.folder / path


def find_series(
    words: str | Sequence[str], settings: Settings, wanted: SeriesRequest | None = None
) -> Series:
    """Load the series that the command line names: as series.load does, or by a name in patches/.

    The default is the series in [tool.harness], or the only one in patches/.
    """
    patches = settings.folder / "patches"
    words = [words] if words and isinstance(words, str) else words
    if words:
        named = patches / words[0]
        below = len(words) == 1 and not Path(words[0]).exists() and words[0] and named.is_dir()
        return series_stage.load(named if below else words, wanted)
    if settings.series:
        return series_stage.load(settings.folder / settings.series, wanted)
    folders = sorted(path.parent for path in patches.glob("*/series.toml"))
    if len(folders) == 1:
        return series_stage.load(folders[0], wanted)
    names = ", ".join(path.name for path in folders) or "none"
    raise UsageError(
        f"no series given, and {patches} does not contain exactly one (found: {names})",
        hint="harness run PATH-OF-SERIES, or --no-series to test a kernel as it is",
    )


def _suite(word: str, folder: Path, homes: Sequence[str]) -> str:
    """Return a suite's path relative to ``folder``; ``word`` is relative to the working directory.

    ``homes`` are the default suites: a file in one of them can be given by its name alone.
    """
    if adaptors.parse(word):
        return word if Path.cwd() == folder else adaptors.absolute(word)
    file, colons, test = word.partition("::")
    here = Path(file).absolute()
    if not (folder / file).exists() and not here.exists():
        matches = [f"{home}/{file}" for home in homes if (folder / home / file).exists()]
        return f"{matches[0]}{colons}{test}" if matches else word
    if Path.cwd() == folder or not here.exists():
        return word
    return f"{here}{colons}{test}"


def _suites(words: Sequence[str], settings: Settings, series: Series | None) -> tuple[str, ...]:
    """Return the suites of the command line, else of the series, else of the project."""
    own = series.suites if series else ()
    homes = (*own, *settings.suites)
    return tuple(_suite(word, settings.folder, homes) for word in words) or own or settings.suites


def with_tests(plan: Plan) -> Plan:
    """Return a plan that has suites: without any, its kernels are only booted."""
    return plan if plan.suites else dataclasses.replace(plan, suites=(str(BOOTS),))


def require_suites(plan: Plan) -> None:
    """Raise UsageError for a suite that does not exist."""
    adaptors.check(plan.suites, plan.folder)
    paths.require_utf8(plan.folder, "the project's folder")
    for suite in plan.suites:
        paths.require_utf8(suite, "the path of a suite")
        if adaptors.parse(suite):
            continue
        file = Path(paths.own_suite(suite).partition("::")[0])
        if not (plan.folder / file).exists():
            where = "" if file.is_absolute() else f" (looked in {plan.folder})"
            raise UsageError(
                f"no such test file or folder: {file}{where}",
                hint="give an existing path with --suite",
            )


def _variables(typed: Plan) -> tuple[str, ...]:
    """Return the guests' variables with their current values, including those after --.

    Raises UsageError for a name without a value.
    """
    rest = typed.pytest_args
    parts = [word.partition("=") for word in rest]
    apart = [value for name, value in itertools.pairwise(rest) if name == "--guest-env"]
    joined = [value for name, equals, value in parts if equals and name == "--guest-env"]
    variables = options.parse_variables([*typed.environment, *apart, *joined])
    return tuple(f"{name}={value}" for name, value in variables)


def _memory(settings: Settings) -> int:
    try:
        return options.mebibytes(settings.memory or "0")
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"[tool.harness] memory: {error}", hint='memory = "2G"') from error


def complete(typed: Plan, settings: Settings) -> Plan:
    """Complete the plan of the command line from series.toml, then from [tool.harness].

    Raises UsageError if there is no series or options contradict each other, SeriesError if the
    series cannot be used.
    """
    if typed.reruns not in (0, Plan.reruns) and (typed.patched_only or typed.no_series):
        other = "--patched-only" if typed.patched_only else "--no-series"
        raise UsageError(
            f"--rerun compares with the base, which {other} leaves out",
            hint=f"--retry {typed.reruns}, which runs a failing test again on the same kernel",
        )
    from harness import splat  # takes longer than to show a series

    series = None
    if not typed.no_series:
        series = find_series(typed.series_words, settings, series_request(typed, settings))
    tree = typed.tree or settings.tree
    if series and series.repo and not typed.kernel:
        tree = series.repo  # the series is a range of commits in this tree
    # The base in series.toml is a commit, so it is used only with a tree.
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
        disks=tuple(str(Path(d).absolute()) if options.is_disk_file(d) else d for d in typed.disks),
        environment=_variables(typed),
        ignored_splats=tuple(sorted(splat.known_kinds(typed.ignored_splats))),
        out=typed.out.absolute() if typed.out else None,
        hold=typed.hold and not typed.hold_for,
        hold_for=typed.hold_for or (options.LONG_HOLD if typed.hold else 0.0),
    )


def trusted(plan: Plan) -> Plan:
    """Add notes: how the series was read, and which of its programs will run on the host.

    Raises UsageError if there are such programs and --trust was not given.
    """
    if plan.series is None:
        return plan
    return dataclasses.replace(
        plan, notes=(*plan.series.notes, *trust.require(plan.series, plan.trust))
    )


def guests_beside_make(plan: Plan, most: int = sys.maxsize, *, idle: bool = False) -> int:
    """Return how many guests may run while make does: --guests, or one for every two processors.

    Starting a guest takes as much processor time as thirty tests.  ``idle``: make has little to do,
    so that each processor may have a guest.
    """
    if plan.guests.isdecimal():
        return int(plan.guests)
    processors = len(os.sched_getaffinity(0))
    return max(1, min(most, processors if idle else processors // 2))


def make_jobs(plan: Plan) -> int:
    """Return how many things are compiled at once: ``plan.jobs``, or one per available CPU."""
    return plan.jobs or len(os.sched_getaffinity(0))
