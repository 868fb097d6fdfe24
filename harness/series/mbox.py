# SPDX-License-Identifier: GPL-2.0-only
"""Index mails in files by their headers, in bounded memory; save pipes and gzip as files."""

from __future__ import annotations

import contextlib
import dataclasses
import email
import email.utils
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
from harness.series import body, header
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
# Lines of a diff, by their first four bytes, since every line of an archive is looked at.
_DIFF_LINES = {b"diff": b"diff --git ", b"@@ -": b"@@ -", b"Inde": b"Index: "}
_BASE64 = re.compile(rb"Content-Transfer-Encoding:\s*base64", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a mail is in its file: its header, and whether lines of a diff or base64 follow."""

    offset: int
    size: int
    head: bytes
    has_diff: bool
    encoded: bool


@dataclasses.dataclass(frozen=True)
class MboxEntry:
    """The location of a mail, and data from its header.

    ``parents`` are the ids of the mails it replies to, the nearest one last.  ``date`` is in
    seconds since the epoch, 0 if unknown.  ``has_diff``: the mail looks like a patch; this is only
    known for mails that are not replies.
    """

    path: Path
    offset: int
    size: int
    where: str
    subject: Subject
    sender: str
    message_id: str
    parents: tuple[str, ...]
    date: float = 0.0
    has_diff: bool = False

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
        _entry(path, mail, f"mail {number} of {where}" if len(mails) > 1 else where)
        for number, mail in enumerate(mails, 1)
    ]


def _mails(file: BinaryIO) -> Iterator[_Place]:
    """Yield the place of each mail."""
    size = os.fstat(file.fileno()).st_size
    first = file.readline(_LINE)
    blank = 0
    while first and not first.strip(b"\xef\xbb\xbf \t\r\n") and blank < _LINE:
        blank += len(first)
        first = file.readline(_LINE)
    if not _FROM.match(first):
        file.seek(0)
        start = file.read(_HEADER).lstrip(b"\xef\xbb\xbf\r\n")
        head = re.split(rb"\r?\n\r?\n", start, maxsplit=1)[0] + b"\n\n"
        yield _Place(0, size, head, has_diff=True, encoded=True)
        return
    start_of_mail, place, head = blank, blank + len(first), bytearray()
    in_header = line_start = True
    has_diff = encoded = False
    for line in iter(lambda: file.readline(_LINE), b""):
        if line_start and line.startswith(b"From ") and _FROM.match(line):
            yield _Place(start_of_mail, place - start_of_mail, bytes(head), has_diff, encoded)
            start_of_mail, head, in_header = place, bytearray(), True
            has_diff = encoded = False
        elif in_header:
            in_header = bool(line.strip()) and len(head) < _HEADER
            head += line
        elif line_start and (mark := _DIFF_LINES.get(line[:4])) and line.startswith(mark):
            has_diff = True
        if line[:8].lower() == b"content-" and _BASE64.match(line):
            encoded = True
        place += len(line)
        line_start = line.endswith(b"\n")
    yield _Place(start_of_mail, place - start_of_mail, bytes(head), has_diff, encoded)


def _entry(path: Path, mail: _Place, where: str) -> MboxEntry:
    message = email.message_from_bytes(mail.head)
    own_id = header.message_id(message)
    answers = _ID.findall(header.text_of(message, "In-Reply-To"))
    references = _ID.findall(header.text_of(message, "References"))
    # Some mailers list references in reverse, so only In-Reply-To tells the nearest mail.
    parents = [*(one for one in references if one not in answers), *reversed(answers)]
    entry = MboxEntry(
        path,
        mail.offset,
        mail.size,
        where,
        header.parse_subject(header.subject_of(message)),
        header.text_of(message, "From"),
        own_id,
        tuple(dict.fromkeys(parent for parent in parents if parent != own_id)),
        _seconds(header.text_of(message, "Date")),
        mail.has_diff,
    )
    if mail.encoded and not entry.subject.reply:
        return dataclasses.replace(entry, has_diff=_decodes_to_diff(entry))
    return entry


def _seconds(date: str) -> float:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return 0.0


def _decodes_to_diff(entry: MboxEntry) -> bool:
    """Return whether a mail whose parts are encoded is or contains a patch."""
    try:
        raw = entry.raw()
        content = body.read(raw, email.message_from_bytes(raw), entry.where)
    except SeriesError:  # damaged or too large, which is reported if the mail is used
        return True
    return bool(content.patch or content.attached)


class Stream(Protocol):
    """A readable stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end of the stream."""


def save(stream: Stream, what: str, home: Path) -> Path:
    """Copy a stream to a file below ``home``, named by the hash of its content; unpack gzip."""
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
        folder = home / f"mails-{digest.hexdigest()[:20]}"
        folder.mkdir(exist_ok=True)
        place = (scratch / "mbox").replace(folder / "mails.mbox")
    return unpacked(place, home)


def unpacked(path: Path, home: Path) -> Path:
    """Return the file, or its decompressed content if it is gzip.

    If decompression fails, the file itself is returned, and reading it will report the error.
    """
    with contextlib.suppress(OSError, EOFError, zlib.error):
        with path.open("rb") as file:
            if file.read(2) != _GZIP:
                return path
        with gzip.open(path) as packed:
            return save(packed, str(path), home)
    return path
