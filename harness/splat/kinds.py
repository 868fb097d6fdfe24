# SPDX-License-Identifier: GPL-2.0-only
"""Types for kinds of splats and for headlines, and how reports are parsed; see *_headlines.py."""

from __future__ import annotations

import dataclasses
import enum
import re

from harness.splat.function_groups import FunctionGroup
from harness.splat.kind_bystanders import ALLOCATORS, OWNED, THREADS, WAITS

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
    LOCK = "lock"  # who takes the lock reported by lockdep, then who holds the other
    WORK = "work"  # the last function of a workqueue
    CALLER = "caller"  # who may be preempted, and asked for the processor
    OWNER = "owner"  # who allocated the page last


@dataclasses.dataclass(frozen=True)
class SplatKind:
    """A kind of splat, as shown to users, and the special features of its reports."""

    name: str
    #: What to suspect before the functions in the stack, in this order.
    suspects: tuple[Suspect, ...] = (Suspect.NAMED, Suspect.ENTRY)
    #: Functions that are not to blame in such splats, besides those of all splats.
    bystanders: tuple[FunctionGroup, ...] = ()
    #: Whether to blame a function from the stack even if the title has none.
    always_blames: bool = False
    #: Whether the processor was met at a random point of a loop: see dispatchers.
    stalled: bool = False
    #: Whether a recursion overflowed the stack; where it began is to blame, if there is one.
    recursive: bool = False
    #: Whether no exception reports it, but a check that somebody called.
    by_check: bool = False
    #: Whether the timer's interrupt reports it: then what was interrupted is stuck.
    in_tick: bool = False
    #: Whether lines of other processors belong to the report.
    all_processors: bool = False
    #: Whether they come after the trace of the processor that reports it.
    itself_first: bool = False
    #: Whether a program reports it, so that its lines may have no timestamps.
    by_program: bool = False
    #: Whether tasks survive it, so that a later panic has another cause.
    survived: bool = False
    header: int = HEADER
    #: A line that shows that it is no fault of the kernel.
    harmless: re.Pattern[str] | None = None
    #: One such line must follow the headline if the kernel did not stamp it: people quote it alone.
    proof: re.Pattern[str] | None = None
    #: A line with the PID of a task that it kills.
    victim: re.Pattern[str] | None = None
    #: Whether it is part of the kill if the task that reports it is such a victim.
    by_victims: bool = False
    #: Whether the same headline again continues it until its last line.
    goes_on: bool = False
    #: A panic that may end the report: then it is the splat.
    panic: re.Pattern[str] | None = None


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


# A memory cgroup at its limit.
_LIMITED = re.compile(
    r"oom-kill:constraint=CONSTRAINT_MEMCG|Memory cgroup out of memory|Memory cgroup stats for |"
    r"Task in \S+ killed as a result of limit of "
)
_VICTIM = re.compile(
    r"(?:Out of memory|Memory cgroup out of memory)[\w ()]*: Killed process (\d+) "
)
_OUT_OF_MEMORY = re.compile(
    r"Kernel panic - not syncing: (?:Out of memory|System is deadlocked on memory)"
)
_ABOUT_LOCKS = re.compile(
    r"-{20,}|={20,}|CPU: ?\d|.*(?:is trying to |takes:|locks? held|locking correctness|"
    r"lockdep annotation|\w\+0x[0-9a-f]|\w \(\S+:\d+\))"
)
_ENTRY = (Suspect.ENTRY,)
_SPECIAL = (
    SplatKind("refcount", suspects=_ENTRY, survived=True),
    SplatKind("list corruption", suspects=_ENTRY),
    SplatKind("debugobjects", suspects=_ENTRY, bystanders=(OWNED,), survived=True),
    SplatKind("ubsan", suspects=_ENTRY, survived=True),
    SplatKind("atomic", suspects=_ENTRY, by_check=True),
    SplatKind(
        "lockdep",
        suspects=(Suspect.LOCK,),
        bystanders=(THREADS,),
        header=8 * HEADER,
        proof=_ABOUT_LOCKS,
    ),
    SplatKind("workqueue leak", suspects=(Suspect.WORK,), bystanders=(WAITS,)),
    SplatKind("hung task", suspects=(), bystanders=(WAITS,)),
    SplatKind("kmemleak", suspects=(), bystanders=(ALLOCATORS,), by_program=True),
    SplatKind("soft lockup", stalled=True, all_processors=True, itself_first=True),
    SplatKind("hard lockup", stalled=True, all_processors=True),
    SplatKind("rcu stall", stalled=True, in_tick=True, all_processors=True),
    SplatKind("csd lock", stalled=True, all_processors=True),
    SplatKind("workqueue lockup", all_processors=True),
    SplatKind("corrupted stack end", stalled=True),  # found later, at a random call of schedule()
    SplatKind("stack overflow", recursive=True),
    SplatKind("preemptible", suspects=(Suspect.CALLER,), by_check=True),
    SplatKind("bad page", suspects=(Suspect.OWNER,)),
    SplatKind("warning", survived=True),
    SplatKind("unwinder", survived=True),
    SplatKind("sysfs duplicate", suspects=(), survived=True),
    SplatKind("page allocation failure", suspects=(), survived=True, by_victims=True),
    SplatKind("firmware panic", by_program=True),
    SplatKind("netdev watchdog", survived=True),
    SplatKind("irq nobody cared", suspects=(), survived=True),
    SplatKind("kobject", suspects=(), survived=True),
    SplatKind("wrong timeout", suspects=(), survived=True),
    SplatKind("busy inodes", always_blames=True, survived=True),
    SplatKind("panic", always_blames=True),
    SplatKind("slab", always_blames=True),
    SplatKind(
        "oom",
        header=8 * HEADER,
        harmless=_LIMITED,
        victim=_VICTIM,
        goes_on=True,
        panic=_OUT_OF_MEMORY,
    ),
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
