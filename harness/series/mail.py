# SPDX-License-Identifier: GPL-2.0-only
"""One mail of a series: who, what, which number, which files; from its bytes as they are."""

from __future__ import annotations

import dataclasses
import email
import email.charset
import email.header
import email.message
import email.utils
import re

from harness.errors import SeriesError
from harness.series import body, diff, header, scissors, subject

_BASE = re.compile(r"^base-commit: ([0-9a-f]{7,64})\s*$", re.MULTILINE)
_BEFORE = re.compile(r"^prerequisite-patch-id: ([0-9a-f]{40,64})\s*$", re.MULTILINE)
_RAW = "fetch the mail itself: on an archive's page the link is called raw or mbox"
_MAGIC = "Mon Sep 17 00:00:00 2001"  # git's own date in the first line of a mail


@dataclasses.dataclass(frozen=True)
class Mail:
    """``number`` of ``total`` as the subject has it, both 0 if it has none.

    ``files`` is empty for a cover letter; ``base`` is what a base-commit trailer names, and
    ``prerequisites`` the ids of patches before the series.  ``text`` and ``patch`` are the body
    without any encoding; ``plain`` says that git am makes the same of ``raw``.
    """

    where: str
    raw: bytes
    subject: str
    author: str
    number: int = 0
    total: int = 0
    files: tuple[str, ...] = ()
    base: str = ""
    version: int = 1
    message_id: str = ""
    reply: bool = False
    prerequisites: tuple[str, ...] = ()
    sender: str = ""
    date: str = ""
    text: bytes = b""
    patch: bytes = b""
    plain: bool = True
    attached: tuple[bytes, ...] = ()

    @property
    def is_cover(self) -> bool:
        """Whether this is the cover letter: number 0, or no number and no diff."""
        return not self.files and self.number == 0

    @property
    def fair(self) -> bytes:
        """The mail for git am: as it came if that is good, else made again without encodings."""
        return self.raw if self.plain else normal(self)


def parse(raw: bytes, where: str) -> Mail:
    """Read a mail; ``where`` names it in messages.

    Raises SeriesError for everything that git am could not take: nothing in it, a web page,
    something compressed, a diff without a mail around it, a cut or damaged diff.
    """
    _refuse(raw, where)
    message = email.message_from_bytes(raw.lstrip(b"\xef\xbb\xbf\r\n"))
    found = body.read(raw, message, where)
    if found.plain and (b"\0" in found.text or not header.sound(message)):
        found = dataclasses.replace(found, plain=False)
    found, title, author, date, reply = _head(message, found)
    said = subject.read(title)
    if not title or not author:
        raise _not_a_mail(found.text + found.patch or raw, where, title, author)
    if found.html:
        raise SeriesError(f"{where} has its text only as HTML", hint=_RAW)
    words = header.decoded(found.text + found.patch)
    return Mail(
        where,
        raw,
        said.title,
        _author(found.text, author),
        said.number,
        said.total,
        diff.files(found.patch, found.text, where),
        "".join(_BASE.findall(words)[:1]),
        said.version,
        header.message_id(message),
        reply,
        tuple(_BEFORE.findall(words)),
        author,
        date,
        header.decoded(found.text, _charset(message)).replace("\0", "").encode(),
        found.patch,
        found.plain,
        found.attached,
    )


def _head(
    message: email.message.Message, found: body.Body
) -> tuple[body.Body, str, str, str, bool]:
    """Give the body, subject, author, date, and whether it is a reply.

    A patch below a scissors line has headers of its own, and is none.
    """
    title, author, date = (
        header.subject(message),
        *(header.text_of(message, name) for name in ("From", "Date")),
    )
    said = subject.read(title)
    below = scissors.cut(found.text, reply=said.reply) if found.patch else None
    if below is None:
        return found, title, author, date, said.reply
    own = {name: header.decoded(value) for name, value in below.headers.items()}
    found = dataclasses.replace(found, text=below.text, plain=False)
    own = {"subject": said.title, "from": author, "date": date} | own
    return found, own["subject"], own["from"], own["date"], False


def normal(mail: Mail, text: bytes | None = None) -> bytes:
    """Write the mail as git format-patch would: one part, UTF-8, no transfer encoding.

    ``text`` is put in place of the words before the diff.
    """
    count = f" {mail.number:0{len(str(mail.total))}}/{mail.total}" if mail.total else ""
    version = f" v{mail.version}" if mail.version > 1 else ""
    words = header.decoded(mail.text if text is None else text).replace("\r\n", "\n")
    lines = [f"From {'0' * 40} {_MAGIC}", f"From: {_address(mail.sender)}"]
    lines += [f"Date: {mail.date}"] if mail.date else []
    lines += [f"Subject: {_encoded(f'[PATCH{version}{count}] {mail.subject}')}"]
    lines += [f"Message-ID: <{mail.message_id}>"] if mail.message_id else []
    lines += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=UTF-8"]
    lines += ["Content-Transfer-Encoding: 8bit", ""]
    end = b"" if mail.patch.endswith(b"\n") or not mail.patch else b"\n"
    between = "" if not mail.patch or re.search(r"^---\s*$", words, re.MULTILINE) else "---\n"
    start = "\n".join(lines) + "\n" + words.strip("\n") + "\n" + between
    tail = b"" if re.search(rb"^-- ?$", mail.patch, re.MULTILINE) else b"-- \nharness\n"
    space = b"\n" if mail.patch else b""
    return start.encode() + space + mail.patch + end + tail + b"\n"


def _encoded(value: str) -> str:
    """Write a header's value in ASCII; one line, however long."""
    if value.isascii() and "=?" not in value:
        return value
    # Quoted-printable is what people can still read.
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


def _refuse(raw: bytes, where: str) -> None:
    start = raw[:2048].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise SeriesError(f"{where} is empty", hint="save the patch or mail again")
    if re.match(rb"<(?:!doctype|html|\?xml|head)", start, re.IGNORECASE):
        raise SeriesError(f"{where} is a web page (HTML), not a patch", hint=_RAW)
    if raw.startswith((b"\x1f\x8b", b"\xfd7zXZ", b"BZh", b"PK\x03\x04", b"\x28\xb5\x2f\xfd")):
        raise SeriesError(f"{where} is compressed", hint="unpack it first (gunzip, unxz, unzip)")


def _not_a_mail(found: bytes, where: str, title: str, author: str) -> SeriesError:
    make = "git am needs From and Subject: commit the change and run git format-patch -1"
    if title or author:
        missing = "Subject" if author else "From"
        return SeriesError(f"{where} has no {missing} line", hint=make)
    if diff.split(found)[1] or diff.split(b"\n" + found)[1]:
        return SeriesError(f"{where} is a plain diff, not a mail", hint=make)
    return SeriesError(
        f"{where} is not a patch: it has neither mail headers nor a diff",
        hint="give a folder of patches, one patch file, or an mbox (git format-patch makes them)",
    )


def _author(before: bytes, sender: str) -> str:
    """Give the author: the body's own From line, if it begins with one, else who sent the mail."""
    first = before.lstrip().split(b"\n", 1)[0]
    if match := re.match(rb"From:\s*(.+@.+)", first):
        return header.decoded(match[1]).strip()
    return sender
