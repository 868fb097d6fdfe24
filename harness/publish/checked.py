# SPDX-License-Identifier: GPL-2.0-only
"""What ``harness check`` found, as marks at lines and as a summary."""

from __future__ import annotations

from collections.abc import Iterator

from harness.model import WHOLE_SERIES, Cell, CellState, Finding, Matrix, Severity
from harness.publish import github
from harness.publish.marks import Mark, Weight
from harness.text import clean, clip, one_line

_WEIGHTS = {
    Severity.ERROR: Weight.ERROR,
    Severity.WARNING: Weight.WARNING,
    Severity.NOTE: Weight.NOTICE,
}
_WORDS = {
    CellState.GOOD: "ok",
    CellState.SAME: "same",
    CellState.UNKNOWN: "?",
    CellState.NONE: "",
    CellState.BAD: "bad",
    CellState.WARN: "warn",
}


def marks(matrix: Matrix) -> tuple[Mark, ...]:
    """Return the findings where they enter, the worst first."""
    found = dict.fromkeys(_mark(cell, finding) for cell, finding in matrix.findings)
    order = list(Weight)
    return tuple(sorted(found, key=lambda mark: order.index(mark.weight)))


def _mark(cell: Cell, finding: Finding) -> Mark:
    where = f"patch {cell.patch}" if cell.patch else "the whole series"
    hole = f"; goes away in patch {finding.leaves}" if finding.leaves else ""
    text = clean(clip(finding.text, 2000))
    rule = f" [{one_line(finding.rule)}]" if finding.rule else ""
    return Mark(
        _WEIGHTS[finding.level],
        one_line(f"{cell.check}: {finding.rule}" if finding.rule else cell.check),
        f"{where}, {one_line(cell.check)}: {one_line(text, 120)}",
        f"{text}{rule}{hole}",
        one_line(finding.file, 1000),
        finding.line,
    )


def summary(matrix: Matrix) -> str:
    """Write the job's summary for GitHub: the matrix of patch by check, and what was found."""
    blocks = [f"## {github.word(matrix.verdict)}: {github.words(matrix.name)}"]
    blocks += [github.words(matrix.trouble)] if matrix.trouble else []
    blocks += ["\n".join(_table(matrix)), "\n".join(_list(matrix))]
    return github.joined([block for block in blocks if block])


def _table(matrix: Matrix) -> Iterator[str]:
    yield f"| patch | {' | '.join(map(github.words, matrix.made))} |"
    yield "|---" * (len(matrix.made) + 1) + "|"
    rows = [(row.number, f"{row.number} {row.subject}") for row in matrix.rows]
    for number, name in [*rows, (WHOLE_SERIES, "the whole series")]:
        words = (_word(matrix.cell(number, check)) for check in matrix.made)
        yield f"| {github.words(name)} | {' | '.join(words)} |"


def _word(cell: Cell) -> str:
    many = sum(finding.level is not Severity.NOTE for finding in cell.findings)
    word = _WORDS[cell.state]
    return f"{word} ({many})" if many else word


def _list(matrix: Matrix) -> Iterator[str]:
    found = [mark for mark in marks(matrix) if mark.weight is not Weight.NOTICE]
    for mark in found[: github.FAILURES]:
        where = f" `{mark.file.replace('`', '')}:{mark.line}`" if mark.line else ""
        yield f"- **{mark.weight}**{where} {github.words(mark.title)}"
    if len(found) > github.FAILURES:
        yield f"- and {len(found) - github.FAILURES} more"
