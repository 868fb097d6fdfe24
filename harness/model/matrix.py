# SPDX-License-Identifier: GPL-2.0-only
"""A matrix of runs: what its cells request, and how each of them ended."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from harness.model.plan import Plan
from harness.model.verdict import Verdict

#: The axes of a matrix, and the title of each in a table.
AXES = {
    "series": "series",
    "kernels": "kernel",
    "kconfig": "config",
    "compilers": "compiler",
    "suites": "suites",
}


@dataclasses.dataclass(frozen=True)
class MatrixCell:
    """A cell of a matrix: a run, named ``NUMBER-WORDS``, and what is known of it.

    ``values`` are its words on each axis of AXES; an axis without words leaves the choice to
    `harness run`.  ``code`` is the exit code of the run, None as long as it has not ended.
    ``folder`` is relative to that of the matrix.  ``tests`` counts the outcomes on the judged
    kernel, ``text`` explains the verdict, or why there is none.
    """

    name: str
    values: tuple[tuple[str, ...], ...]
    code: int | None = None
    folder: str = ""
    tests: str = ""
    text: str = ""
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """The verdict of the run; NONE if it has none, or has not ended."""
        return Verdict.of(self.code)

    @property
    def decided(self) -> bool:
        """Whether the run has ended with a verdict, so that it need not be done again."""
        return self.verdict is not Verdict.NONE

    @property
    def state(self) -> str:
        """The verdict, or "not run"."""
        return "not run" if self.code is None else self.verdict.value

    def value(self, axis: str) -> str:
        """Return the cell's words on an axis as text."""
        words = self.values[list(AXES).index(axis)]
        return " ".join(words) or "default"


@dataclasses.dataclass(frozen=True)
class RunMatrix:
    """Runs for all combinations of some series, kernels, configs, compilers and suites.

    matrix.json is this value (see harness.results).  ``name`` is that of its file, ``plan`` what
    was requested for all cells, ``seconds`` how long the harness worked on it.
    """

    name: str
    folder: Path
    plan: Plan
    cells: tuple[MatrixCell, ...]
    started: str = ""
    seconds: float = 0.0
    command: tuple[str, ...] = ()

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes on which cells differ; the first one if there is only one cell."""
        differing = [axis for axis in AXES if len({cell.value(axis) for cell in self.cells}) > 1]
        return tuple(differing) or (next(iter(AXES)),)

    @property
    def verdict(self) -> Verdict:
        """BAD if a cell is bad, else NONE if one has no verdict, else UNTESTABLE or GOOD."""
        verdicts = {cell.verdict for cell in self.cells}
        order = (Verdict.BAD, Verdict.NONE, Verdict.UNTESTABLE)
        return next((verdict for verdict in order if verdict in verdicts), Verdict.GOOD)

    def of(self, verdict: Verdict) -> tuple[MatrixCell, ...]:
        """Return the cells that have ended with a verdict."""
        return tuple(
            cell for cell in self.cells if cell.code is not None and cell.verdict is verdict
        )
