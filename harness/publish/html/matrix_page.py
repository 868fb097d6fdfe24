# SPDX-License-Identifier: GPL-2.0-only
"""The page of a matrix: its cells, with links to their reports."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from harness.model import AXES, MatrixCell, RunMatrix, Verdict
from harness.options import words
from harness.progress import clock
from harness.publish import PAGE
from harness.publish.html.page import MatrixRow, Page, Tile
from harness.results import store
from harness.text import quantity

_KINDS = {Verdict.GOOD: "good", Verdict.BAD: "bad"}


def of_matrix(folder: Path) -> Page:
    """Return the page for a folder created by ``harness matrix``.

    Raises UsageError if its matrix.json is damaged or has another format.
    """
    matrix = store.load_matrix(folder)
    shared = " ".join(words(matrix.plan))
    return Page(
        verdict=matrix.verdict,
        title=matrix.name,
        subject=f"a matrix of {quantity(len(matrix.cells), 'run')}",
        lead=tuple(_lead(matrix)),
        folder=folder,
        command=shlex.join(matrix.command),
        about=(("started", matrix.started), ("all cells", shared or "no options")),
        tiles=tuple(_tiles(matrix)),
        axes=tuple(AXES[axis] for axis in matrix.axes),
        cells=tuple(_row(matrix, cell) for cell in matrix.cells),
    )


def _lead(matrix: RunMatrix) -> Iterator[str]:
    ended = [cell for cell in matrix.cells if cell.code is not None]
    if len(ended) < len(matrix.cells):
        yield f"{len(ended)} of {quantity(len(matrix.cells), 'cell')} have been run."
    for cell in matrix.of(Verdict.BAD):
        yield f"{cell.name}: {cell.text}"


def _tiles(matrix: RunMatrix) -> Iterator[Tile]:
    for verdict, kind in ((Verdict.GOOD, "pass"), (Verdict.BAD, "fail"), (Verdict.UNTESTABLE, "")):
        number = len(matrix.of(verdict))
        yield Tile(str(number), verdict.value, kind if number else "")
    yield Tile(clock(matrix.seconds), "total time")


def _row(matrix: RunMatrix, cell: MatrixCell) -> MatrixRow:
    there = bool(cell.folder) and (matrix.folder / cell.folder / PAGE).is_file()
    return MatrixRow(
        cell=cell,
        values=tuple(cell.value(axis) for axis in matrix.axes),
        kind=_KINDS.get(cell.verdict, "unknown"),
        report=f"{cell.folder}/{PAGE}" if there else "",
    )
