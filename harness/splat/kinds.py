# SPDX-License-Identifier: GPL-2.0-only
"""Types for kinds of splats and for headlines, and how reports are parsed; see *_headlines.py."""

from __future__ import annotations

import dataclasses
import enum
import re

HEADER = 80  # lines that may come before a stack trace
#: Precedes a WARNING or BUG; its headline follows.
CUT_HERE = "------------[ cut here ]------------"

# Parts of patterns: a function, a function with its offset or an address, file:line, a task.
# SOURCE is any file:line, as in a decoded log.
SOURCE = r"[\w./+-]+\.(?:[chSs]|rs|cpp|inc):\d+"
SYM = r"(?P<f>[A-Za-z_.$][\w.$]*)"
AT = rf"(?:{SYM}(?:\+0x[0-9a-f]+| \({SOURCE})|0x[0-9a-f]+)"
WHERE = r"(?P<at>[\w./+-]+\.[chS]:\d+)"
TASK = r"(?P<task>.+/\d+)"


class Stop(enum.Enum):
    """How a splat ends: at its own last line, or at the end of its stack trace."""

    TRACE = "trace"
    LINE = "line"
    CUT = re.compile(r"---\[ end trace")
    RULE = re.compile(r"={40,}$")
    PANIC = re.compile(r"---\[ end Kernel panic|Rebooting in \d+ seconds")
    KILLED = re.compile(r"(?:.*: )?Killed process \d+")


class Role(enum.Enum):
    """How a headline relates to the previous headline, if both are about the same fault."""

    OWN = "own"
    PREFACE = "preface"  # a message before a WARNING or BUG that is more specific
    TRAP = "trap"  # the WARNING, BUG or Oops that follows such a message, or another trap
    DIE = "die"  # the die() message of a BUG on some architectures
    PANIC = "panic"
    PART = "part"  # a line of another report, alone if the rest was lost


class Suspect(enum.Enum):
    """A function that may be to blame, besides those in the stack."""

    NAMED = "named"  # in the headline
    ENTRY = "entry"  # where the processor was executing
    LOCK = "lock"  # the function that acquires the lock reported by lockdep
    WORK = "work"  # the last function of a workqueue


@dataclasses.dataclass(frozen=True)
class SplatKind:
    """A kind of splat, as shown to users, and the special features of its reports."""

    name: str
    #: What to suspect before the functions in the stack, in this order.
    suspects: tuple[Suspect, ...] = (Suspect.NAMED, Suspect.ENTRY)
    #: Pattern for functions common to such splats, besides those common to all splats.
    common: str = ""
    #: Whether to blame a function from the stack even if the title has none.
    always_blames: bool = False
    #: Whether it is reported from an interrupt: then the stack of the interrupted task matters.
    in_interrupt: bool = False
    #: Whether lines of other processors belong to the report.
    all_processors: bool = False
    #: Whether a program reports it, so that its lines may have no timestamps.
    by_program: bool = False
    #: Whether tasks survive it, so that a later panic has another cause.
    survived: bool = False
    header: int = HEADER


@dataclasses.dataclass(frozen=True, eq=False)
class Headline:
    """One way in which a splat of this kind begins.

    ``first`` matches the start of a message; ``title`` has {f} for the function to blame.
    ``word`` is set if a message may begin with any text: every such message contains it.
    ``sure`` is false for text that a person could write: more of a report must follow.
    """

    kind: SplatKind
    first: re.Pattern[str]
    title: str
    stop: Stop = Stop.TRACE
    role: Role = Role.OWN
    sure: bool = True
    word: str = ""


# Functions in which tasks wait.
_WAITERS = (
    r"\w*(?:sched|_lock|_slowlock|rwsem|completion|kthread|wait|synchronize)\w*|"
    r"wait_for_\w+|_*wait_(?:on|for|event|rcu)\w*|do_wait\w*|_*wait_on_bit\w*|out_of_line_\w+|"
    r"(?:folio|page)_wait\w*|folio_lock\w*|_*folio_lock\w*|bit_wait\w*|completion\w*|"
    r"synchronize_\w+|_*synchronize_\w+|rcu_barrier\w*|_*flush_work\w*|_*flush_workqueue|"
    r"_*cancel_(?:delayed_)?work\w*|kthread\w*|_*rwsem\w*|_*sb_start_write\w*|prepare_to_\w+|"
    r"usleep_\w+|msleep\w*|_*lock_sock\w*|lock_sock_nested|drain_workqueue|inode_lock\w*"
)
# Functions that allocate for their callers.
_ALLOCATORS = (
    r"\w*(?:alloc|kmem|slab|sock_|create_object|idr_get|list_lru_init|k\w*asprintf|pcpu_create|"
    r"strn?dup|memdup)\w*"
)
# Functions for objects tracked by debugobjects.
_OBJECTS = r"\w*(?:timer_|work_|rcu|percpu_)\w*|vunmap|vfree|__free_\w+|kobject_\w+"

_ENTRY = (Suspect.ENTRY,)
_SPECIAL = (
    SplatKind("refcount", suspects=_ENTRY, survived=True),
    SplatKind("list corruption", suspects=_ENTRY),
    SplatKind("debugobjects", suspects=_ENTRY, common=_OBJECTS, survived=True),
    SplatKind("ubsan", suspects=_ENTRY, survived=True),
    SplatKind("atomic", suspects=_ENTRY),
    SplatKind("lockdep", suspects=(Suspect.LOCK,), header=8 * HEADER),
    SplatKind("workqueue leak", suspects=(Suspect.WORK,), common=_WAITERS),
    SplatKind("hung task", suspects=(), common=_WAITERS),
    SplatKind("kmemleak", suspects=(), common=_ALLOCATORS, by_program=True),
    SplatKind("soft lockup", in_interrupt=True, all_processors=True),
    SplatKind("hard lockup", in_interrupt=True, all_processors=True),
    SplatKind("rcu stall", in_interrupt=True, all_processors=True),
    SplatKind("csd lock", in_interrupt=True, all_processors=True),
    SplatKind("workqueue lockup", all_processors=True),
    SplatKind("warning", survived=True),
    SplatKind("unwinder", survived=True),
    SplatKind("netdev watchdog", survived=True),
    SplatKind("busy inodes", always_blames=True, survived=True),
    SplatKind("panic", always_blames=True),
    SplatKind("slab", always_blames=True),
    SplatKind("oom", header=8 * HEADER),
)
_BY_NAME = {kind.name: kind for kind in _SPECIAL}


def headline(
    kind: str,
    pattern: str,
    title: str,
    stop: Stop = Stop.TRACE,
    role: Role = Role.OWN,
    sure: bool = True,
    word: str = "",
) -> Headline:
    """Create a headline from a pattern; a kind that has no entry of its own has only a name."""
    splat_kind = _BY_NAME.get(kind) or SplatKind(kind)
    return Headline(splat_kind, re.compile(pattern), title, stop, role, sure, word)


#: For a report whose headline is unknown or lost: "cut here" and a stack, or registers, a stack and
#: an end prove that it is one.
UNNAMED = headline("warning", "", "WARNING in {f}", stop=Stop.CUT)
LOST = headline("oops", "", "Oops in {f}", stop=Stop.CUT)
