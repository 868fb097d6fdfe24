# SPDX-License-Identifier: GPL-2.0-only
"""What a mail's subject says: [PATCH v2 3/8], a reply, or nothing of the kind."""

from __future__ import annotations

import dataclasses
import re

_BRACKET = re.compile(r"\[([^\]]*)\]")
_NUMBER = re.compile(r"(?<![\w/.])(\d{1,4})/(\d{1,4})(?![\w/.])")
# v2, PATCHv2, -v2, and v2.1 as git format-patch makes it; v4.9 and above are kernels.
_VERSION = re.compile(
    r"(?:(?<![\w.-])|(?<=PATCH)|(?<=RFC)|(?<=[\s,]-))v(?:ersion)?\s?"
    r"(?:(\d{1,3})|([1-3])\.(\d{1,3}))(?![\w.])",
    re.IGNORECASE,
)
# In some languages; lists put their name before.
_REPLY = re.compile(
    r"^\s*(?:\[(?![^\]]*(?:patch|\d/\d))[^\]]*\]\s*)*"
    r"(?:(?:re|aw|sv|antw|fwd?|wg)\s*(?:\[\d+\])?\s*:"
    r"|(?:vs|odp|rif|rép|ré|vb|tr|rv|ynt|回复|答复|回覆|转发|轉寄)\s*[:\uff1a]\s*(?=\[))",
    re.IGNORECASE,
)
_TAGS = re.compile(r"^\s*(?:re:\s*|fwd?:\s*|\[[^\]]*\]\s*)*", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Subject:
    """``number`` of ``total`` as it is written, both 0 without; ``title`` has no tags.

    ``version`` and ``minor`` are 2 and 1 of v2.1.

    ``tagged`` says that some bracket names a patch or has a number: archives hold much else.
    """

    title: str
    number: int = 0
    total: int = 0
    version: int = 1
    reply: bool = False
    tagged: bool = False
    minor: int = 0


def read(text: str) -> Subject:
    """Read a decoded subject line."""
    # Only brackets in front count: those behind are the title's own words.
    head = _TAGS.match(text)
    tags = _BRACKET.findall(head[0]) if head else []
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
