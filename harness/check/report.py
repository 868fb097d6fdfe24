# SPDX-License-Identifier: GPL-2.0-only
"""The matrix for other programs: check.json, JUnit, and b4's JSON."""

from __future__ import annotations

from pathlib import Path

import junitparser

from harness.model import WHOLE_SERIES, CellState, CheckMatrix, Finding, Severity
from harness.results import store
from harness.text import clean, quantity

_B4 = {CellState.BAD: "fail", CellState.WARN: "warn", CellState.UNKNOWN: "warn"}


def write(matrix: CheckMatrix, folder: Path) -> None:
    """Write check.json and junit.xml."""
    store.save_check(folder, matrix)
    report = junitparser.JUnitXml("harness check")
    if matrix.trouble:  # a missing verdict must not look like success
        case = junitparser.TestCase("check", "check")
        case.result = [junitparser.Error(clean(matrix.trouble))]
        suite = junitparser.TestSuite("check")
        suite.add_testcase(case)
        report.add_testsuite(suite)
    for row in matrix.rows:
        report.add_testsuite(_suite(matrix, row.number, f"{row.number} {row.subject}"))
    report.add_testsuite(_suite(matrix, WHOLE_SERIES, "the whole series"))
    report.update_statistics()  # type: ignore[no-untyped-call]
    report.write(str(folder / "junit.xml"), pretty=True)


def _suite(matrix: CheckMatrix, number: int, name: str) -> junitparser.TestSuite:
    suite = junitparser.TestSuite(clean(name))
    for cell in (matrix.cell(number, check) for check in matrix.made):
        if cell.state is CellState.NONE:
            continue
        case = junitparser.TestCase(cell.check, f"patch {number}" if number else "whole")
        text = "\n".join(line(finding, number) for finding in cell.findings)
        if cell.state is CellState.BAD or (cell.state is CellState.WARN and matrix.strict):
            failure = junitparser.Failure(
                clean(cell.problems[0].text if cell.problems else cell.note)
            )
            failure.text = clean(text)
            case.result = [failure]
        elif cell.state is CellState.UNKNOWN:
            case.result = [junitparser.Skipped(clean(cell.note))]
        else:
            case.system_out = clean("\n".join(filter(None, (cell.note, text))))
        suite.add_testcase(case)
    return suite


def line(finding: Finding, patch: int) -> str:
    """Return a finding as compilers print it, with the patches that introduce and fix it."""
    where = f"{finding.where}: " if finding.where else ""
    span = []
    if finding.enters and finding.enters != patch:
        span.append(f"introduced in patch {finding.enters}")
    if finding.leaves:
        span.append(f"fixed in patch {finding.leaves}: breaks bisection, but not the tip")
    when = f" ({', '.join(span)})" if span else ""
    return f"{where}{finding.level}: {clean(finding.text)}{when}"


def b4(matrix: CheckMatrix) -> list[dict[str, str]]:
    """Return the JSON for b4's check commands: an entry per check, for all patches together."""
    entries = []
    for check in matrix.made:
        cells = [cell for cell in matrix.cells if cell.check == check]
        states = {_B4.get(cell.state, "pass") for cell in cells}
        status = next(status for status in ("fail", "warn", "pass") if status in states)
        if check == "apply" and status == "fail":
            status = "warn"  # b4 pipes in single patches: earlier ones may be missing
        entering = [(cell.patch, finding) for cell in cells for finding in cell.entering]
        problems = sum(finding.level is not Severity.NOTE for _, finding in entering)
        notes = "; ".join(dict.fromkeys(cell.note for cell in cells if cell.note))
        details = [
            f"{f'patch {patch}: ' if patch and len(matrix.rows) > 1 else ''}{line(finding, patch)}"
            for patch, finding in entering
        ]
        found = quantity(problems, "finding") if problems else ""
        entries.append(
            {
                "tool": f"harness {check}",
                "status": status,
                "summary": found or notes or "no findings",
                "url": "",
                "details": "\n".join(details),
            }
        )
    return entries
