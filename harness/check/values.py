# SPDX-License-Identifier: GPL-2.0-only
"""The matrix: a row for each patch and one for the whole series, a column for each check."""

from __future__ import annotations

import dataclasses
import enum

from harness.model import Verdict
from harness.results.regression import unnumbered

WHOLE = 0  # the number of the row that is about the whole series; patches count from 1


class Level(enum.StrEnum):
    """How much a finding weighs: an error makes the series bad, a note is only shown."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class State(enum.StrEnum):
    """What a cell says.  SAME: nothing changed since the patch before, so it was not done again.

    UNKNOWN: it could not be found out (the patch does not build).  NONE: nothing to check here.
    """

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    SAME = "same"
    UNKNOWN = "unknown"
    NONE = "none"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing a check found.

    ``rule`` is the check's own name for it; ``line`` is 0 when it has none.  ``enters`` is the
    patch after which it is there, ``leaves`` the one after which it is gone again (0: it stays).
    ``same`` tells it from others where its text may differ each time.
    """

    level: Level
    text: str
    file: str = ""
    line: int = 0
    rule: str = ""
    enters: int = 0
    leaves: int = 0
    same: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same finding although lines have shifted."""
        return self.rule, self.file, self.same or unnumbered(self.text)

    @property
    def where(self) -> str:
        """File and line as compilers write them; empty when it is about no file."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclasses.dataclass(frozen=True)
class Cell:
    """One check of one patch; ``note`` is for people: what was done, or why nothing was."""

    patch: int
    check: str
    state: State
    findings: tuple[Finding, ...] = ()
    note: str = ""

    @property
    def entering(self) -> tuple[Finding, ...]:
        """The findings that this patch brings, not those it inherits from patches before."""
        return tuple(one for one in self.findings if one.enters in (0, self.patch))


@dataclasses.dataclass(frozen=True)
class Row:
    """A patch: its number, its commit (empty when it does not apply) and its subject."""

    number: int
    commit: str
    subject: str


@dataclasses.dataclass(frozen=True)
class Matrix:
    """All that a check of a series found.

    ``untestable`` says that it does not apply, ``refused`` that it was not built for safety's
    sake, ``fault`` that the machine could not run its guests: then there is no verdict, though
    what was found stays true.
    """

    name: str
    base: str
    rows: tuple[Row, ...]
    checks: tuple[str, ...]
    cells: tuple[Cell, ...]
    strict: bool = False
    untestable: str = ""
    refused: str = ""
    fault: str = ""
    seconds: float = 0.0

    def cell(self, patch: int, check: str) -> Cell:
        """Give one cell; where no check was made it is one that says NONE."""
        for one in self.cells:
            if (one.patch, one.check) == (patch, check):
                return one
        return Cell(patch, check, State.NONE)

    @property
    def findings(self) -> tuple[tuple[Cell, Finding], ...]:
        """Every finding once, where it enters, by patch and check."""
        order = {check: number for number, check in enumerate(self.checks)}
        cells = sorted(self.cells, key=lambda one: (one.patch or 1 << 30, order[one.check]))
        return tuple((cell, one) for cell in cells for one in cell.entering)

    @property
    def bad(self) -> bool:
        """Whether there is an error, or with ``strict`` a warning."""
        wrong = {Level.ERROR, Level.WARNING} if self.strict else {Level.ERROR}
        return any(one.level in wrong for _, one in self.findings)

    @property
    def verdict(self) -> Verdict:
        """What the check says; what is not known is not good.

        A series with an error is bad, whatever else could not be done.
        """
        if self.untestable:
            return Verdict.UNTESTABLE
        if self.bad:
            return Verdict.BAD
        if self.fault:
            return Verdict.NONE
        return Verdict.UNTESTABLE if self.refused else Verdict.GOOD


def state(findings: tuple[Finding, ...]) -> State:
    """Give the state that findings make."""
    levels = {one.level for one in findings}
    if Level.ERROR in levels:
        return State.BAD
    return State.WARN if Level.WARNING in levels else State.GOOD


def cell(patch: int, check: str, findings: tuple[Finding, ...], note: str = "") -> Cell:
    """Make a cell of what was found."""
    return Cell(patch, check, state(findings), findings, note)
