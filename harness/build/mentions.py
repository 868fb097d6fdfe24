# SPDX-License-Identifier: GPL-2.0-only
"""Find out whether a file may say one of some names.  Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable

_BLANK = rb"(?:\s|\\\n|/\*.*?\*/)+"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is looked for: ``names`` as words; ``words`` that are made macros.

    ``gone`` are names whose users must be found however they say them, so where macros put
    something together that may end or begin as they do (``x ## _show``) that counts as well.
    """

    names: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()

    def search(self) -> Callable[[bytes], bool]:
        """Give what tells whether a text has any of it."""
        some = [name.encode() for name in self.names]
        name = re.compile(rb"\b(?:%b)\b" % _any(self.names))
        macro = re.compile(rb"define%b(?:%b)\b" % (_BLANK, _any(self.words)), re.DOTALL)
        splits = [
            (name[:at], name[at:])
            for name in self.gone
            for at in range(1, len(name))
            if _at(name, at)
        ]
        begins, ends = _any(first for first, _ in splits), _any(last for _, last in splits)
        pasted = re.compile(rb"##\s*(?:%b)\b|\b(?:%b)\s*##" % (ends, begins))

        def found(text: bytes) -> bool:
            if any(each in text for each in some) and name.search(text):  # the first part is fast
                return True
            if self.words and macro.search(text):
                return True
            return bool(splits) and b"##" in text and bool(pasted.search(text))

        return found


def _at(name: str, place: int) -> bool:
    """Whether names are put together there: before or behind an underscore."""
    return "_" in name[place - 1 : place + 1]


def _any(words: Iterable[str]) -> bytes:
    return "|".join(sorted(set(words))).encode()
