# SPDX-License-Identifier: GPL-2.0-only
"""Decode the header of a mail, even if it is malformed, and parse the subject line."""

from __future__ import annotations

import codecs
import dataclasses
import email.errors
import email.header
import email.message
import re
from unicodedata import category

_BRACKET = re.compile(r"\[([^\]]*)\]")
_NUMBER = re.compile(r"(?<![\w/.])(\d{1,4})/(\d{1,4})(?![\w/.])")
# v2, PATCHv2, -v2, and v2.1 as git format-patch writes it; v4.9 and above are kernel versions.
_VERSION = re.compile(
    r"(?:(?<![\w.-])|(?<=PATCH)|(?<=RFC)|(?<=[\s,]-))v(?:ersion)?\s?"
    r"(?:(\d{1,3})|([1-3])\.(\d{1,3}))(?![\w.])",
    re.IGNORECASE,
)
# "Re:" in several languages; mailing lists may put their name before it.
_REPLY = re.compile(
    r"^\s*(?:\[(?![^\]]*(?:patch|\d/\d))[^\]]*\]\s*)*"
    r"(?:(?:re|aw|sv|antw|fwd?|wg)\s*(?:\[\d+\])?\s*:"
    r"|(?:vs|odp|rif|rép|ré|vb|tr|rv|ynt|回复|答复|回覆|转发|轉寄)\s*[:\uff1a]\s*(?=\[))",
    re.IGNORECASE,
)
_TAGS = re.compile(r"^\s*(?:re:\s*|fwd?:\s*|\[[^\]]*\]\s*)*", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Subject:
    """A subject: ``number`` of ``total`` as written, both 0 if absent; ``title`` has no tags.

    ``version`` and ``minor`` are 2 and 1 for v2.1.  ``tagged``: a tag contains PATCH or a number,
    unlike in most other mails of an archive.
    """

    title: str
    number: int = 0
    total: int = 0
    version: int = 1
    reply: bool = False
    tagged: bool = False
    minor: int = 0


def parse_subject(text: str) -> Subject:
    """Parse a decoded subject line, such as ``[PATCH v2 3/8] title``."""
    # Only leading tags count: brackets further right belong to the title.
    leading = _TAGS.match(text)
    tags = _BRACKET.findall(leading[0]) if leading else []
    numbers = [match for tag in tags if (match := _NUMBER.search(tag))]
    versions = [match for tag in tags if (match := _VERSION.search(tag))]
    number, total = (int(numbers[0][1]), int(numbers[0][2])) if numbers else (0, 0)
    version, major, minor = versions[0].groups() if versions else ("1", None, None)
    return Subject(
        _TAGS.sub("", text) or text,
        number,
        total,
        int(version or major or 1),
        bool(_REPLY.match(text)),
        bool(numbers) or any("PATCH" in tag.upper() for tag in tags),
        int(minor or 0),
    )


def decoded(raw: bytes, charset: str | None = None) -> str:
    """Decode bytes whose declared ``charset`` may be missing or wrong.

    Valid UTF-8 that is not ASCII is decoded as UTF-8: a wrong declaration is more likely than text
    in another encoding that happens to be valid UTF-8.
    """
    for name in ("utf-8" if not raw.isascii() else None, charset, "utf-8"):
        try:
            if name:
                return raw.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    return raw.decode("latin-1")


def text_of(message: email.message.Message, name: str) -> str:
    """Return a header's decoded value; empty if the mail does not have it."""
    value = message[name]
    if value is None:
        return ""
    try:
        parts = email.header.decode_header(value)
    except (email.errors.HeaderParseError, ValueError):  # a damaged encoded word
        parts = [(str(value), None)]
    # decode_header returns bytes for encoded words, and strings for other headers.
    text = "".join(
        decoded(part, charset if charset != "unknown-8bit" else None)
        if isinstance(part, bytes)
        else decoded(part.encode("utf-8", "surrogateescape"))
        for part, charset in parts
    )
    # Remove control characters, which could change the user's terminal.
    return "".join(char for char in text if char in "\t\r\n" or category(char) != "Cc").strip()


def git_can_decode(message: email.message.Message) -> bool:
    """Return whether git knows all encodings in the header, which git am requires."""
    values = [str(message.get(name, "")) for name in ("From", "Subject")]
    try:
        charsets = {charset for value in values for _, charset in email.header.decode_header(value)}
    except (email.errors.HeaderParseError, ValueError):
        return False
    charsets |= {part.get_content_charset() for part in message.walk()}
    return all(map(_is_known, filter(None, charsets))) and "\0" not in "".join(values)


def _is_known(charset: str) -> bool:
    try:
        return bool(codecs.lookup(charset))
    except (LookupError, ValueError):
        return charset == "unknown-8bit"  # Python's name for raw bytes in a header


def subject_of(message: email.message.Message) -> str:
    """Return the subject as one line."""
    return " ".join(text_of(message, "Subject").split())


def message_id(message: email.message.Message) -> str:
    """Return the mail's message id without angle brackets."""
    value = text_of(message, "Message-ID")
    match = re.search(r"<([^<>\s]+)>", value)
    return match[1] if match else value.strip()
