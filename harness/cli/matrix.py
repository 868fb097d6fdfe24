# SPDX-License-Identifier: GPL-2.0-only
"""A check's matrix on the terminal: the table first, then what was found, by patch."""

from __future__ import annotations

from pathlib import Path

import rich.console
import rich.table
import rich.text

from harness.check.report import line
from harness.cli.terminal import verdict_text
from harness.model import WHOLE_SERIES, Cell, CellState, Matrix, Severity
from harness.progress import clock
from harness.progress.seen import seen

PLAIN = 160  # columns where there is no terminal
LEAST = 16  # of a subject
SHOWN = 8  # findings of a cell that are shown in full; check.json has all
_LOOKS = {
    CellState.GOOD: ("ok", "green"),
    CellState.SAME: ("same", "dim"),
    CellState.UNKNOWN: ("?", "yellow"),
    CellState.NONE: ("", ""),
}
_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def show(matrix: Matrix, place: Path) -> None:
    """Print to standard output."""
    terminal = rich.console.Console().is_terminal
    width = None if terminal else PLAIN
    console = rich.console.Console(highlight=False, soft_wrap=True, markup=False, width=width)
    console.print(table(matrix, console.width))
    findings(console, matrix)
    notes(console, matrix)
    if why := matrix.trouble:
        console.print(f"\n{seen(why, lines=True)}", style="red")
    said = f"{seen(matrix.name)} on {matrix.base} in {clock(matrix.seconds)}"
    console.print("\n", verdict_text(matrix.verdict), f" {said}", sep="")
    console.print(f"evidence {place}")


def table(matrix: Matrix, width: int) -> rich.table.Table:
    """Make the table: patches down and checks across, or the other way where that is too wide."""
    used = [
        name
        for name in matrix.checks
        if any(one.check == name and one.state is not CellState.NONE for one in matrix.cells)
    ]
    room = width - sum(max(len(name), 5) + 2 for name in used) - 8
    across = room >= LEAST
    grid = rich.table.Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    numbers = [*(row.number for row in matrix.rows), WHOLE_SERIES]
    labels = {row.number: f"{row.number}/{len(matrix.rows)}" for row in matrix.rows}
    labels[WHOLE_SERIES] = "whole"
    if not across:
        grid.add_column("check", no_wrap=True)
        for number in numbers:
            grid.add_column(labels[number], no_wrap=True)
        for name in used:
            grid.add_row(name, *(text(matrix.cell(number, name)) for number in numbers))
        return grid
    grid.add_column("patch", no_wrap=True)
    for name in used:
        grid.add_column(name, no_wrap=True)
    for row in matrix.rows:
        subject = row.subject if len(row.subject) <= room else f"{row.subject[: room - 1]}…"
        labels[row.number] += f" {subject}"
    for number in numbers:
        cells = (text(matrix.cell(number, name)) for name in used)
        grid.add_row(rich.text.Text(seen(labels[number])), *cells)
    return grid


def text(cell: Cell) -> rich.text.Text:
    """Write a cell: ok, or how many findings the patch brings and how many it inherits."""
    if cell.state in _LOOKS and not (cell.state is CellState.SAME and cell.findings):
        word, colour = _LOOKS[cell.state]
        return rich.text.Text(word, style=colour)
    wrong = [one for one in cell.findings if one.level is not Severity.NOTE]
    new = [one for one in wrong if one in cell.entering]
    old = len(wrong) - len(new)
    word = str(len(new)) if new else ""
    if old:
        word += f"{'+' if new else ''}({old})"
    colour = "red" if cell.state is CellState.BAD else "yellow"
    return rich.text.Text(word, style=colour)


def findings(console: rich.console.Console, matrix: Matrix) -> None:
    """List what was found, where it enters."""
    last: tuple[int, str] | None = None
    shown = 0
    for cell, one in matrix.findings:
        name = (cell.patch, cell.check)
        if name != last:
            last, shown = name, 0
            title = f"patch {cell.patch}" if cell.patch else "whole"
            console.print(f"\n{title}, {cell.check}:", style="bold")
        shown += 1
        if shown <= SHOWN:
            console.print(f"  {seen(line(one, cell.patch), lines=True)}", style=_COLOURS[one.level])
        elif shown == SHOWN + 1:
            console.print(f"  ... {len(cell.entering) - SHOWN} more, see check.json")


def notes(console: rich.console.Console, matrix: Matrix) -> None:
    """Say what was not done, and why, and what else is to be known of a cell."""
    said: dict[tuple[str, str], list[str]] = {}
    for one in matrix.cells:
        if one.note:
            name = str(one.patch) if one.patch else "whole"
            said.setdefault((one.check, one.note), []).append(name)
    if said:
        console.print()
    for (check, note), names in said.items():
        console.print(f"{check} ({', '.join(names)}): {seen(note, lines=True)}", style="dim")
