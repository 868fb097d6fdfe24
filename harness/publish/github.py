# SPDX-License-Identifier: GPL-2.0-only
"""GitHub Actions: annotations as workflow commands, and the job's summary in Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from harness.model import Run, Test, Verdict
from harness.publish import command, sentences
from harness.publish.marks import Mark, Weight
from harness.text import clean, clip, one_line

SHOWN = 10  # annotations of a kind that GitHub shows of a step
FAILURES = 50  # failures that the summary tells
SUMMARY = 900 * 1024  # bytes; GitHub takes a mebibyte from a step
_TEXT = 4000  # characters of an annotation
_MARKUP = re.compile(r"[\\`*\[\]|~@#]|:(?=//)|(?<=www)\.")
_FENCE = re.compile(r"`{3,}")


def commands(marks: Sequence[Mark]) -> list[str]:
    """Give the workflow commands, a line each; of each weight as many as GitHub shows."""
    lines = []
    for weight in Weight:
        some = [mark for mark in marks if mark.weight is weight]
        # Those at a line say more than those without one.
        some.sort(key=lambda mark: not mark.line)
        lines += [_written(mark) for mark in some[:SHOWN]]
    return lines


def _written(mark: Mark) -> str:
    values = {"file": mark.file, "line": str(mark.line or ""), "title": mark.title}
    parts = ",".join(f"{key}={_property(value)}" for key, value in values.items() if value)
    return f"::{mark.weight} {parts}::{_data(clip(mark.text or mark.title, _TEXT))}"


def _data(text: str) -> str:
    """Escape a message: without this a guest's text could be a command of its own."""
    cleaned = clean(text)
    return cleaned.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(run: Run) -> str:
    """Write the job's summary."""
    blocks = [
        f"## {word(run.verdict)}: {words(sentences.title(run))}",
        words(sentences.verdict(run)),
        "\n".join(_table(run)),
        *_changes(run),
        *_failures(run),
        f"To do the same:\n\n{_code(command.shell(run))}",
    ]
    return joined(blocks)


_SIGNS = {Verdict.GOOD: "✅", Verdict.BAD: "❌"}


def word(verdict: Verdict) -> str:
    """Write a verdict."""
    return f"{_SIGNS.get(verdict, '⚠️')} {verdict.upper()}"


def joined(blocks: Sequence[str]) -> str:
    """Put blocks together, as many as GitHub takes."""
    text, size = "", 0
    for block in blocks:
        size += len(block.encode()) + 2
        if size > SUMMARY:
            return f"{text}The rest is in the report.\n"
        text += f"{block}\n\n"
    return text


def _table(run: Run) -> Iterator[str]:
    yield "| kernel | release | tests |"
    yield "|---|---|---|"
    for side in run.sides:
        text = one_line(side.error) if side.error else sentences.tally(side.tests)
        yield f"| {side.side} | {words(side.kernel.release)} | {words(text)} |"


def _changes(run: Run) -> Iterator[str]:
    for does, some in (("breaks", sentences.broken(run)), ("fixes", sentences.fixed(run))):
        if some:
            rows = [
                f"| {words(one.test)} | {one.base} | {one.patched} |" for one in some[:FAILURES]
            ]
            if len(some) > FAILURES:
                rows.append(f"| and {len(some) - FAILURES} more | | |")
            head = f"<details{' open' if does == 'breaks' else ''}>"
            title = f"<summary>The series {does} {len(some)}</summary>"
            table = "\n".join(("| test | base | patched |", "|---|---|---|", *rows))
            yield f"{head}{title}\n\n{table}\n\n</details>"


def _failures(run: Run) -> Iterator[str]:
    if not run.sides:
        return
    for splat in run.judged.boot_splats[:FAILURES]:
        yield _details("while it boots", splat.title, "\n".join(sentences.trimmed(splat, 40)))
    for one in run.warnings[:FAILURES]:
        yield f"- new warning `{_ticks(one.file)}:{one.line}` {words(one.text)}"
    for some in sentences.failures(run):
        yield f"**{len(some.tests)} {some.title}**"
        yield from (_failure(run, test) for test in some.tests[:FAILURES])
        if len(some.tests) > FAILURES:
            yield f"... and {len(some.tests) - FAILURES} more."


def _ticks(text: str) -> str:
    """Write text that stands between backticks."""
    return one_line(text).replace("`", "")


def _failure(run: Run, test: Test) -> str:
    parts = [clip(test.message, 4000)]
    for splat in test.splats[:2]:
        place = [f"at {splat.place}"] if splat.place else []
        parts.append("\n".join((*sentences.trimmed(splat, 30), *place)))
    parts.append(command.shell(run, test.id))
    return _details(f"{test.outcome}: {test.id}", test.headline, "\n\n".join(filter(None, parts)))


def _details(name: str, title: str, text: str) -> str:
    head = f"<code>{words(name)}</code> {words(title)}"
    return f"<details><summary>{head}</summary>\n\n{_code(text)}\n\n</details>"


def _code(text: str) -> str:
    """Put text between fences that are longer than any in it."""
    cleaned = clean(text)
    longest = max((len(fence) for fence in _FENCE.findall(cleaned)), default=2)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{cleaned}\n{fence}"


def words(text: str) -> str:
    """Write text so that Markdown takes none of it for its own: no mention, link or picture."""
    escaped = html.escape(one_line(text, 300), quote=False)
    return _MARKUP.sub(_entity, escaped)


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"
