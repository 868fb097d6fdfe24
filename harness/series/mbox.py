# SPDX-License-Identifier: GPL-2.0-only
"""Index mails in files by their headers, in bounded memory; save pipes and gzip as files."""

from __future__ import annotations

import contextlib
import dataclasses
import email
import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from harness import paths
from harness.errors import SeriesError
from harness.series import header
from harness.series.header import Subject

LARGEST = 64 << 20  # bytes; a larger mail is not a patch
LIMIT = 4 << 30  # bytes; for endless pipes and gzip bombs

# The first line of a mail in an mbox, as in git mailsplit: an address, a time, a year.
_FROM = re.compile(rb"From \S+ .*\d\d:\d\d:\d\d.* \d{4}")
_LINE = 65536  # bytes to read at once; longer lines are read in pieces
_HEADER = 262144  # bytes to keep of a mail's header
_BLOCK = 1 << 20
_GZIP = b"\x1f\x8b"
_ID = re.compile(r"<([^<>\s]+)>")


@dataclasses.dataclass(frozen=True)
class MboxEntry:
    """The location of a mail, and data from its header.

    ``parents`` are the ids of the mails it replies to, starting with the thread's first mail.
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
        """Read the mail.  Raises SeriesError if it is too large for a patch."""
        if self.size > LARGEST:
            raise SeriesError(
                f"{self.where} is too large for a patch ({self.size >> 20} MB)",
                hint="leave out mails with attachments; if this is an mbox, it lacks From lines",
            )
        with opened(self.path) as file:
            file.seek(self.offset)
            return file.read(self.size)


def opened(path: Path) -> BinaryIO:
    """Open a file for reading.  Raises SeriesError if that fails."""
    try:
        return path.open("rb")
    except OSError as error:
        raise SeriesError(
            f"cannot read {path}: {error.strerror}", hint=f"check the permissions of {path}"
        ) from error


def entries(path: Path, where: str = "") -> list[MboxEntry]:
    """Index the mails of an mbox; any other file is a single mail.

    Messages refer to the file as ``where``.
    """
    where = where or str(path)
    with opened(path) as file:
        try:
            mails = list(_mails(file))
        except OSError as error:
            raise SeriesError(
                f"cannot read {path}: {error.strerror}", hint="check that it is a file with mails"
            ) from error
    return [
        _entry(path, offset, size, head, f"mail {number} of {where}" if len(mails) > 1 else where)
        for number, (offset, size, head) in enumerate(mails, 1)
    ]


def _mails(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Yield offset, size and header of each mail."""
    size = os.fstat(file.fileno()).st_size
    first = file.readline(_LINE)
    blank = 0
    while first and not first.strip(b"\xef\xbb\xbf \t\r\n") and blank < _LINE:
        blank += len(first)
        first = file.readline(_LINE)
    if not _FROM.match(first):
        file.seek(0)
        start = file.read(_HEADER).lstrip(b"\xef\xbb\xbf\r\n")
        yield 0, size, re.split(rb"\r?\n\r?\n", start, maxsplit=1)[0] + b"\n\n"
        return
    start_of_mail, place, head = blank, blank + len(first), bytearray()
    in_header = line_start = True
    for line in iter(lambda: file.readline(_LINE), b""):
        if line_start and line.startswith(b"From ") and _FROM.match(line):
            yield start_of_mail, place - start_of_mail, bytes(head)
            start_of_mail, head, in_header = place, bytearray(), True
        elif in_header:
            in_header = bool(line.strip()) and len(head) < _HEADER
            head += line
        place += len(line)
        line_start = line.endswith(b"\n")
    yield start_of_mail, place - start_of_mail, bytes(head)


def _entry(path: Path, offset: int, size: int, head: bytes, where: str) -> MboxEntry:
    message = email.message_from_bytes(head)
    own_id = header.message_id(message)
    answers = header.text_of(message, "In-Reply-To")
    parents = _ID.findall(f"{header.text_of(message, 'References')} {answers}")
    return MboxEntry(
        path,
        offset,
        size,
        where,
        header.parse_subject(header.subject_of(message)),
        header.text_of(message, "From"),
        own_id,
        tuple(dict.fromkeys(parent for parent in parents if parent != own_id)),
    )


class Stream(Protocol):
    """A readable stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end of the stream."""


def save(stream: Stream, what: str) -> Path:
    """Copy a stream to a file in the cache, named by the hash of its content; decompress gzip."""
    home = paths.cache("series")
    digest = hashlib.sha256()
    size = 0
    with paths.writing(home), paths.scratch(home / "spool") as scratch:
        with (scratch / "mbox").open("wb") as file:
            while block := stream.read(_BLOCK):
                size += len(block)
                if size > LIMIT:
                    raise SeriesError(
                        f"{what} is larger than {LIMIT >> 30} GB",
                        hint="pass only the mails of the series",
                    )
                digest.update(block)
                file.write(block)
        folder = paths.cache("series", f"mails-{digest.hexdigest()[:20]}")
        place = (scratch / "mbox").replace(folder / "mails.mbox")
    return unpacked(place)


def unpacked(path: Path) -> Path:
    """Return the file, or its decompressed content if it is gzip.

    If decompression fails, the file itself is returned, and reading it will report the error.
    """
    with contextlib.suppress(OSError, EOFError, zlib.error):
        with path.open("rb") as file:
            if file.read(2) != _GZIP:
                return path
        with gzip.open(path) as packed:
            return save(packed, str(path))
    return path
