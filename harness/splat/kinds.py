# SPDX-License-Identifier: GPL-2.0-only
"""The ways for a splat to begin.  A message must have the kernel's whole form to count as one."""

from __future__ import annotations

import re

from harness.splat.checkers import LOCKDEP, LOCKUPS, SANITIZERS
from harness.splat.complaints import OTHERS
from harness.splat.faults import PANICS, TRAPS, WORDS
from harness.splat.kind import Kind

#: In the order they are tried: the first that matches names the splat.
KINDS = (*SANITIZERS, *LOCKDEP, *LOCKUPS, *WORDS, *TRAPS, *PANICS, *OTHERS)
#: Opens a WARNING or BUG; what it is follows.
CUT_HERE = "------------[ cut here ]------------"
#: The reasons of panics that only follow from a fault that was told before.
CONSEQUENCE = re.compile(
    r"Kernel panic - not syncing: (?:Fatal exception|.*panic_on_(?:warn|oops) set|hung_task: |"
    r"softlockup: |Hard LOCKUP|RCU Stall|UBSAN: |Oops|Aiee, killing interrupt|"
    r".* stack guard|stack guard|double fault|[Kk]ernel stack overflow|Machine check|"
    r"BUG!|kfence|Unhandled exception|Corrupt kernel stack|workqueue: |"
    r".*watchdog|Out of memory|System is deadlocked on memory)"
)
#: The same, when init or an idle task died of the fault.
DEATH = re.compile(r"Kernel panic - not syncing: Attempted to kill (?:init|the idle)")
# The few that may begin with anything have a word to be found by.
_LOOSE = [one for one in KINDS if one.word]


def firsts(pattern: str) -> set[str]:
    """Give the characters that a match of a pattern may begin with.

    For patterns as they are written here: what they begin with is a character, an optional or
    a plain group, or a small class of characters.  Raises ValueError for any other.
    """
    if pattern.startswith("(?:"):
        inside, rest = _group(pattern)
        found = {one for part in inside for one in firsts(part)}
        return found | (firsts(rest[1:]) if rest.startswith("?") else set())
    if pattern.startswith("[") and "-" not in pattern[: pattern.index("]")]:
        return set(pattern[1 : pattern.index("]")])
    if pattern.startswith("\\["):
        return {"["}
    if not pattern[:1].isalpha():
        raise ValueError(f"a kind's message may begin with anything: {pattern}")
    return {pattern[0]}


def _group(pattern: str) -> tuple[list[str], str]:
    """Split a group into its alternatives; gives what follows the group as well."""
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


class _Bucket:
    """The kinds whose messages may begin with a certain character."""

    def __init__(self, first: str) -> None:
        patterns = {one: _nameless(one) for one in KINDS if not one.word}
        self.kinds = [one for one, pattern in patterns.items() if first in firsts(pattern)]
        # Whether any begins: without groups to remember this is several times faster.
        self.some = re.compile("|".join(patterns[one] for one in self.kinds))
        # Which one: the number of the group that matched is that of the kind.
        self.which = re.compile("|".join(f"({patterns[one]})" for one in self.kinds))


def _nameless(one: Kind) -> str:
    return "(?:" + re.sub(r"\(\?P<\w+>", "(?:", one.first.pattern) + ")"


_BUCKETS = {
    first: _Bucket(first)
    for first in {char for one in KINDS if not one.word for char in firsts(_nameless(one))}
}


def begins(text: str) -> tuple[Kind, re.Match[str]] | None:
    """Say which kind of splat a message begins, if any."""
    for loose in _LOOSE:
        if loose.word in text and (found := loose.first.match(text)):
            return loose, found
    bucket = _BUCKETS.get(text[:1])
    which = bucket.which.match(text) if bucket and bucket.some.match(text) else None
    if bucket is None or which is None or which.lastindex is None:
        return None
    kind = bucket.kinds[which.lastindex - 1]
    exact = kind.first.match(text)
    return (kind, exact) if exact else None
