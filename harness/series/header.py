# SPDX-License-Identifier: GPL-2.0-only
"""The head of a mail as text, whatever its bytes are."""

from __future__ import annotations

import codecs
import email.errors
import email.header
import email.message
import re
from unicodedata import category


def decoded(raw: bytes, charset: str | None = None) -> str:
    """Decode bytes that may say nothing, or something untrue, about their encoding.

    Bytes that are not ASCII and make good UTF-8 are UTF-8: what a mail says of its encoding is
    wrong more often than other text looks like that by chance.
    """
    for name in ("utf-8" if not raw.isascii() else None, charset, "utf-8"):
        try:
            if name:
                return raw.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    return raw.decode("latin-1")


def text_of(message: email.message.Message, name: str) -> str:
    """Give a header, decoded; empty if it is not there."""
    value = message[name]
    if value is None:
        return ""
    try:
        parts = email.header.decode_header(value)
    except (email.errors.HeaderParseError, ValueError):  # an encoded word that is damaged
        parts = [(str(value), None)]
    # In an undecodable header the bytes are what the mail has; elsewhere strings stay strings.
    text = "".join(
        decoded(part, charset if charset != "unknown-8bit" else None)
        if isinstance(part, bytes)
        else decoded(part.encode("utf-8", "surrogateescape"))
        for part, charset in parts
    )
    # No control characters: what a terminal is told comes from us.
    return "".join(one for one in text if one in "\t\r\n" or category(one) != "Cc").strip()


def sound(message: email.message.Message) -> bool:
    """Whether git can decode the head: it takes no mail with an encoding that it does not know."""
    words = [str(message.get(name, "")) for name in ("From", "Subject")]
    try:
        named = {charset for one in words for _, charset in email.header.decode_header(one)}
    except (email.errors.HeaderParseError, ValueError):
        return False
    named |= {part.get_content_charset() for part in message.walk()}
    return all(map(_known, filter(None, named))) and "\0" not in "".join(words)


def _known(charset: str) -> bool:
    try:
        return bool(codecs.lookup(charset))
    except (LookupError, ValueError):
        return charset == "unknown-8bit"  # Python's word for bytes in a header


def subject(message: email.message.Message) -> str:
    """Give the subject in one line."""
    return " ".join(text_of(message, "Subject").split())


def message_id(message: email.message.Message) -> str:
    """Give the mail's own id without its angle brackets."""
    value = text_of(message, "Message-ID")
    match = re.search(r"<([^<>\s]+)>", value)
    return match[1] if match else value.strip()
