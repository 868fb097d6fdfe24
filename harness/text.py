# SPDX-License-Identifier: GPL-2.0-only
"""Text out of guests, made fit to stand in somebody else's file: a mail, XML, JSON, Markdown.

What a guest says may hold any byte: colours, bells, half a letter, a megabyte in a line.
"""

from __future__ import annotations

import re

# Escape sequences of a terminal: colours and cursor, window titles, and the short ones.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
# Control characters, halves of surrogate pairs, and what turns the direction of writing around:
# XML cannot hold most of them, escaped or not.
_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
REPLACED = "\ufffd"


def clean(raw: str) -> str:
    """Give ``raw`` without terminal sequences and control characters; newline and tab stay."""
    return _ODD.sub(REPLACED, _ANSI.sub("", raw.replace("\r\n", "\n").replace("\r", "\n")))


def printable(raw: str) -> str:
    """Give ``raw`` with another letter in the place of each that controls a terminal."""
    return _ODD.sub(REPLACED, raw)


def one_line(raw: str, most: int = 200) -> str:
    """Give ``raw`` as one line of at most ``most`` characters."""
    words = " ".join(clean(raw[: 8 * most]).split())
    return words if len(words) <= most else words[: most - 3] + "..."


def clip(raw: str, most: int) -> str:
    """Give ``raw`` if it has at most ``most`` characters, else its start and its end.

    Both matter: a log's beginning says what was done, and its end how that went.
    """
    if len(raw) <= most:
        return raw
    half = max(0, most - 64) // 2
    end = len(raw) - half
    return f"{raw[:half]}\n... ({end - half} characters left out) ...\n{raw[end:]}"
