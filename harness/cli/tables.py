# SPDX-License-Identifier: GPL-2.0-only
"""Tables that can be read on a narrow terminal: a row stays a line, what matters least goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import rich.console
import rich.table
from rich.text import Text

from harness.progress import printable_text

WIDE = 200  # columns where there is no terminal
_GAP = 2  # columns between two
_SLIVER = 6  # columns of a column that gives all it can

Cell = str | Text


def console() -> rich.console.Console:
    """Give standard output; where there is no terminal, tables are wide rather than cut."""
    made = rich.console.Console(highlight=False, markup=False)
    if not made.is_terminal:
        made.width = WIDE
    return made


def table(
    titles: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    soft: Mapping[str, int],
    spare: Sequence[str] = (),
    whole: Sequence[str] = (),
    on: rich.console.Console | None = None,
) -> rich.table.Table:
    """Make a table that fits a console, standard output's where none is named.

    ``soft`` columns may be as narrow as that number; on a terminal the end of their words is cut,
    elsewhere, and in the columns ``whole``, they go on in the next line.  While that is not
    enough, the columns ``spare`` go, the first one first.
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
    rows: Sequence[Sequence[Cell]],
    soft: Mapping[str, int],
    spare: Sequence[str],
    room: int,
) -> dict[int, int]:
    """Give the columns there is room for, and how wide each is."""
    wanted = [
        max(Text.assemble(one).cell_len for one in (name, *(row[place] for row in rows)))
        for place, name in enumerate(titles)
    ]
    least = [
        min(wide, max(soft.get(name, wide), len(name)))
        for name, wide in zip(titles, wanted, strict=True)
    ]
    kept, going = list(range(len(titles))), list(spare)
    while going and sum(least[place] + _GAP for place in kept) - _GAP > room:
        name = going.pop(0)
        kept.remove(next(place for place in kept if titles[place] == name))
    left = room - sum(least[place] + _GAP for place in kept) + _GAP
    widths = {}
    for place in kept:
        more = min(wanted[place] - least[place], left)
        if left < 0:  # nothing more can go: what may be narrow is narrower still
            more = max(left, _SLIVER - least[place]) if titles[place] in soft else 0
        widths[place], left = least[place] + more, left - more
    return widths
