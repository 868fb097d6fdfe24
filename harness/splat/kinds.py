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
    r"BUG!|kfence|workqueue: |.*watchdog|Out of memory|System is deadlocked on memory)"
)
#: The same, when init or an idle task died of the fault.
DEATH = re.compile(r"Kernel panic - not syncing: Attempted to kill (?:init|the idle)")
# All in one pattern; the number of the group that matched is that of the kind.
_ANY = re.compile(
    "|".join("(" + re.sub(r"\(\?P<\w+>", "(?:", one.first.pattern) + ")" for one in KINDS)
)


def begins(text: str) -> tuple[Kind, re.Match[str]] | None:
    """Say which kind of splat a message begins, if any."""
    any_ = _ANY.match(text)
    if any_ is None or any_.lastindex is None:
        return None
    kind = KINDS[any_.lastindex - 1]
    found = kind.first.match(text)
    return (kind, found) if found else None
