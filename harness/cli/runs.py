# SPDX-License-Identifier: GPL-2.0-only
"""``harness runs`` and ``harness show``: list the runs in the history, and show one again."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import rich.table
from rich.text import Text

from harness import errors, paths, publish, serial
from harness.cli import terminal
from harness.cli.terminal import Line, ago, ended_text
from harness.history import lookup
from harness.history.histories import RunRow, SideRow
from harness.history.lookup import PastRun
from harness.progress import Progress, clock
from harness.publish import sentences
from harness.results import store
from harness.results.regression import settled

#: The file that each verb writes into its folder when it ends, and its reader.
RESULTS: dict[str, Callable[[Path], object]] = {
    store.RUN: store.load_run,
    store.CHECK: store.load_check,
    store.COMPARISON: store.load_comparison,
    store.BISECTION: store.load_bisection,
    store.MUTATION: store.load_mutation,
    store.MATRIX: store.load_matrix,
}
_FILES = {
    publish.PAGE: "page",
    "junit.xml": "junit",
    store.CHECK: "matrix",
    store.COMPARISON: "compared",
    store.BISECTION: "bisected",
    store.MUTATION: "mutants",
    store.MATRIX: "cells",
    "splats.txt": "splats",
}
_FAILURES = 20  # maximum number of failures shown for a run whose folder was removed


def run_runs(options: argparse.Namespace, progress: Progress) -> int:
    """List runs, or pin one."""
    from harness.history import database, run_queries

    word = options.pin or options.unpin
    rows: tuple[RunRow, ...]
    with database.opened(options.db) as (connection, trouble):
        if trouble:
            progress.say(f"history: {trouble}")
        if word:
            rows = (_only(run_queries.named(connection, word), word),)
        else:
            matching = run_queries.matching(options.series, options.verb, bad=options.bad)
            rows = run_queries.runs(connection, matching, max(0, options.last) or None)
    if word:
        rows = (database.pin(options.db, rows[0].id, pinned=bool(options.pin)),)
    if options.json:
        print(json.dumps({"runs": serial.to_json(rows)}, indent=1))
    elif rows:
        terminal.show([_table(rows)])
    else:
        filtered = options.series or options.verb or options.bad
        print("no matching runs" if filtered else "no runs yet; `harness run` makes one")
    return errors.GOOD


def _only(rows: tuple[RunRow, ...], word: str) -> RunRow:
    """Return the only run that ``word`` matches.  Raises UsageError if none or several match."""
    if len(rows) == 1:
        return rows[0]
    if not rows:
        raise errors.UsageError(
            f"the history has no run {word!r}", hint="`harness runs` to list them"
        )
    lines = (f"  {row.id}  {_began(row)}  {row.series or row.verb}" for row in rows)
    raise errors.UsageError(
        f"{len(rows)} runs begin with {word!r}",
        hint="more characters of the id",
        details="\n".join(lines),
    )


def _table(rows: tuple[RunRow, ...]) -> rich.table.Table:
    titles = ("run", "when", "verb", "verdict", "series", "kernel", "tests", "took", "folder")
    lines: list[tuple[terminal.TableCell, ...]] = []
    for row in rows:
        revision = f"v{row.version} {row.series}" if row.series else ""
        took = "" if row.seconds is None else clock(row.seconds)
        kernel = row.release or row.source.partition(" ")[0]
        tests = ", ".join(f"{number} {outcome}" for outcome, number in row.counts.items())
        which = (row.id, ago(row.began), row.verb, ended_text(row.ended, row.verdict))
        folder = "there" if row.there else "gone" if row.folder else "none"
        if row.pinned:
            folder = "pinned" if row.there else "pinned, gone"
        lines.append((*which, revision, kernel, tests, took, folder))
    spare = ("folder", "kernel", "verb", "took")
    return terminal.table(titles, lines, {"series": 24, "tests": 16}, spare)


def run_show(options: argparse.Namespace, progress: Progress) -> int:
    """Show a run, from its folder if that is complete, otherwise from the history."""
    found = lookup.past_run(options.which, options.db)
    if found is not None and _is_complete(Path(found.folder)):
        return _show_past(found, options.json)
    return _show_recorded(options, progress)


def _show_past(run: RunRow | PastRun, as_json: bool) -> int:
    """Show a run whose folder is complete."""
    if not as_json:
        print(f"run {run.id}, {_began(run)}: {run.command}")
    return _show_folder(Path(run.folder), as_json)


def _show_recorded(options: argparse.Namespace, progress: Progress) -> int:
    """Show a run that needs the whole history, or is not in it."""
    from harness.history import database, run_queries
    from harness.publish.html import run_page

    folder = paths.expanded(options.which).absolute()
    complete = _is_complete(folder)
    with database.opened(options.db) as (connection, trouble):
        if trouble:
            progress.say(f"history: {trouble}")
        rows = run_queries.named(connection, options.which)
        if not (rows or complete) and run_page.is_unfinished(folder):
            raise errors.UsageError(
                f"the run in {options.which} did not finish, and is not in the history",
                hint=f"harness report {shlex.quote(options.which)}",
            )
        row = None if complete and not rows else _only(rows, options.which)
        sides = run_queries.sides(connection, row.id) if row else ()
    if row is None:  # the run was never recorded here
        return _show_folder(folder, options.json)
    if row.there and _is_complete(Path(row.folder)) and row.ended != "running":
        return _show_past(row, options.json)
    if options.json:
        print(json.dumps({"run": serial.to_json(row), "sides": serial.to_json(sides)}, indent=1))
    else:
        terminal.show(_recorded(row, sides))
    return errors.GOOD


def _is_complete(folder: Path) -> bool:
    """Whether a folder contains the file that a run writes when it ends."""
    return any((folder / name).is_file() for name in RESULTS)


def _show_folder(folder: Path, as_json: bool) -> int:
    """Show the contents of a folder as its verb did, or print its JSON."""
    name = next(name for name in RESULTS if (folder / name).is_file())
    if as_json:
        RESULTS[name](folder)  # raises UsageError for a damaged file
        print((folder / name).read_text(encoding="utf-8", errors="replace"))
        return errors.GOOD
    _show_result(folder, name)
    for file, what in _FILES.items():
        if (folder / file).is_file():
            print(f"{what:<9} {folder / file}")
    return errors.GOOD


def _show_result(folder: Path, name: str) -> None:
    """Print the result in a folder; what prints it is imported for this kind of result only."""
    if name == store.RUN:  # its folder may have been moved, for example from a CI system
        from harness.cli import run_summary

        run_summary.show(dataclasses.replace(settled(store.load_run(folder)), folder=folder))
    elif name == store.CHECK:
        from harness.cli import check_matrix

        check_matrix.show(store.load_check(folder), folder)
    elif name == store.COMPARISON:
        from harness.cli import differences

        differences.show(store.load_comparison(folder))
    elif name == store.MUTATION:
        from harness.mutate import report

        mutation = dataclasses.replace(store.load_mutation(folder), folder=folder)
        print(report.text(mutation), end="")
    elif name == store.MATRIX:
        from harness.cli import matrix

        matrix.show(store.load_matrix(folder))
    else:
        print((folder / "bisect.txt").read_text(encoding="utf-8"), end="")


def _began(row: RunRow | PastRun) -> str:
    return time.strftime("%F %R", time.localtime(row.began))


def _recorded(row: RunRow, sides: tuple[SideRow, ...]) -> Iterator[Line]:
    """Yield what the history recorded about a run."""
    yield f"run {row.id} on {row.host}, {_began(row)}: {row.command}"
    grid = rich.table.Table(box=None, pad_edge=False, header_style="dim")
    for title in ("kernel", "release", "build", "boot", "tests"):
        grid.add_column(title, no_wrap=title != "tests")
    for side in sides:
        tests = ", ".join(f"{number} {outcome}" for outcome, number in side.counts.items())
        build = sentences.built(side.seconds, side.warnings, reused=side.reused)
        boot = sentences.booted(side.boots, cached=side.cached)
        grid.add_row(side.name, side.release, build, boot, tests or side.error or "none")
    if sides:
        yield grid
        failures = sides[-1].failures
        if failures:
            yield f"\n{len(failures)} not good on the {sides[-1].name} kernel:"
        for name, outcome, message in failures[:_FAILURES]:
            yield f"  {outcome:<8} {name}  {message}"
        if len(failures) > _FAILURES:
            yield f"  ... and {len(failures) - _FAILURES} more: harness show {row.id} --json"
    ended = ended_text(row.ended, row.verdict)
    what = f" {row.series or row.source}{f' on {row.source}' if row.series and row.source else ''}"
    took = f" after {clock(row.seconds)}" if row.seconds is not None else ""
    error = f": {row.error}" if row.error else ""
    yield Text.assemble("\n", (ended.plain.upper(), f"bold {ended.style}"), f"{what}{took}{error}")
    folder = row.folder if row.there else f"gone ({row.folder})" if row.folder else "none"
    yield f"evidence {folder}{' (pinned)' if row.pinned else ''}"
