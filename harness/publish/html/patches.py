# SPDX-License-Identifier: GPL-2.0-only
"""Each patch as a diff, with what was found at its lines."""

from __future__ import annotations

import dataclasses
import email
import email.policy
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from unidiff.errors import UnidiffParseError
from unidiff.patch import Hunk, PatchedFile, PatchSet

from harness import diff
from harness.publish.html.cutting import Budget, cut, short
from harness.publish.html.sections import DiffFile, DiffLine, Note, PatchView

SHOWN = 4000  # lines of a patch's diff that are shown
ALL = 30_000  # of a series'

#: (file, line from 1 in the patched file, what the line says or "", the note)
At = tuple[str, int, str, Note]


def anchor(number: int) -> str:
    """Name a patch in links."""
    return f"p-{number}"


def view(
    number: int,
    subject: str,
    author: str,
    path: Path,
    notes: Sequence[At] = (),
    room: Budget | None = None,
) -> PatchView:
    """Read a patch's mail and put the notes to its lines; what fits nowhere stands above.

    ``room`` counts the lines that may be shown yet.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        gone = cut(f"the patch is gone: {error.strerror}")
        return PatchView(number, anchor(number), subject, author, gone, (), _loose(notes))
    message, text = _parts(raw)
    try:
        files = list(PatchSet(_lines(text)))
    except UnidiffParseError:
        words = cut(text.decode(errors="replace"), 400, 100)
        return PatchView(
            number, anchor(number), subject, author, cut(message), (), _loose(notes), words
        )
    shown = tuple(_files(files, notes, room or Budget(SHOWN)))
    names = {one.name for one in shown}
    loose = _loose([one for one in notes if one[0] not in names])
    return PatchView(number, anchor(number), subject, author, cut(message, 80, 20), shown, loose)


def _lines(text: bytes) -> list[str]:
    # A form feed, of which sources have some, ends no line of a diff.
    return re.findall(r"[^\n]*\n|[^\n]+", text.decode(errors="replace").replace("\r\n", "\n"))


def _parts(raw: bytes) -> tuple[str, bytes]:
    """Give the message and the diff of a mail."""
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    body = mail.get_body(("plain",))
    content = body.get_payload(decode=True) if body is not None else b""
    words, text = diff.split(content if isinstance(content, bytes) else b"")
    return words.decode(errors="replace"), text


def _loose(notes: Sequence[At]) -> tuple[Note, ...]:
    return tuple(_named(file, line, note) for file, line, _, note in notes)


def _named(file: str, line: int, note: Note) -> Note:
    where = f"{file}:{line}: " if line else f"{file}: " if file else ""
    return dataclasses.replace(note, text=f"{where}{note.text}")


def _files(files: Sequence[PatchedFile], notes: Sequence[At], room: Budget) -> Iterator[DiffFile]:
    own = min(SHOWN, room.left)
    for file in files:
        lines = [line for hunk in file for line in _hunk(hunk)]
        shown = lines[: max(own, 0)]
        own -= len(shown)
        room.left -= len(shown)
        placed, rest = _place(shown, [one for one in notes if one[0] == file.path])
        left = len(lines) - len(shown)
        remarks = _loose_lines(rest)
        yield DiffFile(file.path, tuple(placed), file.added, file.removed, remarks, left)


def _loose_lines(notes: Sequence[At]) -> tuple[Note, ...]:
    return tuple(
        dataclasses.replace(note, text=f"line {line}: {note.text}" if line else note.text)
        for _, line, _, note in notes
    )


def _hunk(hunk: Hunk) -> Iterator[DiffLine]:
    about = f"@@ -{hunk.source_start} +{hunk.target_start} @@ {hunk.section_header}"
    yield DiffLine("@", None, None, about.rstrip())
    for line in hunk:
        yield DiffLine(
            line.line_type if line.line_type in "+- " else " ",
            line.source_line_no,
            line.target_line_no,
            short(line.value.rstrip("\n")),
        )


def _place(lines: list[DiffLine], notes: Sequence[At]) -> tuple[list[DiffLine], list[At]]:
    """Put notes to the lines they are about; gives those that are about none.

    A note that knows what its line says is put there although later patches moved the line.
    """
    found: dict[int, list[Note]] = {}
    rest: list[At] = []
    for one in notes:
        _, number, text, note = one
        index = _index(lines, number, text)
        if index is None:
            rest.append(one)
        else:
            found.setdefault(index, []).append(note)
    placed = [
        dataclasses.replace(line, notes=tuple(dict.fromkeys(found[n]))) if n in found else line
        for n, line in enumerate(lines)
    ]
    return placed, rest


def _index(lines: Sequence[DiffLine], number: int, text: str) -> int | None:
    if text.strip():
        words = text.strip()
        added = ((n, line) for n, line in enumerate(lines) if line.kind == "+")
        same = [n for n, line in added if line.text.strip() == words]
        if same:
            return min(same, key=lambda n: abs((lines[n].new or 0) - number))
        return None
    return next((n for n, line in enumerate(lines) if number and line.new == number), None)
