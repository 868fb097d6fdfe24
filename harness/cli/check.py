# SPDX-License-Identifier: GPL-2.0-only
"""``harness check``: check a series patch by patch before it is merged, and show the matrix."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
from pathlib import Path

import rich.console
import rich.table
from rich.text import Text

from harness import check, errors, git, history, paths, settings
from harness.check import CheckRequest, checks, commits, report
from harness.cli import ci
from harness.cli.parser import typed_plan
from harness.cli.terminal import verdict_text
from harness.lab import plan
from harness.model import WHOLE_SERIES, Cell, CellState, Matrix, Plan, Series, Severity
from harness.progress import Progress, clock
from harness.results import store
from harness.text import printable

MOST = 50  # maximum number of tests that are run before all others
_WIDE = 160  # columns without a terminal
_SUBJECT = 16  # minimum number of columns for a subject
_FINDINGS = 8  # findings of a cell that are shown in full; check.json contains all
_STATES = {
    CellState.GOOD: ("ok", "green"),
    CellState.SAME: ("same", "dim"),
    CellState.UNKNOWN: ("?", "yellow"),
    CellState.NONE: ("", ""),
}
_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Check a series, and show the matrix."""
    if options.no_series or options.patched_only:
        raise errors.UsageError(
            "a check needs a series and its base", hint="harness run to test a single kernel"
        )
    by_name = [entry.name for entry in checks.CHECKS if not entry.default]
    more = [name for name in by_name if getattr(options, name)]
    wanted = checks.choose(options.only, options.skip, more)
    request = CheckRequest(wanted, trust=options.trust, strict=options.strict)
    if options.b4:
        progress.quiet, progress.live = True, False
    with contextlib.ExitStack() as stack:
        stack.enter_context(paths.in_use())
        if options.b4 and not options.out:  # b4 keeps the result, so no folder is needed
            options.out = stack.enter_context(paths.scratch(paths.cache() / "b4")) / "check"
        planned, request = _plan(options, request)
        if options.previous:
            previous = plan.find_series(options.previous, settings.load(Path.cwd()))
            request = dataclasses.replace(request, previous=previous)
        if request.wants("tests"):
            first = _failed_before(request.previous or planned.series, options.db, progress)
            request = dataclasses.replace(request, first=first)
        recording = stack.enter_context(
            history.recording(
                options.verb, options.command, progress.say, db=options.db, series=planned.series
            )
        )
        matrix, folder = check.check(planned, request, progress, options.command, recording.at)
        report.write(matrix, folder)
        recording.finish(matrix.verdict, error=matrix.trouble)
    if options.b4:
        print(json.dumps(report.b4(matrix), indent=1))
        return matrix.verdict.exit_code
    if options.json:
        print(json.dumps(store.check_table(matrix), indent=1))
    else:
        show(matrix, folder)
    ci.tell(folder)
    return matrix.verdict.exit_code


def _plan(options: argparse.Namespace, request: CheckRequest) -> tuple[Plan, CheckRequest]:
    """Return what to check: mails, a mail from a pipe, or commits."""
    project = settings.load(Path.cwd())
    typed = typed_plan(options)
    if options.b4 and not typed.series_words:  # b4 pipes a patch in, without arguments
        typed = dataclasses.replace(typed, series_words=("-",))
    piped = "-" in typed.series_words
    own = True  # the user's own commits are trusted
    try:
        planned = plan.complete(typed, project)
    except errors.SeriesError:  # when checking the whole series, b4 pipes in the cover letter
        span = commits.reviewed_by_b4(Path(os.environ.get("B4_TRACKING_FILE", "")))
        if not (options.b4 and span):
            raise
        own = piped = False  # b4 created these commits from someone's mails
        series = tuple(span if word == "-" else word for word in typed.series_words)
        planned = plan.complete(dataclasses.replace(typed, series_words=series), project)
    if planned.series is not None:
        request = request.of_commits(planned.series, trust=own or options.trust)
    if piped and not (typed.kernel or typed.tree or planned.tree):
        # A piped mail is for the tree of the working directory.
        tree = git.top_of(Path.cwd()) or Path.cwd()
        planned = dataclasses.replace(planned, tree=tree, kernel="")
    if not planned.fragments:  # a kernel without any fragment does not boot
        planned = dataclasses.replace(planned, fragments=("base",))
    return planned, request


def _failed_before(series: Series | None, db: str, progress: Progress) -> tuple[str, ...]:
    """Return the tests that failed when this series, or an earlier revision, was last tested."""
    try:
        return history.last_failures(series, db=db)[:MOST] if series else ()
    except errors.HarnessError as error:  # the check works without this list
        progress.say(f"past failures are unknown: {error.what}")
        return ()


def show(matrix: Matrix, folder: Path) -> None:
    """Print a matrix: the table first, then the findings by patch."""
    terminal = rich.console.Console().is_terminal
    width = None if terminal else _WIDE
    console = rich.console.Console(highlight=False, soft_wrap=True, markup=False, width=width)
    console.print(table(matrix, console.width))
    _print_findings(console, matrix)
    _print_notes(console, matrix)
    if why := matrix.trouble:
        console.print(f"\n{printable(why, lines=True)}", style="red")
    what = f" {printable(matrix.name)} on {matrix.base} in {clock(matrix.seconds)}"
    console.print("\n", verdict_text(matrix.verdict), what, sep="")
    console.print(f"evidence {folder}")


def table(matrix: Matrix, width: int) -> rich.table.Table:
    """Build the table: a row per patch, or a row per check if that would be too wide."""
    used = [
        name
        for name in matrix.checks
        if any(one.check == name and one.state is not CellState.NONE for one in matrix.cells)
    ]
    room = width - sum(max(len(name), 5) + 2 for name in used) - 8
    across = room >= _SUBJECT
    grid = rich.table.Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    numbers = [*(row.number for row in matrix.rows), WHOLE_SERIES]
    labels = {row.number: f"{row.number}/{len(matrix.rows)}" for row in matrix.rows}
    labels[WHOLE_SERIES] = "whole"
    if not across:
        grid.add_column("check", no_wrap=True)
        for number in numbers:
            grid.add_column(labels[number], no_wrap=True)
        for name in used:
            grid.add_row(name, *(_cell_text(matrix.cell(number, name)) for number in numbers))
        return grid
    grid.add_column("patch", no_wrap=True)
    for name in used:
        grid.add_column(name, no_wrap=True)
    for row in matrix.rows:
        subject = row.subject if len(row.subject) <= room else f"{row.subject[: room - 1]}…"
        labels[row.number] += f" {subject}"
    for number in numbers:
        cells = (_cell_text(matrix.cell(number, name)) for name in used)
        grid.add_row(Text(printable(labels[number])), *cells)
    return grid


def _cell_text(cell: Cell) -> Text:
    """Return a cell's text: ok, or the numbers of new and (in parentheses) inherited findings."""
    if cell.state in _STATES and not (cell.state is CellState.SAME and cell.findings):
        word, colour = _STATES[cell.state]
        return Text(word, style=colour)
    wrong = [one for one in cell.findings if one.level is not Severity.NOTE]
    new = [one for one in wrong if one in cell.entering]
    old = len(wrong) - len(new)
    word = str(len(new)) if new else ""
    if old:
        word += f"{'+' if new else ''}({old})"
    colour = "red" if cell.state is CellState.BAD else "yellow"
    return Text(word, style=colour)


def _print_findings(console: rich.console.Console, matrix: Matrix) -> None:
    """List the findings under the patch that introduces them."""
    last: tuple[int, str] | None = None
    shown = 0
    for cell, finding in matrix.findings:
        if (cell.patch, cell.check) != last:
            last, shown = (cell.patch, cell.check), 0
            title = f"patch {cell.patch}" if cell.patch else "whole"
            console.print(f"\n{title}, {cell.check}:", style="bold")
        shown += 1
        if shown <= _FINDINGS:
            line = printable(report.line(finding, cell.patch), lines=True)
            console.print(f"  {line}", style=_COLOURS[finding.level])
        elif shown == _FINDINGS + 1:
            console.print(f"  ... {len(cell.entering) - _FINDINGS} more, see check.json")


def _print_notes(console: rich.console.Console, matrix: Matrix) -> None:
    """List the notes of cells, such as why a check was not run."""
    notes: dict[tuple[str, str], list[str]] = {}
    for cell in matrix.cells:
        if cell.note:
            patch = str(cell.patch) if cell.patch else "whole"
            notes.setdefault((cell.check, cell.note), []).append(patch)
    if notes:
        console.print()
    for (name, note), patches in notes.items():
        line = f"{name} ({', '.join(patches)}): {printable(note, lines=True)}"
        console.print(line, style="dim")
