# SPDX-License-Identifier: GPL-2.0-only
"""Extract the text and the diff of a mail, and undo changes made by mailers."""

from __future__ import annotations

import email
import email.message
import email.policy
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness import diff
from harness.diff import DiffError, FileDiff
from harness.errors import SeriesError
from harness.series.header import decoded

_SAVE_AGAIN = "save the mail again, download it from an archive, or ask for it as an attachment"
_MAKE_AGAIN = (
    "the mail was truncated or changed in transit: save it again, or recreate it with"
    " git format-patch"
)
_ASK_SENDER = "do not use this patch, or ask its sender what it is for"
_PATCH_NAME = re.compile(r"\.(?:patch|diff|mbo?x|eml)(?:\.txt)?$", re.IGNORECASE)
# A complete mail, such as an attached format-patch file.
_MAIL = re.compile(rb"(?:From [0-9a-f]{40} |From: )[^\n]*\n(?:[!-~]+:.*\n|[ \t].*\n)*Subject:")
# Encodings that git am cannot decode: wide or stateful ones.
_WIDE = ("utf-16", "utf-32", "utf16", "utf32", "iso-2022", "ucs")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_GIT_FROM = re.compile(rb"From [0-9a-f]{40,64} Mon Sep 17 00:00:00 2001")
_MAIL_START = re.compile(rb"^(?=From [0-9a-f]{40,64} Mon Sep 17 00:00:00 2001\r?\n)", re.MULTILINE)
_UNCHANGED = email.policy.compat32.clone(max_line_length=0)
_STAT = re.compile(rb"^ (\d+) files? changed(?:, \d+ insertions?\(\+\))?(?:, \d+ deletions?\(-\))?")
_SIGNATURE = re.compile(rb"^-- ?\r?$", re.MULTILINE)
_CLEARSIGNED = re.compile(  # PGP: its lines that begin with a dash are escaped
    rb"\A\s*-----BEGIN PGP SIGNED MESSAGE-----\n(?:\w+: [^\n]*\n)*\n(.*)^-----BEGIN PGP SIGNATURE",
    re.MULTILINE | re.DOTALL,
)
_SCISSORS = re.compile(rb"^[ \t]*(?=[^\n]*-)(?=[^\n]*(?:>[8%]|[8%]<))(.{8,})$", re.MULTILINE)
_SCISSOR_MARKS = re.compile(rb"(?:>[8%]|[8%]<|[-\s])")
_HEADER = re.compile(rb"(From|Subject|Date):[ \t]*(\S[^\n]*(?:\n[ \t]+\S[^\n]*)*)\n", re.IGNORECASE)


@dataclass(frozen=True)
class Body:
    """A mail's ``text`` before the diff, and the diff (``patch``).

    ``plain``: git am reads the mail as we do.  ``attached`` are the complete mails attached to a
    mail without its own diff.
    """

    text: bytes
    patch: bytes
    plain: bool
    attached: tuple[bytes, ...] = ()
    html: bool = False


def read(raw: bytes, message: email.message.Message, where: str) -> Body:
    """Read the parts of a mail.  Raises SeriesError if an encoding is damaged."""
    parts = list(_text_parts(message))
    quoted = raw.startswith(b"From ") and not _GIT_FROM.match(raw)
    mails, texts, plain = [], [], not message.is_multipart()
    for part, payload in parts:
        text = _QUOTED_FROM.sub(rb"\1", payload) if quoted else payload
        if _MAIL.match(text) and part is not message:
            mails.append(text)
            continue
        text = _undo_mailer(part, text)
        plain = plain and text == payload and _encoding(part) in ("", "7bit", "8bit", "binary")
        texts.append(text)
    body = b"\n".join(texts)
    text, patch = diff.split(body)
    if not patch:
        _refuse_garbage([part for part, _ in parts], body, where)
    html = bool(re.search(rb"<(?:html|!doctype html)", body, re.IGNORECASE))
    if patch:
        return Body(text, patch, plain)
    attached = [mail for box in mails for mail in _MAIL_START.split(box) if mail.strip()]
    for part in _own_parts(message):
        if part.get_content_type() == "message/rfc822" and part is not message:
            attached += [inner.as_bytes(policy=_UNCHANGED) for inner in _subparts(part)]
    return Body(text, patch, plain, tuple(attached), html)


def _own_parts(part: email.message.Message) -> Iterator[email.message.Message]:
    """Yield the parts of a mail, without the parts of mails attached to it."""
    yield part
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        for inner in _subparts(part):
            yield from _own_parts(inner)


def _subparts(part: email.message.Message) -> list[email.message.Message]:
    payload = part.get_payload()
    subparts = payload if isinstance(payload, list) else []
    return [inner for inner in subparts if isinstance(inner, email.message.Message)]


def _text_parts(message: email.message.Message) -> Iterator[tuple[email.message.Message, bytes]]:
    """Yield the decoded parts that may be text or a diff; HTML only if there is nothing else."""
    leaves = [part for part in _own_parts(message) if not part.is_multipart()]
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


def _undo_mailer(part: email.message.Message, payload: bytes) -> bytes:
    """Undo a mailer's changes other than the transfer encoding."""
    charset = (part.get_content_charset() or "").lower()
    if charset.startswith(_WIDE):
        payload = decoded(payload, charset).encode()
    lines = payload.split(b"\n")
    encoded = _encoding(part) in ("base64", "quoted-printable")
    if encoded and len(lines) > 1 and all(line.endswith(b"\r") for line in lines[:-1]):
        payload = payload.replace(b"\r\n", b"\n")
    if signed := _CLEARSIGNED.match(payload):
        payload = re.sub(rb"^- ", b"", signed[1], flags=re.MULTILINE)
    if str(part.get_param("format", "")).lower() == "flowed":
        payload = _unflowed(payload, str(part.get_param("delsp", "")).lower() == "yes")
    return payload


def _unflowed(payload: bytes, delete_space: bool) -> bytes:
    """Undo format=flowed: an extra space before lines that begin with a space, and wrapped lines.

    Many mailers declare format=flowed without applying it: then some line of the diff begins with
    exactly one space.
    """
    text, patch = diff.split(payload)
    lines = patch.split(b"\n")
    spaced = [line for line in lines if line.startswith(b" ") and line.strip()]
    if not spaced or not all(line.startswith(b"  ") for line in spaced):
        return payload
    unstuffed = [line.removeprefix(b" ") for line in lines]
    try:
        file_diffs(b"\n".join(unstuffed), b"", "")
    except SeriesError:
        unstuffed = _joined(unstuffed, delete_space)
    text_lines = [line.removeprefix(b" ") for line in text.split(b"\n")]
    return b"\n".join([*text_lines[:-1], *unstuffed])


def _joined(lines: Sequence[bytes], delete_space: bool) -> list[bytes]:
    """Join a line that ends in a space with the next, except for context lines and signatures."""
    joined: list[bytes] = []
    continued = False
    for line in lines:
        if continued:
            joined[-1] = (joined[-1][:-1] if delete_space else joined[-1]) + line
        else:
            joined.append(line)
        continued = line.endswith(b" ") and len(line.strip()) > 1 and line != b"-- "
    return joined


def _refuse_garbage(parts: Sequence[email.message.Message], body: bytes, where: str) -> None:
    """Raise SeriesError for damaged base64, because its decoded text does not look like a patch."""
    if not any(_encoding(part) == "base64" for part in parts):
        return
    defects = [type(defect).__name__ for part in parts for defect in part.defects]
    if any(name.startswith("InvalidBase64") for name in defects):
        raise SeriesError(
            f"{where} is damaged: its base64 part cannot be decoded", hint=_SAVE_AGAIN
        )
    control = sum(body.count(bytes([code])) for code in (*range(8), *range(14, 27), 127))
    if control * 20 > len(body):
        raise SeriesError(
            f"{where} is damaged: its base64 part does not decode to text", hint=_SAVE_AGAIN
        )


@dataclass(frozen=True)
class Scissored:
    """The headers below a scissors line, with names in lower case, and the text after them."""

    headers: dict[str, bytes]
    text: bytes


def below_scissors(text: bytes, *, reply: bool) -> Scissored | None:
    """Return what is below the last scissors line before the diff; None if nothing is cut off.

    In a reply everything above is discussion.  Elsewhere the line only counts if headers follow it,
    because it may be part of the commit message.
    """
    cuts = [
        match
        for match in _SCISSORS.finditer(text)
        # Mostly scissors and dashes rather than words.
        if len(_SCISSOR_MARKS.sub(b"", match[1])) * 2 < len(match[1].strip())
    ]
    if not cuts:
        return None
    rest = text[cuts[-1].end() :].lstrip(b"\r\n")
    headers: dict[str, bytes] = {}
    while match := _HEADER.match(rest):
        headers[match[1].decode().lower()] = b" ".join(match[2].split())
        rest = rest[match.end() :]
    return Scissored(headers, rest.lstrip(b"\r\n")) if headers or reply else None


def with_prefixes(content: Body) -> Body:
    """Add a/ and b/ to file names that lack them (diff.noprefix), which git am needs."""
    patch = diff.with_prefixes(content.patch)
    return content if patch is content.patch else replace(content, patch=patch, plain=False)


def file_diffs(patch: bytes, before: bytes, where: str) -> tuple[FileDiff, ...]:
    """Parse the diff of a mail; empty for an empty patch.  ``before`` is the text before it.

    Raises SeriesError for a diff that is damaged or truncated, or that changes something outside
    the tree.
    """
    if not patch:
        return ()
    tail = b"".join(patch.replace(b"\r\n", b"\n").splitlines(keepends=True)[-8:])
    ending = "it ends with:\n" + decoded(tail).rstrip("\n")
    try:
        files = diff.parse(patch)
    except DiffError as error:
        raise SeriesError(
            f"{where} is damaged: {error}", hint=_MAKE_AGAIN, details=error.details or ending
        ) from error
    _refuse_outside((name for file in files for name in file.names), where)
    for file in files:
        if file.link:
            _refuse_link(file, where)
    # A mail truncated between two files has fewer files than its diffstat, and no signature.
    # Either sign alone proves nothing, because people edit both.
    counts = [int(match[1]) for match in map(_STAT.match, before.splitlines()) if match]
    if counts and len(files) < counts[-1] and not _SIGNATURE.search(patch):
        raise SeriesError(
            f"{where} is truncated: its diffstat lists {counts[-1]} files, the diff {len(files)}",
            hint=_MAKE_AGAIN,
            details=ending,
        )
    return tuple(files)


def _refuse_outside(names: Iterable[str], where: str) -> None:
    """Raise SeriesError for names outside the tree, or in git's own folder."""
    for name in names:
        parts = name.split("/")
        git = any(re.fullmatch(r"\.git|git~1", part.rstrip(". "), re.IGNORECASE) for part in parts)
        if git or ".." in parts or "" in parts or not name.isprintable():
            shown = ascii(name) if not name.isprintable() else f"'{name}'"
            raise SeriesError(
                f"{where} changes {shown}, which is outside the tree", hint=_ASK_SENDER
            )


def _refuse_link(file: FileDiff, where: str) -> None:
    """Raise SeriesError for a link to outside the tree, which later changes would follow."""
    for goal in ["(a binary diff)"] if file.binary else file.added:
        if file.binary or diff.leads_out(file.new, goal):
            raise SeriesError(
                f"{where} makes '{file.new}' a link to '{goal}', which is outside the tree",
                hint=_ASK_SENDER,
            )
