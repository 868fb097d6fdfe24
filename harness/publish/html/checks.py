# SPDX-License-Identifier: GPL-2.0-only
"""A check as a page shows it: the matrix of patch by check, and what was found."""

from __future__ import annotations

from collections.abc import Iterable

from harness.model import WHOLE_SERIES, Cell, CellState, Matrix, Severity
from harness.publish.html.patches import At, anchor
from harness.publish.html.sections import CheckCell, Checks, Finding, Note

SHOWN = 200  # findings of one patch that are shown

_WORDS = {CellState.GOOD: "ok", CellState.SAME: "same", CellState.UNKNOWN: "?", CellState.NONE: ""}


def view(matrix: Matrix) -> Checks:
    """Lay the matrix out; checks that nowhere were made are left out."""
    total = len(matrix.rows)
    rows = [(row.number, row.subject) for row in matrix.rows]
    laid = tuple(
        (
            f"{number}/{total}" if number else "",
            subject,
            anchor(number) if number else "",
            tuple(_cell(matrix.cell(number, check)) for check in matrix.made),
        )
        for number, subject in [*rows, (WHOLE_SERIES, "the whole series")]
    )
    return Checks(matrix.made, laid, tuple(_findings(matrix)), tuple(_notes(matrix)))


def _cell(cell: Cell) -> CheckCell:
    wrong = [finding for finding in cell.findings if finding.level is not Severity.NOTE]
    new = [finding for finding in wrong if finding in cell.entering]
    words = []
    if new:
        words.append(f"{len(new)} new" if len(wrong) > len(new) else f"{len(new)}")
    if len(wrong) > len(new):
        words.append(f"{len(wrong) - len(new)} old")
    named = cell.state in _WORDS and not (cell.state is CellState.SAME and wrong)
    word = _WORDS[cell.state] if named else ", ".join(words) or cell.state
    return CheckCell(cell.state, word, f"c-{cell.patch}" if cell.entering else "", cell.note)


def _findings(matrix: Matrix) -> Iterable[tuple[str, str, tuple[Finding, ...]]]:
    by_patch: dict[int, list[Finding]] = {}
    for cell, finding in matrix.findings:
        gone = finding.leaves
        hole = f" (goes away in patch {gone}: a hole for bisection)" if gone else ""
        by_patch.setdefault(cell.patch, []).append(
            Finding(
                level=finding.level,
                patch=cell.patch,
                check=cell.check,
                text=f"{finding.text}{hole}",
                where=finding.where,
                line=finding.line,
                file=finding.file,
            )
        )
    subjects = {row.number: row.subject for row in matrix.rows}
    order = list(Severity)
    for number, findings in by_patch.items():
        title = f"Patch {number}: {subjects.get(number, '')}" if number else "The whole series"
        worst_first = sorted(findings, key=lambda finding: order.index(Severity(finding.level)))
        yield f"c-{number}", title, tuple(worst_first[:SHOWN])


def _notes(matrix: Matrix) -> Iterable[str]:
    patches: dict[tuple[str, str], list[str]] = {}
    for cell in matrix.cells:
        if cell.note:
            name = str(cell.patch) if cell.patch else "whole"
            patches.setdefault((cell.check, cell.note), []).append(name)
    for (check, note), names in patches.items():
        yield f"{check} ({', '.join(names)}): {note}"


def notes(matrix: Matrix) -> dict[int, list[At]]:
    """Return what is to be said at the lines of patches, by the patch's number."""
    notes: dict[int, list[At]] = {}
    for cell, finding in matrix.findings:
        # A test is no file of the series; it is in the table of tests.
        if cell.patch and cell.check != "tests":
            note = Note(finding.level, f"{cell.check}: {finding.text}")
            notes.setdefault(cell.patch, []).append((finding.file, finding.line, "", note))
    return notes
