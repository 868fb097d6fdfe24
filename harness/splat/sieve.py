# SPDX-License-Identifier: GPL-2.0-only
"""Find where splats and marks may begin.  Nearly all of a log is noise, so this decides the speed.

A search for a word, or for a pattern that begins with one, runs over many lines at once, many
times faster than any code that looks at each.
"""

from __future__ import annotations

import bisect
import re
from collections import defaultdict
from collections.abc import Iterable

from harness.splat.kind import Kind
from harness.splat.kinds import CUT_HERE, KINDS, LEADS, ways
from harness.splat.report import PROOFS

#: Characters after words that a person could write within which a line must show that they are
#: the kernel's.  Where lines have stamps, others may talk in between.
REACH, REACH_STAMPED = 8 * 1024, 64 * 1024

#: Characters that anything of variable length in a message may have.
LENGTH = 200

_MANY = re.compile(r"(\[[^\]]*\]|\\[a-zA-Z]|(?<!\\)\.)([*+])")
# The end of a message: of a line, of a string in JSON, or where a newline is lost.
_END, _ENDS = re.compile(r"\$(?!\])"), r'(?=\s*(?:$|["\[<]))'
_LITERAL = re.compile(r"(?:[\w :]|\\\[)*(?![?*+{])")

Search = dict[str, re.Pattern[str]]


def _search(kinds: Iterable[Kind]) -> Search:
    """Give what to search for: patterns by the words that they begin with.

    They match what the kinds' own do, anywhere in a line.  What repeats is bounded: else a long
    line that begins like a message again and again would be read to its end each time.
    """
    found = defaultdict[str, list[str]](list)
    for kind in kinds:
        pattern = re.sub(r"\(\?P<\w+>", "(?:", kind.first.pattern)
        some = [pattern[pattern.index(kind.word) :]] if kind.word else ways(f"(?:{pattern})")
        for way in some:
            literal = _LITERAL.match(way)
            words = literal[0].replace("\\", "") if literal else ""
            key = next((lead for lead in LEADS.values() if words.startswith(lead)), words)
            found[key].append(_END.sub(lambda _: _ENDS, _MANY.sub(_bounded, way)))
    return {key: re.compile("|".join(some), re.MULTILINE) for key, some in found.items()}


def _bounded(many: re.Match[str]) -> str:
    return f"{many[1]}{{{'01'[many[2] == '+']},{LENGTH}}}"


_SURE = _search(kind for kind in KINDS if kind.sure)
_UNSURE = _search(kind for kind in KINDS if not kind.sure)
_SIGNS = {
    "harness: ": re.compile("harness: (?:start|end) ."),
    "Linux version ": re.compile("Linux version "),
}
_CUT = {CUT_HERE[8:]: re.compile(re.escape(CUT_HERE[8:]))}
_PROOFS = {word: re.compile(re.escape(word)) for word in PROOFS}


def candidates(text: str, stamped: bool) -> list[int]:
    """Give, in order, a place in each line of the text that a splat or a mark may begin with."""
    reach = REACH_STAMPED if stamped else REACH
    unsure = sorted(_places(_UNSURE, text))
    proofs = _places(_PROOFS, text) if unsure else []
    begins = sorted(_places(_SURE, text) + _near(unsure, [*proofs, len(text)], 0, reach))
    cuts = _near(_places(_CUT, text), [*begins, len(text)], -reach, reach)
    return sorted(begins + cuts + _places(_SIGNS, text))


def _places(search: Search, text: str) -> list[int]:
    return [
        found.start()
        for word, pattern in search.items()
        if word in text
        for found in pattern.finditer(text)
    ]


def _near(places: list[int], others: list[int], begin: int, end: int) -> list[int]:
    """Give the places that have one of the others between begin and end, counted from them."""
    others.sort()
    numbers = ((place, bisect.bisect_left(others, place + begin)) for place in places)
    return [place for place, n in numbers if n < len(others) and others[n] < place + end]
