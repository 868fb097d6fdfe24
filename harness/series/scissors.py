# SPDX-License-Identifier: GPL-2.0-only
"""A patch below a scissors line, as people send one inside of a discussion."""

from __future__ import annotations

import dataclasses
import re

_LINE = re.compile(rb"^[ \t]*(?=[^\n]*-)(?=[^\n]*(?:>[8%]|[8%]<))(.{8,})$", re.MULTILINE)
_MARKS = re.compile(rb"(?:>[8%]|[8%]<|[-\s])")
_HEADER = re.compile(rb"(From|Subject|Date):[ \t]*(\S[^\n]*(?:\n[ \t]+\S[^\n]*)*)\n", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Below:
    """What stands below the line: its own headers, by small names, and the rest of the text."""

    headers: dict[str, bytes]
    text: bytes


def cut(text: bytes, *, reply: bool) -> Below | None:
    """Give what is below the last scissors line before the diff; None if nothing is to be cut.

    In a reply everything above is talk.  Elsewhere the line counts only if headers follow it: it
    may as well be a part of the message.
    """
    lines = [match for match in _LINE.finditer(text) if _mainly(match[1])]
    if not lines:
        return None
    rest = text[lines[-1].end() :].lstrip(b"\r\n")
    headers: dict[str, bytes] = {}
    while match := _HEADER.match(rest):
        headers[match[1].decode().lower()] = b" ".join(match[2].split())
        rest = rest[match.end() :]
    return Below(headers, rest.lstrip(b"\r\n")) if headers or reply else None


def _mainly(line: bytes) -> bool:
    """Whether a line is scissors and dashes more than words."""
    return len(_MARKS.sub(b"", line)) * 2 < len(line.strip())
