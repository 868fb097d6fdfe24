# SPDX-License-Identifier: GPL-2.0-only
"""What a kind of splat is: how it begins and ends, and what it is called."""

from __future__ import annotations

import dataclasses
import enum
import re


class Stop(enum.Enum):
    """How a splat ends: at its own last line, or where its stack trace does."""

    TRACE = "trace"
    LINE = "line"
    CUT = re.compile(r"---\[ end trace")
    RULE = re.compile(r"={40,}$")
    PANIC = re.compile(r"---\[ end Kernel panic|Rebooting in \d+ seconds")
    KILLED = re.compile(r"(?:.*: )?Killed process \d+")


class Role(enum.Enum):
    """How a beginning stands to the one before it, when both tell of the same fault."""

    OWN = "own"
    WORDS = "words"  # a message in front of a WARNING or BUG, which says more than that
    TRAP = "trap"  # the WARNING, BUG or Oops that such a message, or another trap, leads to
    DIE = "die"  # how a BUG dies on some architectures
    PANIC = "panic"


@dataclasses.dataclass(frozen=True)
class Kind:
    """``first`` matches the start of a message; ``title`` has {f} for the function to blame.

    ``word`` stands in every message of a kind whose messages may begin with anything.  ``sure`` is
    false for forms that a person could write: more of a report must follow.
    """

    name: str
    first: re.Pattern[str]
    title: str
    stop: Stop = Stop.TRACE
    role: Role = Role.OWN
    sure: bool = True
    word: str = ""


def kind(
    name: str,
    pattern: str,
    title: str,
    stop: Stop = Stop.TRACE,
    role: Role = Role.OWN,
    sure: bool = True,
    word: str = "",
) -> Kind:
    """Make a kind from a pattern's text."""
    return Kind(name, re.compile(pattern), title, stop, role, sure, word)


# Parts of patterns: a function, a function with its offset or an address, file:line, a task.
SYM = r"(?P<f>[A-Za-z_.$][\w.$]*)"
AT = rf"(?:{SYM}\+0x[0-9a-f]+|0x[0-9a-f]+)"
WHERE = r"(?P<at>[\w./+-]+\.[chS]:\d+)"
TASK = r"(?P<task>.+/\d+)"
