# SPDX-License-Identifier: GPL-2.0-only
"""Find out whether a file may say one of some names.  Pure."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Iterator

_LEAST = 2  # letters of a part: single ones are parameters, which nearly all names begin with
_NEAR = 200  # bytes beside a ## in which its word stands
_LAST = re.compile(rb"(\w+)[\s\\]*$")
_FIRST = re.compile(rb"[\s\\]*(\w+)")
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
        begins = {name[:at].encode() for name in self.gone for at in range(_LEAST, len(name))}
        ends = {name[-at:].encode() for name in self.gone for at in range(_LEAST, len(name))}

        def found(text: bytes) -> bool:
            if any(each in text for each in some) and name.search(text):  # the first part is fast
                return True
            if self.words and macro.search(text):
                return True
            if not self.gone:
                return False
            return any(before in begins or after in ends for before, after in _pasted(text))

        return found


def _pasted(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give the words on both sides of each ##."""
    for before, after in itertools.pairwise(text.split(b"##")):
        last, first = _LAST.search(before[-_NEAR:]), _FIRST.match(after[:_NEAR])
        yield last[1] if last else b"", first[1] if first else b""


def _any(words: Iterable[str]) -> bytes:
    return "|".join(sorted(words)).encode()
