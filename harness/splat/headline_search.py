# SPDX-License-Identifier: GPL-2.0-only
"""Find where splats and marks may begin.  Most of a log is noise, so this search sets the speed.

``candidates`` searches many lines at once for words, or for patterns that begin with a word, which
is many times faster than code that examines each line.  ``begins`` then examines one message.
The patterns are made when they are first needed, since that takes longer than most commands.
"""

from __future__ import annotations

import bisect
import functools
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from harness.errors import UsageError
from harness.splat.checker_headlines import CHECKER_HEADLINES, FIRMWARE_HEADLINES, OTHER_HEADLINES
from harness.splat.fault_headlines import DIE_HEADLINES, FAULT_HEADLINES
from harness.splat.kinds import Headline
from harness.splat.open_splat import PROOFS

#: In the order they are tried: the first match determines the splat.
HEADLINES = (
    *CHECKER_HEADLINES,
    *FIRMWARE_HEADLINES,
    *FAULT_HEADLINES,
    *OTHER_HEADLINES,
    *DIE_HEADLINES,
)

#: The names of the kinds of splats.
KINDS = frozenset(headline.kind.name for headline in HEADLINES)

#: If a headline could also be written by a person, a line within this many characters must prove
#: that it is from the kernel.  In stamped logs, other lines may come in between.
REACH, REACH_STAMPED = 8 * 1024, 64 * 1024

#: Maximum length of each variable part of a message.
LENGTH = 200

# Common beginnings of headlines, by first letter: only the text after them is distinctive.
_LEADS = {"B": "BUG: ", "W": "WARNING: ", "I": "INFO: ", "O": "Oops: "}
_LITERAL = re.compile(r"(?:[\w :#]|\\\[)*(?![?*+{])")  # the literal start of a pattern
_REPEATED = re.compile(r"(\[[^\]]*\]|\\[a-zA-Z]|(?<!\\)\.)([*+])")
# The end of a message: of a line, of a JSON string, or where a newline was lost.
_END, _ENDS = re.compile(r"\$(?!\])"), r'(?=\s*(?:$|["\[<]))'
_ESCAPES = str.maketrans({"[": r"\[", "(": r"\(", ")": r"\)", "]": r"\]"})
# An escaped character, a set of characters, or a blank.
_BLANK = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]| ")
#: The marks of a quotation.
QUOTED = r"[> |\t]{0,8}"
#: Characters of a headline that nobody breaks.
WRAPPED = 20


def known_kinds(names: Iterable[str]) -> frozenset[str]:
    """Return the kinds of splats with these names.  Raises UsageError if there is no such kind."""
    kinds = frozenset(names)
    if unknown := sorted(kinds - KINDS):
        raise UsageError(
            f"there is no kind of splat {unknown[0]!r}", hint=f"one of: {', '.join(sorted(KINDS))}"
        )
    return kinds


class Start(NamedTuple):
    """A message that begins a splat: its headline, and the match."""

    headline: Headline
    match: re.Match[str]


def begins(text: str) -> Start | None:
    """Return the headline that a message begins with, or None."""
    return _by_word(text, _WITH_WORD) or _by_start(text) or _by_word(text, DIE_HEADLINES)


def _by_word(text: str, headlines: Iterable[Headline]) -> Start | None:
    for headline in headlines:
        if headline.word in text and (match := headline.first.match(text)):
            return Start(headline, match)
    return None


def _by_start(text: str) -> Start | None:
    letter = text[:1]
    lead = _LEADS.get(letter)
    bucket = _buckets().get(lead if lead and text.startswith(lead) else letter)
    which = bucket.pattern.match(text, bucket.skip) if bucket else None
    if bucket is None or which is None or which.lastindex is None:
        return None
    headline = bucket.headlines[which.lastindex - 1]
    exact = headline.first.match(text)
    return Start(headline, exact) if exact else None


class Candidates(NamedTuple):
    """Where splats and marks may begin in a text: a position in each line, in order.

    ``wrapped`` has the ends of headlines that a mailer broke in two, by their positions.
    """

    places: list[int]
    wrapped: dict[int, int]


def candidates(text: str, stamped: bool) -> Candidates:
    """Return where splats or marks may begin in a piece of a log."""
    reach = REACH_STAMPED if stamped else REACH
    wrapped: dict[int, int] = {}
    unsure = sorted(_places(_patterns(sure=False), text, wrapped))
    cuts = [_dashes(text, cut) for cut in _places(_CUT, text)]
    proofs = _places(_PROOFS, text) if unsure or cuts else []
    begun = _places(_patterns(sure=True), text, wrapped) + _near(
        unsure, [*proofs, len(text)], 0, reach
    )
    cuts = _near(cuts, [*begun, *proofs, len(text)], -reach, reach)
    ends = _places(_TRACE_END, text)
    lost = _near(_places(_LOST, text), ends, 0, reach) if ends else []
    return Candidates(sorted(begun + cuts + lost + _places(_SIGNS, text)), wrapped)


def _places(
    patterns: dict[str, re.Pattern[str]], text: str, wrapped: dict[int, int] | None = None
) -> list[int]:
    """Return where patterns match; each pattern is given with a word that it must contain.

    Matches that continue on the next line are recorded in ``wrapped`` with their ends.
    """
    places = []
    for word, pattern in patterns.items():
        if word not in text:
            continue
        for match in pattern.finditer(text):
            places.append(match.start())
            if wrapped is not None and "\n" in match[0]:
                wrapped[match.start()] = match.end()
    return places


def _dashes(text: str, at: int) -> int:
    """Return where the dashes before a position begin."""
    dashes = text[max(at - LENGTH, 0) : at]
    return at - len(dashes) + len(dashes.rstrip("-"))


def _near(places: list[int], others: list[int], begin: int, end: int) -> list[int]:
    """Return the positions that one of ``others`` follows, ``begin`` to ``end`` - 1 further on."""
    others.sort()
    pairs = ((place, bisect.bisect_left(others, place + begin)) for place in places)
    return [place for place, n in pairs if n < len(others) and others[n] < place + end]


def _unnamed(pattern: re.Pattern[str]) -> str:
    return re.sub(r"\(\?P<\w+>", "(?:", pattern.pattern)


def _alternatives(pattern: str) -> list[str]:
    """Expand the groups at the start of a pattern: return equivalent patterns without groups.

    Supports the patterns in the table, which begin with a character, an optional or plain group,
    or a small class of characters.  Raises ValueError for any other pattern.
    """
    if pattern.startswith("(?:"):
        inside, rest = _split_group(pattern)
        parts = [*inside, ""] if rest.startswith("?") else inside
        return [each for part in parts for each in _alternatives(part + rest.removeprefix("?"))]
    if pattern.startswith("[") and "-" not in pattern[: pattern.index("]")]:
        chars, _, rest = pattern[1:].partition("]")
        return [char + rest for char in chars]
    literal = _LITERAL.match(pattern)
    begin = literal[0].removeprefix("\\") if literal else ""
    if not begin or (begin != (lead := _LEADS.get(begin[0], "")) and lead.startswith(begin)):
        raise ValueError(f"a headline's message may begin with anything: {pattern}")
    return [pattern]


def _split_group(pattern: str) -> tuple[list[str], str]:
    """Split a pattern into the alternatives of its first group, and the rest."""
    depth, parts, begin = 0, [], 3
    for at, char in enumerate(pattern):
        if pattern[at - 1 : at] == "\\":
            continue
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth == 0 or (depth == 1 and char == "|"):
            parts.append(pattern[begin:at])
            begin = at + 1
        if depth == 0:
            return parts, pattern[at + 1 :]
    raise ValueError(f"a group does not end: {pattern}")


class _Bucket(NamedTuple):
    """Headlines whose messages begin with the same text; the first ``skip`` letters are known.

    The number of the empty group after the matching alternative identifies the headline.  Groups
    around the alternatives would be slower, since each attempt would have to save them.
    """

    headlines: list[Headline]
    pattern: re.Pattern[str]
    skip: int


@functools.cache
def _buckets() -> dict[str, _Bucket]:
    members: dict[str, list[tuple[Headline, str]]] = {}
    for headline in HEADLINES:
        for pattern in () if headline.word else _alternatives(f"(?:{_unnamed(headline.first)})"):
            letter = pattern.removeprefix("\\")[0]
            lead = _LEADS.get(letter, "")
            first = lead if lead and pattern.startswith(lead) else letter
            members.setdefault(first, []).append((headline, pattern))
    buckets = {}
    for first, pairs in members.items():
        skip = len(first) if first in _LEADS.values() else 0
        joined = "|".join(f"{pattern[skip:]}()" for _, pattern in pairs)
        buckets[first] = _Bucket([headline for headline, _ in pairs], re.compile(joined), skip)
    return buckets


def _or_break(match: re.Match[str]) -> str:
    """Let a line break, and the marks of a quotation, stand for a blank; not near the start."""
    wraps = match[0] == " " and match.start() >= WRAPPED
    return rf"(?: |\n{QUOTED}(?![\[<]))" if wraps else match[0]


@functools.cache
def _patterns(*, sure: bool) -> dict[str, re.Pattern[str]]:
    """Return patterns to search for the headlines that are sure, or not, by their literal start.

    They match the same as the headlines, anywhere in a line.  Repetitions are bounded: otherwise a
    long line with many beginnings of a message would be read to its end each time.
    """
    by_word = defaultdict[str, list[str]](list)
    for headline in HEADLINES:
        if headline.sure is not sure:
            continue
        whole = _unnamed(headline.first)
        if headline.word:
            word = headline.word.translate(_ESCAPES)
            patterns = [whole[whole.index(word) :]]
        else:
            patterns = _alternatives(f"(?:{whole})")
        for pattern in patterns:
            literal = _LITERAL.match(pattern)
            start = literal[0].replace("\\", "") if literal else ""
            key = next((lead for lead in _LEADS.values() if start.startswith(lead)), start)
            key = headline.word or key
            bounded = _REPEATED.sub(
                lambda m: f"{m[1]}{{{'1' if m[2] == '+' else '0'},{LENGTH}}}", pattern
            )
            by_word[key].append(_BLANK.sub(_or_break, _END.sub(lambda _: _ENDS, bounded)))
    return {key: re.compile("|".join(patterns), re.MULTILINE) for key, patterns in by_word.items()}


# The few headlines that may begin with any text are found by a word in them.
_WITH_WORD = [one for one in HEADLINES if one.word and one not in DIE_HEADLINES]
_SIGNS = {
    "harness: ": re.compile("harness: (?:start|end) ."),
    "Linux version ": re.compile("Linux version "),
}
# A report that has an end may have lost its headline, and begins with the line about the processor.
_TRACE_END = {"---[ end trace": re.compile(r"---\[ end trace")}
_LOST = {" Comm: ": re.compile(r"CPU: ?\d+ (?:UID: \d+ )?PID: \d+ Comm: ")}
_CUT = {"[ cut here ]": re.compile(r"\[ cut here \]")}
_PROOFS = {word: re.compile(re.escape(word)) for word in PROOFS}
