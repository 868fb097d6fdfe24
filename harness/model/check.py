# SPDX-License-Identifier: GPL-2.0-only
"""Results of a check: a row per patch and one for the whole series, a column per check.

check.json is this matrix (see harness.results.store).
"""

from __future__ import annotations

import dataclasses
import enum

from harness.model.kernel import Option
from harness.model.lines import SeriesLines
from harness.model.verdict import Verdict

_NO_CODE = "nothing of the series is compiled into its kernels"
WHOLE_SERIES = 0  # the number of the row about the whole series; patches count from 1


class Severity(enum.StrEnum):
    """How serious a finding is: an error makes the series bad, a note is only shown."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class CellState(enum.StrEnum):
    """State of a cell.  SAME: nothing changed since the previous patch, so it was not rerun.

    UNKNOWN: there is no result (for example, the patch does not build).  NONE: nothing to check.
    """

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    SAME = "same"
    UNKNOWN = "unknown"
    NONE = "none"

    @classmethod
    def of(cls, findings: tuple[Finding, ...]) -> CellState:
        """Return the state that follows from the findings."""
        levels = {finding.level for finding in findings}
        if Severity.ERROR in levels:
            return cls.BAD
        return cls.WARN if Severity.WARNING in levels else cls.GOOD


@dataclasses.dataclass(frozen=True)
class Finding:
    """A problem or a note reported by a check.

    ``rule`` is the check's own name for it; ``line`` is 0 if there is no line.  ``enters`` is the
    patch that introduces it, ``leaves`` the patch that removes it (0: it stays).  ``same``
    identifies it if its text may differ each time.
    """

    level: Severity
    text: str
    file: str = ""
    line: int = 0
    rule: str = ""
    enters: int = 0
    leaves: int = 0
    same: str = ""

    @property
    def where(self) -> str:
        """File and line in the format of compilers; empty if it concerns no file."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclasses.dataclass(frozen=True)
class Cell:
    """One check of one patch; ``note`` is what was done, or why nothing was done."""

    patch: int
    check: str
    state: CellState
    findings: tuple[Finding, ...] = ()
    note: str = ""

    @classmethod
    def of(cls, patch: int, check: str, findings: tuple[Finding, ...], note: str = "") -> Cell:
        """Return a cell whose state follows from its findings."""
        return cls(patch, check, CellState.of(findings), findings, note)

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings that are not only notes."""
        return tuple(finding for finding in self.findings if finding.level is not Severity.NOTE)

    @property
    def entering(self) -> tuple[Finding, ...]:
        """The findings that this patch introduces, without those it inherits."""
        return tuple(finding for finding in self.findings if finding.enters in (0, self.patch))


@dataclasses.dataclass(frozen=True)
class PatchRow:
    """A patch: its number, its commit (empty when it does not apply) and its subject."""

    number: int
    commit: str
    subject: str


@dataclasses.dataclass(frozen=True)
class CheckMatrix:
    """All results of a check of a series.

    ``untestable``: why it does not apply.  ``refused``: why it was not built, for safety.
    ``fault``: why the machine could not run its guests; then there is no verdict, although the
    findings so far are valid.  ``lines`` says which lines of the series are in the last kernel,
    if one was built; ``followed`` are the options that were added for it.
    """

    name: str
    base: str
    rows: tuple[PatchRow, ...]
    checks: tuple[str, ...]
    cells: tuple[Cell, ...]
    strict: bool = False
    untestable: str = ""
    refused: str = ""
    fault: str = ""
    seconds: float = 0.0
    followed: tuple[Option, ...] = ()
    lines: SeriesLines | None = None

    def cell(self, patch: int, check: str) -> Cell:
        """Return one cell; its state is NONE if that check was not run."""
        for cell in self.cells:
            if (cell.patch, cell.check) == (patch, check):
                return cell
        return Cell(patch, check, CellState.NONE)

    @property
    def made(self) -> tuple[str, ...]:
        """The checks that were run on at least one patch, in order."""
        made = {cell.check for cell in self.cells if cell.state is not CellState.NONE}
        return tuple(check for check in self.checks if check in made)

    @property
    def findings(self) -> tuple[tuple[Cell, Finding], ...]:
        """Every finding once, at the patch that introduces it, by patch and check."""
        order = {check: number for number, check in enumerate(self.checks)}
        last = len(order)
        cells = sorted(
            self.cells, key=lambda cell: (cell.patch or 1 << 30, order.get(cell.check, last))
        )
        return tuple((cell, finding) for cell in cells for finding in cell.entering)

    @property
    def bad(self) -> bool:
        """Whether there is an error, or with ``strict`` a warning."""
        fatal = {Severity.ERROR, Severity.WARNING} if self.strict else {Severity.ERROR}
        return any(finding.level in fatal for _, finding in self.findings)

    @property
    def trouble(self) -> str:
        """Why the check is incomplete; empty if it is complete."""
        nothing = self.lines is not None and self.lines.untested
        return self.untestable or self.fault or self.refused or (_NO_CODE if nothing else "")

    @property
    def verdict(self) -> Verdict:
        """The verdict on the series; an unknown result is not good.

        A series with an error is bad, even if the check is incomplete.
        """
        if self.untestable:
            return Verdict.UNTESTABLE
        if self.bad:
            return Verdict.BAD
        if self.fault:
            return Verdict.NONE
        return Verdict.UNTESTABLE if self.trouble else Verdict.GOOD
