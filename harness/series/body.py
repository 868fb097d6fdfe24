# SPDX-License-Identifier: GPL-2.0-only
"""The words and the diff of a mail, with what mailers do to them undone."""

from __future__ import annotations

import dataclasses
import email
import email.message
import email.policy
import re
from collections.abc import Iterator, Sequence

from harness.errors import SeriesError
from harness.series import diff
from harness.series.header import decoded

_AGAIN = "save the mail again, or ask for it as an attachment or from an archive"
_PATCH_NAME = re.compile(r"\.(?:patch|diff|mbo?x|eml)(?:\.txt)?$", re.IGNORECASE)
# A whole mail, as an attached format-patch file is one.
_MAIL = re.compile(rb"(?:From [0-9a-f]{40} |From: )[^\n]*\n(?:[!-~]+:.*\n|[ \t].*\n)*Subject:")
# What git am cannot decode at all: every letter has more bytes than one.
_WIDE = ("utf-16", "utf-32", "utf16", "utf32", "iso-2022", "ucs")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_GIT = re.compile(rb"From [0-9a-f]{40,64} Mon Sep 17 00:00:00 2001")
_EACH = re.compile(rb"^(?=From [0-9a-f]{40,64} Mon Sep 17 00:00:00 2001\r?\n)", re.MULTILINE)
_AS_IT_IS = email.policy.compat32.clone(max_line_length=0)


@dataclasses.dataclass(frozen=True)
class Body:
    """``text`` comes before ``patch``; ``plain`` says that git am reads the mail as we do.

    ``attached`` are whole mails that this one carries instead of a diff of its own.
    """

    text: bytes
    patch: bytes
    plain: bool
    attached: tuple[bytes, ...] = ()
    html: bool = False


def read(raw: bytes, message: email.message.Message, where: str) -> Body:
    """Read the parts of a mail.  Raises SeriesError when an encoding is damaged."""
    parts = list(_parts(message))
    whole = [payload for part, payload in parts if _MAIL.match(payload) and part is not message]
    texts, plain = [], not message.is_multipart()
    for part, payload in parts:
        if payload in whole:
            continue
        undone = _undone(part, payload)
        plain = plain and undone == payload and _encoding(part) in ("", "7bit", "8bit", "binary")
        texts.append(undone)
    body = b"\n".join(texts)
    text, patch = diff.split(body)
    if not patch:
        _see_decoded(parts, body, where)
    if raw.startswith(b"From ") and not _GIT.match(raw):
        fair = _QUOTED_FROM.sub(rb"\1", text)
        plain, text = plain and fair == text, fair
    html = bool(re.search(rb"<(?:html|!doctype html)", body, re.IGNORECASE))
    mails = [] if patch else [one for raw in whole for one in _EACH.split(raw) if one.strip()]
    return Body(text, patch, plain, (*mails, *_inside(message, patch)), html and not patch)


def _inside(message: email.message.Message, patch: bytes) -> Iterator[bytes]:
    """Give the mails that were attached as such, if there is no diff beside them."""
    for part in _own(message) if not patch else ():
        if part.get_content_type() == "message/rfc822" and part is not message:
            yield from (inner.as_bytes(policy=_AS_IT_IS) for inner in _payload(part))


def _own(part: email.message.Message) -> Iterator[email.message.Message]:
    """Give the parts of a mail, without those of mails in it."""
    yield part
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        for inner in _payload(part):
            yield from _own(inner)


def _payload(part: email.message.Message) -> list[email.message.Message]:
    payload = part.get_payload()
    some = payload if isinstance(payload, list) else []
    return [one for one in some if isinstance(one, email.message.Message)]


def _parts(message: email.message.Message) -> Iterator[tuple[email.message.Message, bytes]]:
    """Give the parts that can hold words or a diff, decoded; HTML only if there is nothing else."""
    leaves = [part for part in _own(message) if not part.is_multipart()]
    plain = [part for part in leaves if _is_text(part)]
    for part in plain or [part for part in leaves if part.get_content_maintype() == "text"]:
        payload = part.get_payload(decode=True)
        yield part, payload if isinstance(payload, bytes) else b""


def _is_text(part: email.message.Message) -> bool:
    if part.get_content_maintype() == "text":
        return part.get_content_subtype() != "html"
    return bool(_PATCH_NAME.search(part.get_filename() or ""))


def _encoding(part: email.message.Message) -> str:
    return str(part.get("Content-Transfer-Encoding", "")).strip().lower()


def _undone(part: email.message.Message, payload: bytes) -> bytes:
    """Undo what a mailer did besides the transfer encoding."""
    charset = (part.get_content_charset() or "").lower()
    if charset.startswith(_WIDE):
        payload = decoded(payload, charset).encode()
    lines = payload.split(b"\n")
    encoded = _encoding(part) in ("base64", "quoted-printable")
    if encoded and len(lines) > 1 and all(line.endswith(b"\r") for line in lines[:-1]):
        payload = payload.replace(b"\r\n", b"\n")
    if str(part.get_param("format", "")).lower() == "flowed":
        payload = _unflowed(payload, str(part.get_param("delsp", "")).lower() == "yes")
    return payload


def _unflowed(payload: bytes, delete: bool) -> bytes:
    """Take back format=flowed: a space more before lines that begin with one, and broken lines.

    Many mailers claim it and do nothing of it: then some line of the diff begins with one space
    and goes on with something else.
    """
    text, patch = diff.split(payload)
    lines = patch.split(b"\n")
    spaced = [line for line in lines if line.startswith(b" ") and line.strip()]
    if not spaced or not all(line.startswith(b"  ") for line in spaced):
        return payload
    fair = [line[1:] if line.startswith(b" ") else line for line in lines]
    words = [line[1:] if line.startswith(b" ") else line for line in text.split(b"\n")]
    if not diff.is_whole(b"\n".join(fair)):
        fair = _joined(fair, delete)
    return b"\n".join([*words[:-1], *fair])


def _joined(lines: Sequence[bytes], delete: bool) -> list[bytes]:
    """Put lines together that end in a space, but for what must stand alone."""
    found: list[bytes] = []
    goes_on = False
    for line in lines:
        if goes_on:
            found[-1] = (found[-1][:-1] if delete else found[-1]) + line
        else:
            found.append(line)
        goes_on = line.endswith(b" ") and len(line.strip()) > 1 and line != b"-- "
    return found


def _see_decoded(
    parts: Sequence[tuple[email.message.Message, bytes]], body: bytes, where: str
) -> None:
    """Refuse a mail whose text is rubbish: nothing in it would tell that it is a patch."""
    damaged = any(
        type(defect).__name__.startswith("InvalidBase64")
        for part, _ in parts
        for defect in part.defects
    )
    if damaged and any(_encoding(part) == "base64" for part, _ in parts):
        raise SeriesError(f"{where} is damaged: its base64 text cannot be decoded", hint=_AGAIN)
    strange = sum(body.count(bytes([code])) for code in (*range(8), *range(14, 27), 127))
    if any(_encoding(part) == "base64" for part, _ in parts) and strange * 20 > len(body):
        raise SeriesError(f"{where} is damaged: its base64 text decodes to no text", hint=_AGAIN)
