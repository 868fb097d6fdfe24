# SPDX-License-Identifier: GPL-2.0-only
"""Each patch as a diff, with remarks on its lines: findings, compiler warnings, splats."""

from __future__ import annotations

import dataclasses
import email
import email.policy
import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from unidiff.patch import Hunk

from harness import diff
from harness.diff import DiffError, FileDiff
from harness.model import ChangedLine, LineState, Run, SeriesLines
from harness.publish.html.excerpts import NOTHING, Budget, Excerpt, excerpt, short
from harness.publish.html.failures import ShownFailure, ShownSplat
from harness.text import quantity

SHOWN = 4000  # maximum number of lines of a patch's diff
PatchKey = TypeVar("PatchKey", str, int)  # a patch, by its subject or its number
_NONE: Mapping[tuple[str, int], ChangedLine] = types.MappingProxyType({})
ALL = 30_000  # maximum number of lines of all diffs of a series


@dataclasses.dataclass(frozen=True)
class Remark:
    """A remark on a line of the patched sources; ``link`` leads to details on the page.

    ``line`` counts from 1 in ``file``; ``source`` is the line's text if it is known.
    """

    level: str
    text: str
    file: str = ""
    line: int = 0
    source: str = ""
    link: str = ""


@dataclasses.dataclass(frozen=True)
class DiffLine:
    """A line of a diff: ``kind`` is " ", "+", "-", or "@" for the header of a hunk.

    ``executed`` says by how many tests, as ``level``: "hit", "boot" or "never"; empty without a
    counter.
    """

    kind: str
    old: int | None
    new: int | None
    text: str
    remarks: tuple[Remark, ...] = ()
    executed: str = ""
    level: str = ""


@dataclasses.dataclass(frozen=True)
class DiffFile:
    """A file in a patch; ``loose`` are the remarks that match none of its lines.

    ``counted``: it has lines of which is known what executed them.
    """

    name: str
    lines: tuple[DiffLine, ...]
    added: int
    removed: int
    loose: tuple[Remark, ...] = ()
    left_out: int = 0

    @property
    def counted(self) -> bool:
        return any(line.level for line in self.lines)


@dataclasses.dataclass(frozen=True)
class ShownPatch:
    """A patch as it was mailed; ``raw`` is its diff if the diff cannot be parsed."""

    number: int
    subject: str
    author: str
    message: Excerpt
    files: tuple[DiffFile, ...] = ()
    loose: tuple[Remark, ...] = ()
    raw: Excerpt = NOTHING

    @property
    def anchor(self) -> str:
        """The patch's id in links."""
        return f"p-{self.number}"

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """All remarks on the patch and its files."""
        lines = (line for file in self.files for line in file.lines)
        return (
            *self.loose,
            *(remark for file in self.files for remark in file.loose),
            *(remark for line in lines for remark in line.remarks),
        )

    @property
    def worst(self) -> str:
        """The level of the worst remark."""
        levels = {remark.level for remark in self.remarks}
        return next((level for level in ("error", "warning") if level in levels), "note")


def show(
    number: int,
    subject: str,
    author: str,
    path: Path,
    remarks: Sequence[Remark] = (),
    budget: Budget | None = None,
    counted: Mapping[tuple[str, int], ChangedLine] = _NONE,
) -> ShownPatch:
    """Read a patch's mail and attach remarks to their lines, or above the diff if no line matches.

    ``budget`` is the number of lines that the page may still use.  ``counted`` are the lines of the
    patch, by file and number, of which is known what executed them.
    """
    patch = ShownPatch(number, subject, author, NOTHING, loose=_with_place(remarks))
    try:
        message, text = _split(path.read_bytes())
    except OSError as error:
        message = f"the patch is gone: {error.strerror}"
        return dataclasses.replace(patch, message=excerpt(message))
    try:
        parsed = diff.parse(text)
    except DiffError:
        raw = excerpt(text.decode(errors="replace"), 400, 100)
        return dataclasses.replace(patch, message=excerpt(message), raw=raw)
    names = {file.path for file in parsed}
    return dataclasses.replace(
        patch,
        message=excerpt(message, 80, 20),
        files=tuple(_files(parsed, remarks, budget or Budget(SHOWN), counted)),
        loose=_with_place([remark for remark in remarks if remark.file not in names]),
    )


def _split(raw: bytes) -> tuple[str, bytes]:
    """Split a mail into its message and its diff."""
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    body = mail.get_body(("plain",))
    content = body.get_payload(decode=True) if body is not None else b""
    message, text = diff.split(content if isinstance(content, bytes) else b"")
    return message.decode(errors="replace"), text


def _with_place(remarks: Sequence[Remark]) -> tuple[Remark, ...]:
    def text(remark: Remark) -> str:
        where = f"{remark.file}:{remark.line}: " if remark.line else f"{remark.file}: "
        return f"{where}{remark.text}" if remark.file else remark.text

    return tuple(dataclasses.replace(remark, text=text(remark)) for remark in remarks)


def _files(
    files: Sequence[FileDiff],
    remarks: Sequence[Remark],
    budget: Budget,
    counted: Mapping[tuple[str, int], ChangedLine],
) -> Iterator[DiffFile]:
    room = min(SHOWN, budget.left)
    for file in files:
        lines = [
            _executed(line, counted.get((file.path, line.new or 0)) if line.kind == "+" else None)
            for hunk in file.hunks
            for line in _hunk(hunk)
        ]
        shown = lines[: max(room, 0)]
        room -= len(shown)
        budget.left -= len(shown)
        at_line: dict[int, list[Remark]] = {}
        loose: list[Remark] = []
        for remark in remarks:
            if remark.file == file.path:
                index = _index(shown, remark)
                (loose if index is None else at_line.setdefault(index, [])).append(remark)
        for index, here in at_line.items():
            unique = tuple(dict.fromkeys(here))
            shown[index] = dataclasses.replace(shown[index], remarks=unique)
        yield DiffFile(
            file.path,
            tuple(shown),
            sum(hunk.added for hunk in file.hunks),
            sum(hunk.removed for hunk in file.hunks),
            tuple(map(_with_line, loose)),
            len(lines) - len(shown),
        )


def _executed(line: DiffLine, counted: ChangedLine | None) -> DiffLine:
    """Add what executed a line."""
    if counted is None or counted.tests is None:
        return line
    if not counted.executed:
        return dataclasses.replace(line, executed="never", level="never")
    text = quantity(counted.tests, "test") if counted.tests else "at boot"
    if counted.untaken:
        text += f", {counted.ways - counted.untaken} of {counted.ways} ways"
    return dataclasses.replace(line, executed=text, level="hit" if counted.tests else "boot")


def counted_lines(lines: SeriesLines | None) -> dict[int, dict[tuple[str, int], ChangedLine]]:
    """Return the lines of which is known what executed them, by patch, file and number there."""
    found: dict[int, dict[tuple[str, int], ChangedLine]] = {}
    for file in lines.files if lines else ():
        for line in file.lines:
            if line.patch and line.tests is not None:
                found.setdefault(line.patch, {})[file.path, line.patch_line] = line
    return found


def _with_line(remark: Remark) -> Remark:
    text = f"line {remark.line}: {remark.text}" if remark.line else remark.text
    return dataclasses.replace(remark, text=text)


def _hunk(hunk: Hunk) -> Iterator[DiffLine]:
    header = f"@@ -{hunk.source_start} +{hunk.target_start} @@ {hunk.section_header}"
    yield DiffLine("@", None, None, header.rstrip())
    for line in hunk:
        kind = line.line_type if line.line_type in "+- " else " "
        text = short(line.value.rstrip("\n"))
        yield DiffLine(kind, line.source_line_no, line.target_line_no, text)


def _index(lines: Sequence[DiffLine], remark: Remark) -> int | None:
    """Return the index of the line that a remark is about; None if no line matches.

    If the line's text is known, the line is found even after a later patch has moved it.
    """
    source = remark.source.strip()
    if not source:
        numbers = (line.new for line in lines)
        return next((n for n, new in enumerate(numbers) if new and new == remark.line), None)
    same = [n for n, line in enumerate(lines) if line.kind == "+" and line.text.strip() == source]
    return min(same, key=lambda n: abs((lines[n].new or 0) - remark.line), default=None)


def touched(path: Path) -> tuple[str, ...]:
    """Return the files that the patch in a mail touches; none if it cannot be read."""
    try:
        return tuple(file.path for file in diff.parse(_split(path.read_bytes())[1]))
    except (OSError, DiffError):
        return ()


def remarks_of_lines(
    lines: SeriesLines | None, touching: Mapping[PatchKey, Collection[str]]
) -> dict[PatchKey, list[Remark]]:
    """Return what was not compiled, by the last patch (in ``touching``) that touches the file."""
    remarks: dict[PatchKey, list[Remark]] = {}
    last = {file: patch for patch, files in touching.items() for file in files}
    for part in lines.ranges(LineState.NOT_COMPILED) if lines else ():
        if part.path in last:
            many = quantity(part.last - part.first + 1, "line")
            remark = Remark("note", f"{many} not compiled: {part.why}", part.path, part.first)
            remarks.setdefault(last[part.path], []).append(remark)
    return remarks


def remarks_of_run(
    run: Run, failures: Sequence[ShownFailure], boot: Sequence[ShownSplat]
) -> dict[str, list[Remark]]:
    """Return compiler warnings and splats on lines that patches added, by subject."""
    patches = run.series.patches if run.series else ()
    remarks = remarks_of_lines(run.lines, {patch.subject: patch.files for patch in patches})
    for side in run.sides[-1:]:
        for warning in side.kernel.warnings:
            remark = Remark("warning", warning.text, warning.file, warning.line)
            remarks.setdefault(warning.patch, []).append(remark)
    splats = [(splat, "at boot", "failures") for splat in boot]
    for failure in failures:
        name = failure.test.id.partition("::")[2] or failure.test.id
        splats += [(splat, name, failure.anchor) for splat in failure.splats]
    seen = set()
    for shown, name, link in splats:
        decoded, title = shown.decoded, shown.splat.title
        for frame in (*decoded.frames, *decoded.alloc, *decoded.free) if decoded else ():
            for place in frame.places:
                # Mark each line in a splat's stacks once, for the first test.
                if place.patch and (place.file, place.line, title) not in seen:
                    seen.add((place.file, place.line, title))
                    texts = (line.text for line in place.context if line.number == place.line)
                    text = f"{title} ({name})"
                    remark = Remark("error", text, place.file, place.line, next(texts, ""), link)
                    remarks.setdefault(place.patch, []).append(remark)
    return remarks
