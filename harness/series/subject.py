# SPDX-License-Identifier: GPL-2.0-only
"""What a mail's subject says: [PATCH v2 3/8], a reply, or nothing of the kind."""

from __future__ import annotations

import dataclasses
import re

_BRACKET = re.compile(r"\[([^\]]*)\]")
_NUMBER = re.compile(r"(?<![\w/.])(\d{1,4})/(\d{1,4})(?![\w/.])")
_VERSION = re.compile(r"(?<![\w.-])v(?:ersion)?\s?(\d{1,3})(?![\w.])", re.IGNORECASE)
_REPLY = re.compile(r"^\s*(?:re|aw|sv|antw|fwd?|wg)\s*(?:\[\d+\])?\s*:", re.IGNORECASE)
_TAGS = re.compile(r"^\s*(?:re:\s*|fwd?:\s*)*(?:\[[^\]]*\]\s*)*", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Subject:
    """``number`` of ``total`` as it is written, both 0 without; ``title`` has no tags.

    ``tagged`` says that some bracket names a patch or has a number: archives hold much else.
    """

    title: str
    number: int = 0
    total: int = 0
    version: int = 1
    reply: bool = False
    tagged: bool = False


def read(text: str) -> Subject:
    """Read a decoded subject line."""
    # Only brackets in front count: those behind are the title's own words.
    head = _TAGS.match(text)
    tags = _BRACKET.findall(head[0]) if head else []
    numbers = [match for tag in tags if (match := _NUMBER.search(tag))]
    versions = [match for tag in tags if (match := _VERSION.search(tag))]
    number, total = (int(numbers[0][1]), int(numbers[0][2])) if numbers else (0, 0)
    return Subject(
        _TAGS.sub("", text) or text,
        number,
        total,
        int(versions[0][1]) if versions else 1,
        bool(_REPLY.match(text)),
        bool(numbers) or any("PATCH" in tag.upper() for tag in tags),
    )
