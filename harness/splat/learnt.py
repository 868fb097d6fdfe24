# SPDX-License-Identifier: GPL-2.0-only
"""Learn what stands before the kernel's messages from the lines of a report.

Journals in any language, vendors, test runners and CI systems have prefixes of their own.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from harness.splat.headline_search import begins
from harness.splat.kinds import CUT_HERE
from harness.splat.prefix import CALLER, Message

#: Prefixes to remember.
PREFIXES = 8
#: Beginnings of messages that are marks of the harness or of a boot.
MARKS = ("harness: ", "Linux version ")
#: Beginnings of messages that are parts of a report, though not its headline.
PARTS = (CUT_HERE[:20], "CPU: ")
_BOUNDARY = re.compile(r"[ \t]+|[^\w\s](?=\w)")

#: Characters of a prefix that may be learnt.
LONGEST_PREFIX = 100
_PARTS = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|<[^<>]*>|[ \t]+|[^\s\[(<|]+|.")
# Words alone, or the marks of comments and diffs.
_NO_PREFIX = re.compile(r"[^\W\d_]+(?: \w+)*$|[-+*/]+$|[-+] *[*/]")
# Fields that some kernels print after the timestamp: the processor, a task, a source line.
_FIELDS = re.compile(r"(?:-?[\[(][^\[\]()]*[\])] ?)+$|[cC]\d+ +\d+$")
_CALLER_FIELD = re.compile(CALLER)


class Prefix(NamedTuple):
    """What the lines of a report begin with, learnt from one of them; ``name`` identifies it.

    ``plain`` is set for the quote marks of a mail, and for fields that some kernels print after
    their timestamp: such a prefix needs no proof.
    """

    name: str
    pattern: re.Pattern[str]
    plain: bool

    def cut(self, message: Message) -> Message | None:
        """Return a message without this prefix; None if it has another."""
        match = self.pattern.match(message.text)
        if match is None:
            return None
        caller = _CALLER_FIELD.search(match[0])
        own = caller[1] if caller else message.caller
        text = message.text[match.end() :]
        return message._replace(text=text, caller=f"{own} {self.name}", prefix=self.name)


def learn(text: str, stamped: bool) -> Prefix | None:
    """Learn from what comes before the message in a line; None if it is not a prefix.

    Fields in brackets and whatever has digits vary from line to line, the rest is the same in all.
    A prefix is no sentence, no comment, and no sign of a diff.
    """
    words = text.strip()
    if len(text) > LONGEST_PREFIX or text[-1:].isalnum() or _NO_PREFIX.match(words):
        return None
    pattern = ""
    for part in _PARTS.finditer(text.rstrip()):
        pattern += _generalized(part[0], part.end() < len(text))
    blanks = len(text) - len(text.rstrip())
    pattern += rf"[ \t]{{0,{blanks}}}" if words else rf"(?:[ \t]{{{blanks}}}|[ \t]*$)"
    quote = not stamped and not words.strip(">| \t")
    fields = stamped and _FIELDS.match(words) is not None
    return Prefix(pattern, re.compile(pattern), quote or fields)


def _generalized(part: str, followed: bool) -> str:
    """Return a pattern for a part of a prefix in another line."""
    if part.isspace():
        return r"[ \t]+"
    if part[0] in "[(<" and len(part) > 1:
        return rf"{re.escape(part[0])}[^\[\]()<>]*{re.escape(part[-1])}"
    if not any(char.isdigit() for char in part):
        return re.escape(part)
    if followed and not part[0].isdigit():
        return re.escape(part)  # a console, a guest
    if followed:
        return r"[^\s\[(<|]+"
    body = part.rstrip(":-")  # grep -n has "12:" on a line that matches, "12-" on others
    return re.sub(r"\d+", r"\\d+", re.escape(body)) + "[:-]" * (len(part) - len(body))


class LearntPrefixes:
    """The prefixes of open reports, and those that a report has proven, by their names."""

    def __init__(self) -> None:
        self.known: list[Prefix] = []
        self.proven = {""}

    def __bool__(self) -> bool:
        return bool(self.known)

    def cut(self, message: Message, names: Collection[str]) -> Message | None:
        """Return a message without its prefix, if that is one of ``names``; None if it is not."""
        rests = (prefix.cut(message) for prefix in self.known if prefix.name in names)
        return next(filter(None, rests), None)

    def behind(self, message: Message, place: int) -> Message:
        """Return a message without its prefix, which is learnt if a report begins behind it.

        ``place``, counted from the end of the message, is where a report may begin.
        """
        for prefix in self.known:
            rest = prefix.cut(message)
            if rest and (prefix.name in self.proven or not rest.text.startswith(MARKS)):
                return rest
        return self._learn(message, len(message.text) + place) or message

    def _learn(self, message: Message, length: int) -> Message | None:
        """Learn a prefix of ``length`` characters and return the message behind it, or None.

        The length is too large for headlines that are found by a word in them.
        """
        length = max(length, 0)
        text = message.text[:length]
        starts = (match.end() for match in _BOUNDARY.finditer(text))
        for at in filter(None, (length, *starts)):
            prefix = learn(text[:at], message.kernel is True)
            rest = prefix.cut(message) if prefix else None
            if prefix and rest and (begins(rest.text) or rest.text.startswith(PARTS)):
                self.known = [*self.known[1 - PREFIXES :], prefix]
                self.proven |= {prefix.name} if prefix.plain else set()
                return rest
        return None

    def forget(self, name: str) -> None:
        """Forget a prefix, unless a report has proven it."""
        if name not in self.proven:
            self.known = [prefix for prefix in self.known if prefix.name != name]
