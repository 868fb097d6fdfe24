# SPDX-License-Identifier: GPL-2.0-only
"""From what is known of the tree after each patch to cells: new, inherited, gone again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from harness.check.spans import place
from harness.model import WHOLE_SERIES, Cell, CellState, Finding, Severity

Known = Sequence[tuple[int, Iterable[Finding] | None]]


@dataclasses.dataclass(frozen=True)
class Column:
    """A check that looks at the tree: what the base has, what it has after each patch.

    ``notes`` are for people, ``same`` are patches that changed nothing the check could see.
    """

    check: str
    base: Iterable[Finding] | None
    rows: Known
    notes: Mapping[int, str] = dataclasses.field(default_factory=dict)
    same: frozenset[int] = frozenset()


def cells(column: Column, renames: Mapping[str, str]) -> list[Cell]:
    """Make a cell for each patch, and one for the whole that says what is left at the tip.

    Where nothing is known of the base, the first patch of which something is known takes its
    place.
    """
    base = column.base
    if base is None:
        base = next((found for _, found in column.rows if found is not None), None)
    if base is None:
        numbers = [*(number for number, _ in column.rows), WHOLE_SERIES]
        return [
            Cell(n, column.check, CellState.UNKNOWN, (), column.notes.get(n, "")) for n in numbers
        ]
    placed = place(base, column.rows, renames)
    made = []
    for number, found in column.rows:
        note = column.notes.get(number, "")
        if found is None:
            made.append(Cell(number, column.check, CellState.UNKNOWN, (), note))
            continue
        one = Cell.of(number, column.check, placed[number], note)
        if number in column.same:
            one = dataclasses.replace(one, state=CellState.SAME)
        made.append(one)
    return [*made, _tip(column, placed)]


def _tip(column: Column, placed: Mapping[int, tuple[Finding, ...]]) -> Cell:
    last = column.rows[-1][0]
    note = column.notes.get(WHOLE_SERIES, "")
    if last not in placed:
        return Cell(
            WHOLE_SERIES, column.check, CellState.UNKNOWN, (), note or column.notes.get(last, "")
        )
    return Cell.of(WHOLE_SERIES, column.check, placed[last], note)


def merged(check: str, *parts: Sequence[Cell]) -> list[Cell]:
    """Lay columns over one another: a row has the findings of all, and the worst of the states."""
    order = [
        CellState.NONE,
        CellState.SAME,
        CellState.GOOD,
        CellState.UNKNOWN,
        CellState.WARN,
        CellState.BAD,
    ]
    by_patch: dict[int, list[Cell]] = {}
    for one in (one for part in parts for one in part):
        by_patch.setdefault(one.patch, []).append(one)
    return [
        Cell(
            number,
            check,
            max((one.state for one in some), key=order.index),
            tuple(finding for one in some for finding in one.findings),
            "; ".join(one.note for one in some if one.note),
        )
        for number, some in by_patch.items()
    ]


def softened(findings: Iterable[Finding], level: Severity) -> tuple[Finding, ...]:
    """Give findings with another weight."""
    return tuple(dataclasses.replace(one, level=level) for one in findings)
