# SPDX-License-Identifier: GPL-2.0-only
"""Make text from guests and programs safe to print, and to put into a mail, XML, JSON or Markdown.

A guest may print any byte: colours, bells, half a character, a megabyte in one line.  A compiler
may quote a patch that contains terminal sequences or commands for a CI system.
"""

from __future__ import annotations

import os
import re
import typing

if typing.TYPE_CHECKING:
    from rich.text import Text

# Escape sequences of a terminal: colours and cursor, window titles, and the short ones.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
# Control characters, surrogates, and characters that change the writing direction.  Most of them
# are invalid in XML, escaped or not.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
# GitHub's runner reads workflow commands from the log.  A command begins a line; a command in the
# older format may be anywhere.
_COMMAND = re.compile(r"^(\s*):(?=:)|(#)(?=#\[)", re.MULTILINE)
REPLACED = "\ufffd"


def clean(raw: str) -> str:
    """Return ``raw`` without terminal sequences or control characters except newline and tab."""
    return _UNSAFE.sub(REPLACED, _ANSI.sub("", raw.replace("\r\n", "\n").replace("\r", "\n")))


def printable(raw: str, *, lines: bool = False) -> str:
    """Return ``raw`` in a form that neither a terminal nor a CI system acts on.

    Each unsafe character is replaced by one character, so that the width stays the same.
    ``lines``: keep newlines.
    """
    text = _UNSAFE.sub(REPLACED, raw if lines else raw.replace("\n", " "))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        text = _COMMAND.sub(lambda match: f"{match[0]} ", text)
    return text


def printable_text(text: Text, *, lines: bool = False) -> Text:
    """Make styled text printable, as ``printable`` does for a string."""
    safe = text.copy()
    safe.plain = printable(text.plain, lines=lines)
    return safe


def one_line(raw: str, most: int = 200) -> str:
    """Return ``raw`` as one line of at most ``most`` characters."""
    line = " ".join(clean(raw[: 8 * most]).split())
    return line if len(line) <= most else line[: most - 3] + "..."


def clip(raw: str, most: int) -> str:
    """Return ``raw``, or its beginning and end if it has more than ``most`` characters.

    Both matter: a log begins with what was done, and ends with the result.
    """
    if len(raw) <= most:
        return raw
    half = max(0, most - 64) // 2
    end = len(raw) - half
    return f"{raw[:half]}\n... ({end - half} characters left out) ...\n{raw[end:]}"


def quantity(many: int, word: str) -> str:
    """Return a count with its noun: "1 test", "2 tests"."""
    return f"{many} {word}{'s' if many != 1 else ''}"
