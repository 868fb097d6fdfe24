# SPDX-License-Identifier: GPL-2.0-only
"""What a check knows while it goes from commit to commit, and the matrix that this makes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from harness import tree
from harness.check import judge
from harness.check.letter import Letter
from harness.check.patches import Looked
from harness.check.scripts import Scripts
from harness.check.steps import Steps
from harness.check.wish import Wish
from harness.model import Cell, CellState, Finding, Matrix, PatchRow, Plan, Series, Severity, Source
from harness.progress import Progress


@dataclasses.dataclass
class Walk:
    """What a check knows while it goes from commit to commit."""

    plan: Plan
    wish: Wish
    series: Series
    slot: tree.Slot
    steps: Steps
    tools: Scripts
    looked: list[Looked]
    cover: Letter | None
    progress: Progress
    cells: list[Cell] = dataclasses.field(default_factory=list)
    refused: str = ""
    faults: list[str] = dataclasses.field(default_factory=list)

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that the series touches."""
        return tuple(dict.fromkeys(file for one in self.series.patches for file in one.files))


def applied(done: Steps, series: Series) -> list[Cell]:
    """Say of each patch whether it applies."""
    found = []
    for number, _ in enumerate(series.patches, 1):
        if number <= len(done.patched):
            found.append(Cell(number, "apply", CellState.GOOD))
        elif done.trouble and number == len(done.patched) + 1:
            what = Finding(Severity.ERROR, done.trouble.what, rule="apply")
            more = (" ".join(done.trouble.because.split()), done.trouble.hint)
            notes = (Finding(Severity.NOTE, text, rule="apply") for text in more if text)
            found.append(Cell.of(number, "apply", (what, *notes)))
        else:
            found.append(
                Cell(number, "apply", CellState.UNKNOWN, note="a patch before it is missing")
            )
    return found


def matrix(walk: Walk, source: Source, seconds: float) -> Matrix:
    """Put together what was found so far."""
    trouble = walk.steps.trouble
    commits = [one.commit for one in walk.steps.patched]
    rows = tuple(
        PatchRow(one.number, commits[n] if n < len(commits) else "", one.subject)
        for n, one in enumerate(walk.series.patches)
    )
    cells = {(one.patch, one.check): one for one in _laid(walk.cells)}
    return Matrix(
        name=_name(walk.series),
        base=source.name,
        rows=rows,
        checks=walk.wish.checks,
        cells=tuple(cells.values()),
        strict=walk.wish.strict,
        untestable=trouble.what if trouble else "",
        refused=walk.refused,
        fault="; ".join(dict.fromkeys(walk.faults)),
        seconds=seconds,
    )


def _name(series: Series) -> str:
    """Give a series its title; commits without a cover letter are what they were named as."""
    own = series.repo and not series.cover
    return series.name if own else series.title or series.name


def _laid(cells: Sequence[Cell]) -> list[Cell]:
    """Lay what several checks say in one cell together."""
    names = dict.fromkeys(one.check for one in cells)
    return [
        cell
        for name in names
        for cell in judge.merged(name, [one for one in cells if one.check == name])
    ]
