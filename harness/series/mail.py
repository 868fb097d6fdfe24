# SPDX-License-Identifier: GPL-2.0-only
"""One mail of a series: who, what, which number, which files; from its bytes as they are."""

from __future__ import annotations

import dataclasses
import email
import email.header
import email.message
import email.utils
import re

from harness.errors import SeriesError
from harness.series import diff

_NUMBER = re.compile(r"^[^\]]*?\b(\d+)/(\d+)\s*\]")
_TAGS = re.compile(r"^\s*(?:re:\s*|fwd?:\s*)*(?:\[[^\]]*\]\s*)*", re.IGNORECASE)
_BASE = re.compile(r"^base-commit: ([0-9a-f]{7,64})\s*$", re.MULTILINE)
_RAW = "fetch the mail itself: on an archive's page the link is called raw or mbox"


@dataclasses.dataclass(frozen=True)
class Mail:
    """``number`` of ``total`` as the subject has it, both 0 if it has none.

    ``files`` is empty for a cover letter; ``base`` is what a base-commit trailer names.
    """

    where: str
    raw: bytes
    subject: str
    author: str
    number: int = 0
    total: int = 0
    files: tuple[str, ...] = ()
    base: str = ""

    @property
    def is_cover(self) -> bool:
        """Whether this is the cover letter: number 0, or no number and no diff."""
        return not self.files and self.number == 0


def parse(raw: bytes, where: str) -> Mail:
    """Read a mail; ``where`` names it in messages.

    Raises SeriesError for everything that git am could not take: nothing in it, a web page,
    something compressed, a diff without a mail around it, a cut or damaged diff.
    """
    _refuse(raw, where)
    message = email.message_from_bytes(raw.lstrip(b"\r\n"))
    subject = " ".join(_header(message, "Subject").split())
    author = _header(message, "From")
    body = _body(message)
    if not subject or not author:
        raise _not_a_mail(body or raw, where, subject, author)
    text, patch = diff.split(body)
    if not patch and re.search(rb"<(?:html|!doctype html)", body, re.IGNORECASE):
        raise SeriesError(f"{where} has its text only as HTML", hint=_RAW)
    number, total = _number(subject)
    return Mail(
        where,
        raw,
        _TAGS.sub("", subject) or subject,
        _author(text, author),
        number,
        total,
        diff.files(patch, text, where),
        _base(body),
    )


def text(raw: bytes, charset: str | None = None) -> str:
    """Decode bytes that may say nothing, or something untrue, about their encoding."""
    for name in (charset, "utf-8"):
        try:
            return raw.decode(name or "utf-8")
        except (UnicodeDecodeError, LookupError):
            continue
    return raw.decode("latin-1")


def _refuse(raw: bytes, where: str) -> None:
    start = raw[:2048].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise SeriesError(f"{where} is empty", hint="save the patch or mail again")
    if re.match(rb"<(?:!doctype|html|\?xml|head)", start, re.IGNORECASE):
        raise SeriesError(f"{where} is a web page (HTML), not a patch", hint=_RAW)
    if raw.startswith((b"\x1f\x8b", b"\xfd7zXZ", b"BZh", b"PK\x03\x04", b"\x28\xb5\x2f\xfd")):
        raise SeriesError(f"{where} is compressed", hint="unpack it first (gunzip, unxz, unzip)")


def _not_a_mail(body: bytes, where: str, subject: str, author: str) -> SeriesError:
    make = "git am needs From and Subject: commit the change and run git format-patch -1"
    if subject or author:
        missing = "Subject" if author else "From"
        return SeriesError(f"{where} has no {missing} line", hint=make)
    if diff.split(body)[1] or diff.split(b"\n" + body)[1]:
        return SeriesError(f"{where} is a plain diff, not a mail", hint=make)
    return SeriesError(
        f"{where} is not a patch: it has neither mail headers nor a diff",
        hint="give a folder of patches, one patch file, or an mbox (git format-patch makes them)",
    )


def _header(message: email.message.Message, name: str) -> str:
    value = message[name]
    if value is None:
        return ""
    parts = email.header.decode_header(value)
    # In an undecodable header the bytes are what the mail has; elsewhere strings stay strings.
    return "".join(
        text(part, charset if charset != "unknown-8bit" else None)
        if isinstance(part, bytes)
        else text(part.encode("utf-8", "surrogateescape"))
        for part, charset in parts
    ).strip()


def _body(message: email.message.Message) -> bytes:
    """Give the text parts as git am sees them: transfer encoding undone, nothing else."""
    parts = []
    for part in message.walk():
        if part.get_content_maintype() == "text":
            payload = part.get_payload(decode=True)
            parts.append(payload if isinstance(payload, bytes) else b"")
    return b"\n".join(parts)


def _author(before: bytes, sender: str) -> str:
    """Give the author: the body's own From line, if it begins with one, else who sent the mail."""
    first = before.lstrip().split(b"\n", 1)[0]
    if match := re.match(rb"From:\s*(.+@.+)", first):
        return text(match[1]).strip()
    return sender


def _number(subject: str) -> tuple[int, int]:
    for bracket in re.findall(r"\[([^\]]*\])", subject):
        if match := _NUMBER.match(bracket):
            return int(match[1]), int(match[2])
    return 0, 0


def _base(body: bytes) -> str:
    match = _BASE.search(text(body))
    return match[1] if match else ""
