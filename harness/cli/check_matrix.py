# SPDX-License-Identifier: GPL-2.0-only
"""The matrix of a check, and its findings."""

from __future__ import annotations

from pathlib import Path

import rich.console
import rich.table
from rich.text import Text

from harness.check import report
from harness.cli.terminal import verdict_text
from harness.model import WHOLE_SERIES, Cell, CellState, CheckMatrix, Severity, Verdict
from harness.progress import clock
from harness.publish import sentences
from harness.text import printable

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


def show(matrix: CheckMatrix, folder: Path) -> None:
    """Print a matrix: the table first, then the findings by patch."""
    terminal = rich.console.Console().is_terminal
    width = None if terminal else _WIDE
    console = rich.console.Console(highlight=False, soft_wrap=True, markup=False, width=width)
    console.print(table(matrix, console.width))
    _print_findings(console, matrix)
    _print_notes(console, matrix)
    for line in sentences.not_compiled(matrix.lines, _FINDINGS):
        console.print(printable(line), style="yellow")
    if text := sentences.executed(matrix.lines):
        console.print(text)
    for line in sentences.unexecuted(matrix.lines, _FINDINGS):
        console.print(printable(line), style="yellow")
    if why := matrix.trouble:
        console.print(f"\n{printable(why, lines=True)}", style="red")
    limit = sentences.extent(matrix.lines) if matrix.verdict is Verdict.GOOD else ""
    what = f"{limit} {printable(matrix.name)} on {matrix.base} in {clock(matrix.seconds)}"
    console.print("\n", verdict_text(matrix.verdict), what, sep="")
    console.print(f"evidence {folder}")


def table(matrix: CheckMatrix, width: int) -> rich.table.Table:
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


def _print_findings(console: rich.console.Console, matrix: CheckMatrix) -> None:
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


def _print_notes(console: rich.console.Console, matrix: CheckMatrix) -> None:
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
