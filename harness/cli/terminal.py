# SPDX-License-Identifier: GPL-2.0-only
"""How results look on a terminal: verdicts, times, and tables that fit a narrow one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

import rich.console
import rich.table
from rich.text import Text

from harness.model import Outcome, Verdict
from harness.progress import clock
from harness.text import printable_text

WIDE = 200  # width of the output without a terminal
_GAP = 2  # spaces between two columns
_NARROWEST = 6  # minimum width of a column

OUTCOME_COLOURS = {Outcome.PASS: "green", Outcome.SKIP: "yellow", Outcome.XFAIL: "yellow"}
VERDICT_COLOURS = {
    **dict.fromkeys((Verdict.GOOD, Verdict.FOUND), "green"),
    **dict.fromkeys((Verdict.UNTESTABLE, Verdict.NONE, Verdict.UNDECIDED), "yellow"),
    **dict.fromkeys((Verdict.BAD, Verdict.UNPROVEN), "red"),
}

TableCell = str | Text
Line = str | Text | rich.table.Table


def verdict_text(verdict: Verdict) -> Text:
    """Return a verdict in capitals."""
    return Text(verdict.upper(), f"bold {VERDICT_COLOURS[verdict]}")


def ended_text(ended: str, verdict: str) -> Text:
    """Return how a run in the history ended: its verdict, or why there is none."""
    if ended == "done" or verdict != Verdict.NONE:
        return Text(verdict, style=VERDICT_COLOURS.get(Verdict(verdict), ""))
    return Text(ended, style={"running": "cyan", "interrupted": "yellow"}.get(ended, "red"))


def ago(when: float) -> str:
    """Return how long ago ``when`` was, in minutes, hours or days."""
    seconds = max(0.0, time.time() - when)
    for unit, length in (("d", 86400), ("h", 3600)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit} ago"
    return f"{clock(seconds)} ago"


def show(lines: Iterable[Line]) -> None:
    """Print lines and tables to standard output."""
    out = console()
    for line in lines:
        if isinstance(line, rich.table.Table):
            out.print(line)
        else:
            out.print(printable_text(Text.assemble(line), lines=True), soft_wrap=True)


def console() -> rich.console.Console:
    """Return standard output; without a terminal, tables are wide instead of cut."""
    out = rich.console.Console(highlight=False, markup=False)
    if not out.is_terminal:
        out.width = WIDE
    return out


def table(
    titles: Sequence[str],
    rows: Sequence[Sequence[TableCell]],
    soft: Mapping[str, int],
    spare: Sequence[str] = (),
    whole: Sequence[str] = (),
    on: rich.console.Console | None = None,
) -> rich.table.Table:
    """Build a table that fits a console (default: standard output), with one line per row.

    ``soft`` columns may shrink to the given number of characters.  On a terminal their text is cut;
    elsewhere, and in the ``whole`` columns, it is wrapped.  If that is not enough, the ``spare``
    columns are dropped one after another.
    """
    on = on or console()
    widths = _widths(titles, rows, soft, spare, on.width)
    grid = rich.table.Table(box=None, pad_edge=False, header_style="dim")
    for place, width in widths.items():
        cut = titles[place] not in (whole if on.is_terminal else soft)
        overflow: rich.console.OverflowMethod = "ellipsis" if cut else "fold"
        grid.add_column(Text(titles[place]), width=width, no_wrap=cut, overflow=overflow)
    for row in rows:
        grid.add_row(*(printable_text(Text.assemble(row[place])) for place in widths))
    return grid


def _widths(
    titles: Sequence[str],
    rows: Sequence[Sequence[TableCell]],
    soft: Mapping[str, int],
    spare: Sequence[str],
    room: int,
) -> dict[int, int]:
    """Return the width of each column that fits, by its index."""
    wanted = [
        max(Text.assemble(cell).cell_len for cell in (title, *(row[place] for row in rows)))
        for place, title in enumerate(titles)
    ]
    least = [
        min(width, max(soft.get(title, width), len(title)))
        for title, width in zip(titles, wanted, strict=True)
    ]
    kept, going = list(range(len(titles))), list(spare)
    while going and sum(least[place] + _GAP for place in kept) - _GAP > room:
        name = going.pop(0)
        kept.remove(next(place for place in kept if titles[place] == name))
    left = room - sum(least[place] + _GAP for place in kept) + _GAP
    widths = {}
    for place in kept:
        more = min(wanted[place] - least[place], left)
        if left < 0:  # no column is left to drop: shrink the soft ones further
            more = max(left, _NARROWEST - least[place]) if titles[place] in soft else 0
        widths[place], left = least[place] + more, left - more
    return widths
