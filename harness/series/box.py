# SPDX-License-Identifier: GPL-2.0-only
"""Mails as they lie in files: an index of their heads, read line by line in bounded memory."""

from __future__ import annotations

import dataclasses
import email
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from harness.errors import SeriesError
from harness.series import header
from harness.series.subject import Subject
from harness.series.subject import read as read_subject

# The line that begins a mail in an mbox, as git mailsplit takes it: an address, a time, a year.
_FROM = re.compile(rb"From \S+ .*\d\d:\d\d:\d\d.* \d{4}")
_LINE = 65536  # bytes read at once; a longer line comes in pieces
_HEAD = 262144  # bytes of a mail's head that are kept
LARGEST = 64 << 20  # bytes; a mail with a bigger diff is none that a person reads
_ID = re.compile(r"<([^<>\s]+)>")


@dataclasses.dataclass(frozen=True)
class Entry:
    """A mail's place and what its head says; ``raw`` reads it.

    ``parents`` are the ids of the mails it answers, the thread's first one first.
    """

    path: Path
    offset: int
    size: int
    where: str
    subject: Subject
    sender: str
    message_id: str
    parents: tuple[str, ...]

    def raw(self) -> bytes:
        """Read the mail; SeriesError when it is too big for one with a patch."""
        if self.size > LARGEST:
            raise SeriesError(
                f"{self.where} has {self.size >> 20} MB: no patch is that big",
                hint="leave out mails with attachments; if it is an mbox, its From lines are lost",
            )
        with opened(self.path) as file:
            file.seek(self.offset)
            return file.read(self.size)


def opened(path: Path) -> BinaryIO:
    """Open a file to read; SeriesError when that cannot be."""
    try:
        return path.open("rb")
    except OSError as error:
        raise SeriesError(
            f"cannot read {path}: {error.strerror}", hint=f"check the permissions of {path}"
        ) from error


def entries(path: Path, where: str = "") -> list[Entry]:
    """Index the mails of an mbox; a file that is none is one mail.

    ``where`` is what people named it.
    """
    where = where or str(path)
    with opened(path) as file:
        try:
            found = list(_mails(file))
        except OSError as error:
            raise SeriesError(
                f"cannot read {path}: {error.strerror}", hint="is it a file with mails?"
            ) from error
    many = len(found) > 1
    return [
        _entry(path, offset, size, head, f"mail {number} of {where}" if many else where)
        for number, (offset, size, head) in enumerate(found, 1)
    ]


def _mails(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Give (offset, size, head) of each mail."""
    size = os.fstat(file.fileno()).st_size
    first = file.readline(_LINE)
    blank = 0
    while first and not first.strip(b"\xef\xbb\xbf \t\r\n") and blank < _LINE:
        blank += len(first)
        first = file.readline(_LINE)
    if not _FROM.match(first):
        file.seek(0)
        yield 0, size, _head(file.read(_HEAD).lstrip(b"\xef\xbb\xbf\r\n"))
        return
    start, place, head, in_head, line_start = blank, blank + len(first), bytearray(), True, True
    for line in iter(lambda: file.readline(_LINE), b""):
        if line_start and line.startswith(b"From ") and _FROM.match(line):
            yield start, place - start, bytes(head)
            start, head, in_head = place, bytearray(), True
        elif in_head:
            in_head = bool(line.strip()) and len(head) < _HEAD
            head += line
        place += len(line)
        line_start = line.endswith(b"\n")
    yield start, place - start, bytes(head)


def _head(raw: bytes) -> bytes:
    return re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[0] + b"\n\n"


def _entry(path: Path, offset: int, size: int, head: bytes, where: str) -> Entry:
    message = email.message_from_bytes(head)
    answers = _ID.findall(header.text_of(message, "In-Reply-To"))
    parents = [*_ID.findall(header.text_of(message, "References")), *answers]
    own = header.message_id(message)
    return Entry(
        path,
        offset,
        size,
        where,
        read_subject(header.subject(message)),
        header.text_of(message, "From"),
        own,
        tuple(dict.fromkeys(parent for parent in parents if parent != own)),
    )
