# SPDX-License-Identifier: GPL-2.0-only
"""A mail of a series: author, subject, number and diff, parsed from its raw bytes."""

from __future__ import annotations

import dataclasses
import email
import email.charset
import email.header
import email.message
import email.utils
import re
from pathlib import Path

from harness import diff
from harness.diff import FileDiff
from harness.errors import SeriesError
from harness.series import body, header
from harness.series.body import Body

_BASE = re.compile(r"^base-commit: ([0-9a-f]{7,64})\s*$", re.MULTILINE)
_PREREQUISITE = re.compile(r"^prerequisite-patch-id: ([0-9a-f]{40,64})\s*$", re.MULTILINE)
_RAW = 'download the mail itself: use the link called "raw" or "mbox" on the archive\'s page'
_GIT_DATE = "Mon Sep 17 00:00:00 2001"  # git writes it in the first line of every mail


@dataclasses.dataclass(frozen=True)
class Mail:
    """A mail: ``number`` of ``total`` from the subject, both 0 if it has no number; see Subject.

    ``version`` is 0 if the subject names none.  ``diffs`` is empty for a cover letter, even if it
    shows an interdiff; ``base`` is from the base-commit trailer, and
    ``prerequisites`` are the ids of patches before the series.  ``text`` and ``patch`` are the
    decoded body; ``plain``: git am reads ``raw`` as we do; ``path`` is the mail's file.
    """

    where: str
    raw: bytes
    subject: str
    author: str
    number: int = 0
    between: str = ""
    total: int = 0
    diffs: tuple[FileDiff, ...] = ()
    base: str = ""
    version: int = 0
    message_id: str = ""
    reply: bool = False
    prerequisites: tuple[str, ...] = ()
    sender: str = ""
    date: str = ""
    text: bytes = b""
    patch: bytes = b""
    plain: bool = True
    attached: tuple[bytes, ...] = ()
    path: Path = Path()

    @property
    def files(self) -> tuple[str, ...]:
        """All file names in the diff, in order."""
        return tuple(dict.fromkeys(name for file in self.diffs for name in file.names))

    @property
    def slot(self) -> tuple[int, str]:
        """The place in the series; orders its mails."""
        return self.number, self.between

    @property
    def is_cover(self) -> bool:
        """Whether this is the cover letter: number 0, or neither number nor diff."""
        return self.number == 0 and (self.total > 0 or not self.diffs)

    @property
    def for_git_am(self) -> bytes:
        """The original mail if git am can read it, otherwise rewritten without encodings."""
        return self.raw if self.plain else rewritten(self)


def parse(raw: bytes, where: str) -> Mail:
    """Parse a mail; messages refer to it as ``where``.

    Raises SeriesError for anything that git am could not apply: an empty file, a web page, a
    compressed file, a plain diff, a truncated or damaged diff.
    """
    _refuse_other_files(raw, where)
    message = email.message_from_bytes(raw.lstrip(b"\xef\xbb\xbf\r\n"))
    content = body.read(raw, message, where)
    if content.plain and (b"\0" in content.text or not header.git_can_decode(message)):
        content = dataclasses.replace(content, plain=False)
    content, subject_line, sender, date, reply = _cut_at_scissors(message, content)
    if not subject_line or not sender:
        raise _not_a_mail(content.text + content.patch or raw, where, subject_line, sender)
    if content.html:
        raise SeriesError(f"{where} contains only HTML", hint=_RAW)
    subject = header.parse_subject(subject_line)
    if subject.is_cover:  # an interdiff or the sum of all patches is for people
        content = dataclasses.replace(content, text=content.text + content.patch, patch=b"")
    content = body.with_prefixes(content)
    everything = header.decoded(content.text + content.patch)
    bases = _BASE.findall(everything)
    text = header.decoded(content.text, _charset(message)).replace("\0", "")
    return Mail(
        where=where,
        raw=raw,
        subject=subject.title,
        author=_author(content.text, sender),
        number=subject.number,
        between=subject.between,
        total=subject.total,
        diffs=body.file_diffs(content.patch, content.text, where),
        base=bases[0] if bases else "",
        version=subject.version,
        message_id=header.message_id(message),
        reply=reply,
        prerequisites=tuple(_PREREQUISITE.findall(everything)),
        sender=sender,
        date=date,
        text=text.encode(),
        patch=content.patch,
        plain=content.plain,
        attached=content.attached,
    )


def _cut_at_scissors(
    message: email.message.Message, content: Body
) -> tuple[Body, str, str, str, bool]:
    """Return the body, subject, sender, date, and whether the mail is a reply.

    A patch below a scissors line has its own headers, and does not count as a reply.
    """
    line = header.subject_of(message)
    sender, date = header.text_of(message, "From"), header.text_of(message, "Date")
    subject = header.parse_subject(line)
    below = body.below_scissors(content.text, reply=subject.reply) if content.patch else None
    if below is None:
        return content, line, sender, date, subject.reply
    own = {name: header.decoded(value) for name, value in below.headers.items()}
    content = dataclasses.replace(content, text=below.text, plain=False)
    line = own.get("subject", subject.title)
    return content, line, own.get("from", sender), own.get("date", date), False


def rewritten(mail: Mail) -> bytes:
    """Return the mail as git format-patch would write it: one part, UTF-8, no transfer encoding."""
    number = f"{mail.number:0{len(str(mail.total))}}{mail.between and '.'}{mail.between}"
    count = f" {number}/{mail.total}" if mail.total else ""
    version = f" v{mail.version}" if mail.version > 1 else ""
    text = header.decoded(mail.text).replace("\r\n", "\n")
    lines = [f"From {'0' * 40} {_GIT_DATE}", f"From: {_address(mail.sender)}"]
    lines += [f"Date: {mail.date}"] if mail.date else []
    lines += [f"Subject: {_encoded(f'[PATCH{version}{count}] {mail.subject}')}"]
    lines += [f"Message-ID: <{mail.message_id}>"] if mail.message_id else []
    lines += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=UTF-8"]
    lines += ["Content-Transfer-Encoding: 8bit", "", text.strip("\n")]
    if mail.patch:
        lines += ["", ""] if re.search(r"^---\s*$", text, re.MULTILINE) else ["---", "", ""]
    else:
        lines += [""]
    newline = b"\n" if mail.patch and not mail.patch.endswith(b"\n") else b""
    signed = re.search(rb"^-- ?$", mail.patch, re.MULTILINE)
    signature = b"" if signed else b"-- \nharness\n"
    return "\n".join(lines).encode() + mail.patch + newline + signature + b"\n"


def _encoded(value: str) -> str:
    """Return a header's value in ASCII, as a single line of any length."""
    if value.isascii() and "=?" not in value:
        return value
    # Quoted-printable is more readable than base64.
    charset = email.charset.Charset("utf-8")
    charset.header_encoding = email.charset.QP
    return email.header.Header(value, charset, maxlinelen=78).encode(linesep="\n")


def _address(value: str) -> str:
    name, address = email.utils.parseaddr(value)
    if not address or value.isascii():
        return value
    return f"{_encoded(name)} <{address}>"


def _charset(message: email.message.Message) -> str | None:
    parts = (part for part in message.walk() if part.get_content_maintype() == "text")
    charset = next((part.get_content_charset() for part in parts), None)
    return None if charset and charset.startswith(("utf-16", "utf-32")) else charset


def _refuse_other_files(raw: bytes, where: str) -> None:
    start = raw[:2048].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise SeriesError(f"{where} is empty", hint="save the patch or mail again")
    if re.match(rb"<(?:!doctype|html|\?xml|head)", start, re.IGNORECASE):
        raise SeriesError(f"{where} is a web page (HTML), not a patch", hint=_RAW)
    if raw.startswith((b"\x1f\x8b", b"\xfd7zXZ", b"BZh", b"PK\x03\x04", b"\x28\xb5\x2f\xfd")):
        what = f"{where} is compressed"
        raise SeriesError(what, hint="decompress it first (gunzip, unxz, unzip)")


def _not_a_mail(content: bytes, where: str, subject: str, sender: str) -> SeriesError:
    make = "git am needs From and Subject: commit the change and run git format-patch -1"
    if subject or sender:
        missing = "Subject" if sender else "From"
        return SeriesError(f"{where} has no {missing} line", hint=make)
    if diff.split(content)[1] or diff.split(b"\n" + content)[1]:
        return SeriesError(f"{where} is a plain diff, not a mail", hint=make)
    return SeriesError(
        f"{where} is not a patch: it has neither mail headers nor a diff",
        hint="use a folder of patches, a patch file, or an mbox (git format-patch makes them)",
    )


def _author(text: bytes, sender: str) -> str:
    """Return the author: from a From line at the start of the body, otherwise the sender."""
    first = text.lstrip().split(b"\n", 1)[0]
    if match := re.match(rb"From:\s*(.+@.+)", first):
        return header.decoded(match[1]).strip()
    return sender
