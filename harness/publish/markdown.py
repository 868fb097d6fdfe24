# SPDX-License-Identifier: GPL-2.0-only
"""A run or a check in Markdown, as the summary of a GitHub job."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from harness.model import (
    WHOLE_SERIES,
    Cell,
    CellState,
    Change,
    CheckMatrix,
    Run,
    Severity,
    Test,
    Verdict,
)
from harness.publish import code_annotations, reproduce, sentences
from harness.publish.code_annotations import AnnotationLevel
from harness.text import clean, clip, one_line

FAILURES = 50  # maximum number of failures that the summary shows
SIZE = 900 * 1024  # bytes; GitHub accepts 1 MiB per step
_MARKUP = re.compile(r"[\\`*\[\]|~@#]|:(?=//)|(?<=www)\.")
_FENCE = re.compile(r"`{3,}")
_SIGNS = {Verdict.GOOD: "✅", Verdict.BAD: "❌"}
_CELLS = {CellState.GOOD: "ok", CellState.UNKNOWN: "?", CellState.NONE: ""}


def of_run(run: Run) -> str:
    """Return the summary of a run."""
    return _joined(
        [
            f"## {_verdict(run.verdict)}: {escaped(sentences.title(run))}",
            escaped(sentences.verdict(run)),
            "\n".join(_kernels(run)),
            *_changes("breaks", sentences.broken(run)),
            *_changes("fixes", sentences.fixed(run)),
            *_failures(run),
            f"To reproduce:\n\n{_code(reproduce.shell(run))}",
        ]
    )


def of_check(matrix: CheckMatrix) -> str:
    """Return the summary of a check: the matrix of patches by checks, and the findings."""
    blocks = [
        f"## {_verdict(matrix.verdict)}: {escaped(matrix.name)}",
        escaped(matrix.trouble),
        "\n".join(_matrix(matrix)),
        "\n".join(_findings(matrix)),
    ]
    return _joined([block for block in blocks if block])


def _verdict(verdict: Verdict) -> str:
    return f"{_SIGNS.get(verdict, '⚠️')} {verdict.upper()}"


def _joined(blocks: Sequence[str]) -> str:
    """Join as many blocks as GitHub accepts."""
    text, size = "", 0
    for block in blocks:
        size += len(block.encode()) + 2
        if size > SIZE:
            return f"{text}The rest is in the report.\n"
        text += f"{block}\n\n"
    return text


def _kernels(run: Run) -> Iterator[str]:
    yield "| kernel | release | tests |"
    yield "|---|---|---|"
    for side in run.sides:
        text = one_line(side.error) if side.error else sentences.tally(side.tests)
        yield f"| {side.side} | {escaped(side.kernel.release)} | {escaped(text)} |"


def _changes(does: str, changes: Sequence[Change]) -> Iterator[str]:
    if not changes:
        return
    rows = [f"| {escaped(c.test)} | {c.base} | {c.patched} |" for c in changes[:FAILURES]]
    if len(changes) > FAILURES:
        rows.append(f"| and {len(changes) - FAILURES} more | | |")
    head = f"<details{' open' if does == 'breaks' else ''}>"
    title = f"<summary>The series {does} {len(changes)}</summary>"
    table = "\n".join(("| test | base | patched |", "|---|---|---|", *rows))
    yield f"{head}{title}\n\n{table}\n\n</details>"


def _failures(run: Run) -> Iterator[str]:
    if not run.sides:
        return
    for splat in run.judged.boot_splats[:FAILURES]:
        yield _details("while booting", splat.title, "\n".join(sentences.trimmed(splat, 40)))
    for warning in run.warnings[:FAILURES]:
        yield f"- new warning {_place(warning.file, warning.line)} {escaped(warning.text)}"
    for group in run.failure_groups:
        yield f"**{len(group.tests)} {group.reason}**"
        yield from (_failure(run, test) for test in group.tests[:FAILURES])
        if len(group.tests) > FAILURES:
            yield f"... and {len(group.tests) - FAILURES} more."


def _failure(run: Run, test: Test) -> str:
    parts = [clip(test.message, 4000)]
    for splat in test.splats[:2]:
        place = [f"at {splat.place}"] if splat.place else []
        parts.append("\n".join((*sentences.trimmed(splat, 30), *place)))
    parts.append(reproduce.shell(run, test.id))
    return _details(f"{test.outcome}: {test.id}", test.headline, "\n\n".join(filter(None, parts)))


def _details(name: str, title: str, text: str) -> str:
    head = f"<code>{escaped(name)}</code> {escaped(title)}"
    return f"<details><summary>{head}</summary>\n\n{_code(text)}\n\n</details>"


def _matrix(matrix: CheckMatrix) -> Iterator[str]:
    yield f"| patch | {' | '.join(map(escaped, matrix.made))} |"
    yield "|---" * (len(matrix.made) + 1) + "|"
    rows = [(row.number, f"{row.number} {row.subject}") for row in matrix.rows]
    for number, name in [*rows, (WHOLE_SERIES, "the whole series")]:
        states = (_cell(matrix.cell(number, check)) for check in matrix.made)
        yield f"| {escaped(name)} | {' | '.join(states)} |"


def _cell(cell: Cell) -> str:
    many = sum(finding.level is not Severity.NOTE for finding in cell.findings)
    state = _CELLS.get(cell.state, cell.state.value)
    return f"{state} ({many})" if many else state


def _findings(matrix: CheckMatrix) -> Iterator[str]:
    findings = code_annotations.of_check(matrix)
    findings = tuple(note for note in findings if note.level is not AnnotationLevel.NOTICE)
    for note in findings[:FAILURES]:
        place = f" {_place(note.file, note.line)}" if note.line else ""
        yield f"- **{note.level}**{place} {escaped(note.title)}"
    if len(findings) > FAILURES:
        yield f"- and {len(findings) - FAILURES} more"


def _place(file: str, line: int) -> str:
    return f"`{one_line(file).replace('`', '')}:{line}`"


def _code(text: str) -> str:
    """Put text between fences that are longer than any fence in it."""
    cleaned = clean(text)
    longest = max((len(fence) for fence in _FENCE.findall(cleaned)), default=2)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{cleaned}\n{fence}"


def escaped(text: str) -> str:
    """Escape text for Markdown, so that it cannot become a mention, link or image."""
    line = html.escape(one_line(text, 300), quote=False)
    return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", line)
