# SPDX-License-Identifier: GPL-2.0-only
"""The matrix for programs: check.json, JUnit, and what b4 reads."""

from __future__ import annotations

import re
from pathlib import Path

import junitparser

from harness.model import WHOLE_SERIES, Cell, CellState, Finding, Matrix, Severity
from harness.results import store

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_B4 = {CellState.BAD: "fail", CellState.WARN: "warn", CellState.UNKNOWN: "warn"}


def write(matrix: Matrix, folder: Path) -> None:
    """Write check.json and junit.xml."""
    store.save_check(folder, matrix)
    report = junitparser.JUnitXml("harness check")
    if why := matrix.trouble:
        report.add_testsuite(_fault(why))
    for row in matrix.rows:
        report.add_testsuite(_suite(matrix, row.number, f"{row.number} {row.subject}"))
    report.add_testsuite(_suite(matrix, WHOLE_SERIES, "the whole series"))
    report.update_statistics()  # type: ignore[no-untyped-call]
    report.write(str(folder / "junit.xml"), pretty=True)


def _fault(why: str) -> junitparser.TestSuite:
    """Give a case for what kept the check from being whole: what is not known is not good."""
    case = junitparser.TestCase("check", "check")
    case.result = [junitparser.Error(_clean(why))]
    suite = junitparser.TestSuite("check")
    suite.add_testcase(case)
    return suite


def _suite(matrix: Matrix, number: int, name: str) -> junitparser.TestSuite:
    suite = junitparser.TestSuite(_clean(name))
    for check in matrix.checks:
        cell = matrix.cell(number, check)
        if cell.state is CellState.NONE:
            continue
        case = junitparser.TestCase(check, f"patch {number}" if number else "whole")
        wrong = [one for one in cell.findings if one.level is not Severity.NOTE]
        text = "\n".join(line(one, number) for one in cell.findings)
        if cell.state is CellState.BAD or (cell.state is CellState.WARN and matrix.strict):
            failure = junitparser.Failure(_clean(wrong[0].text if wrong else cell.note))
            failure.text = _clean(text)
            case.result = [failure]
        elif cell.state is CellState.UNKNOWN:
            case.result = [junitparser.Skipped(_clean(cell.note))]
        else:
            case.system_out = _clean("\n".join(part for part in (cell.note, text) if part))
        suite.add_testcase(case)
    return suite


def line(one: Finding, patch: int) -> str:
    """Write a finding as compilers do, with where it enters and where it goes away."""
    where = f"{one.where}: " if one.where else ""
    span = []
    if one.enters and one.enters != patch:
        span.append(f"enters in patch {one.enters}")
    if one.leaves:
        span.append(f"goes away in patch {one.leaves}: a hole for bisection, not a bug at the tip")
    when = f" ({', '.join(span)})" if span else ""
    return f"{where}{one.level}: {one.text}{when}"


def b4(matrix: Matrix) -> list[dict[str, str]]:
    """Give what b4's check commands print: an entry for each check, of all patches together."""
    found = []
    for check in matrix.checks:
        cells = [
            one for one in matrix.cells if one.check == check and one.state is not CellState.NONE
        ]
        if not cells:
            continue
        worst = max(
            (_B4.get(one.state, "pass") for one in cells), key=["pass", "warn", "fail"].index
        )
        if check == "apply":  # b4 pipes patches in one at a time: those before it may be missing
            worst = "pass" if worst == "pass" else "warn"
        lines = [words for one in cells for words in _b4_lines(matrix, one)]
        count = len([1 for one in cells for f in one.entering if f.level is not Severity.NOTE])
        notes = "; ".join(dict.fromkeys(one.note for one in cells if one.note))
        summary = (
            f"{count} finding{'' if count == 1 else 's'}" if count else notes or "nothing found"
        )
        found.append(
            {
                "tool": f"harness {check}",
                "status": worst,
                "summary": summary,
                "url": "",
                "details": "\n".join(lines),
            }
        )
    return found


def _b4_lines(matrix: Matrix, cell: Cell) -> list[str]:
    many = len(matrix.rows) > 1
    name = f"patch {cell.patch}: " if cell.patch and many else ""
    return [name + line(one, cell.patch) for one in cell.entering]


def _clean(text: str) -> str:
    return _NOT_XML.sub("�", text)
