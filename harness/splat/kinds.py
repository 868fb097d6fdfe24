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
    r"Kernel panic - not syncing: (?:Fatal exception|.*panic_on_\w+ set|"
    r"k\w+\.(?:panic|fault=\w+) set|Machine halted|hung_task: |"
    r"softlockup: |Hard LOCKUP|RCU Stall|UBSAN: |Oops|Aiee, killing interrupt|"
    r".* stack guard|stack guard|double fault|[Kk]ernel stack overflow|Machine check|"
    r"BUG!|kfence|Unhandled exception|Corrupt kernel stack|workqueue: |"
    r".*watchdog|Out of memory|System is deadlocked on memory)"
)
#: The same, when init or an idle task died of the fault.
DEATH = re.compile(r"Kernel panic - not syncing: Attempted to kill (?:init|the idle)")
# The few that may begin with anything have a word to be found by.
_LOOSE = [one for one in KINDS if one.word]
# What many kinds begin with, by its first letter: only what follows tells them apart.
LEADS = {"B": "BUG: ", "W": "WARNING: ", "I": "INFO: ", "O": "Oops: "}
_PLAIN = re.compile(r"(?:[\w :]|\\\[)*(?![?*+{])")


def ways(pattern: str) -> list[str]:
    """Write a pattern that begins with groups as the ones without that it stands for.

    For patterns as they are written here: what they begin with is a character, an optional or
    a plain group, or a small class of characters.  Raises ValueError for any other.
    """
    if pattern.startswith("(?:"):
        inside, rest = _group(pattern)
        parts = [*inside, ""] if rest.startswith("?") else inside
        return [way for part in parts for way in ways(part + rest.removeprefix("?"))]
    if pattern.startswith("[") and "-" not in pattern[: pattern.index("]")]:
        chars, _, rest = pattern[1:].partition("]")
        return [char + rest for char in chars]
    plain = _PLAIN.match(pattern)
    begin = plain[0].removeprefix("\\") if plain else ""
    if not begin or (begin != (lead := LEADS.get(begin[0], "")) and lead.startswith(begin)):
        raise ValueError(f"a kind's message may begin with anything: {pattern}")
    return [pattern]


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
    """The kinds whose messages may begin with a certain text."""

    def __init__(self, first: str) -> None:
        self.kinds: list[Kind] = []
        self.patterns: list[str] = []
        self.skip = len(first) if first in LEADS.values() else 0

    def add(self, kind: Kind, way: str) -> None:
        self.kinds.append(kind)
        self.patterns.append(way[self.skip :])

    def compile(self) -> None:
        # The number of the empty group behind the pattern that matched is that of its kind: groups
        # around them would have to be remembered at every try.
        self.match = re.compile("|".join(f"{one}()" for one in self.patterns)).match


def _buckets() -> dict[str, _Bucket]:
    found: dict[str, _Bucket] = {}
    for one in KINDS:
        pattern = "(?:" + re.sub(r"\(\?P<\w+>", "(?:", one.first.pattern) + ")"
        for way in () if one.word else ways(pattern):
            letter = way.removeprefix("\\")[0]
            lead = LEADS.get(letter, "")
            first = lead if lead and way.startswith(lead) else letter
            found.setdefault(first, _Bucket(first)).add(one, way)
    for bucket in found.values():
        bucket.compile()
    return found


_BUCKETS = _buckets()


def begins(text: str) -> tuple[Kind, re.Match[str]] | None:
    """Say which kind of splat a message begins, if any."""
    for loose in _LOOSE:
        if loose.word in text and (found := loose.first.match(text)):
            return loose, found
    letter = text[:1]
    lead = LEADS.get(letter)
    bucket = _BUCKETS.get(lead if lead and text.startswith(lead) else letter)
    which = bucket.match(text, bucket.skip) if bucket else None
    if bucket is None or which is None or which.lastindex is None:
        return None
    kind = bucket.kinds[which.lastindex - 1]
    exact = kind.first.match(text)
    return (kind, exact) if exact else None
