# SPDX-License-Identifier: GPL-2.0-only
"""Find the stacks in a splat."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

from harness.splat.kinds import SOURCE

# Addresses before a function: "[<ffff>] ", ppc's "[c000] [c000] ", s390's "([<0000>] ".
_HEX = r"(?:\(?\[<?[0-9a-f]{8,16}>?\]\)? {0,2})*"
_NAME = r"(?P<name>[A-Za-z_.$][\w.$]*)"
# "function+offset/size [module]" or, in a decoded log, "function (file:line)", with more places if
# functions were inlined.
_BODY = (
    rf"{_NAME}(?:\+(?P<at>0x[0-9a-f]+(?:/0x[0-9a-f]+)?)(?P<module> \[[\w-]+(?: [0-9a-f]+)?\])?"
    rf"| \((?P<where>{SOURCE}(?:[^()]|\([^()]*\))*)\))"
)
_FRAME = re.compile(rf"[ \t]*(?P<unsure>\? )?{_HEX}(?P<unsure2>\? )?{_BODY}")
# Each line of a stack on arm names a function, and where it was called from.
_ARM = re.compile(rf"[ \t]*{_HEX}\(?(?P<callee>[\w.$]+)\)? from {_HEX}\(?{_BODY}")
# A decoded stack lists inlined functions without an offset.
_INLINE = re.compile(rf"[ \t]*{_HEX}{_NAME} (?P<where>{SOURCE}) \[inline\]")
# An inlined function as a frame of a Splat.
_INLINED = re.compile(rf" {SOURCE}$")
_PLACE = re.compile(SOURCE)
_ENTRY = re.compile(
    rf"(?:R?E?IP: (?:[0-9a-f]{{4}}:)?|(?:pc|epc|era) *: |NIP {_HEX}|[Pp][Cc] is at |ip is at |PC: "
    rf"|TPC: <|IAOQ\[0\]: |\[ERET *\]: |.*PSW : [0-9a-f ]+\(){_HEX}(?:[0-9a-f]{{8,16}} )?{_BODY}"
)
_USER = re.compile(r"(?:RIP: 0033:|RIP: 0023:|--- (?:interrupt|Exception))")
_MAIN = r"[ \t]*(?:(?:Call |Stack )?[Tt]race:|[Bb]acktrace(?: \(crc \w+\))?:|stack backtrace:)"
_ALLOC = (
    r"Allocated by task|allocated by task|Allocated in |Uninit was (?:created|stored) |"
    r"Local variable \w+ created at"
)
_FREE = r"Freed by task|freed by task|Freed in |.*rcu_free"
_AWAY = (
    r"(?:Last potentially related|Second to last|The buggy address|Memory state|other info that|"
    r"the existing dependency|page last free|.*(?:was registered at|irq-unsafe at|"
    r"the (?:shortest )?dependenc|holding lock)|Showing all locks|kfence-#\d+:|Preemption disabled"
    r"|NMI backtrace|Sending NMI|Last Breaking|(?:hard|soft)irqs last|irq event|Reported by"
    r"|\d+ locks? held|value changed)"
)
# Lines of sanitizers that are followed by a stack without a title.
_BARE = (
    r"(?:(?:Use-after-free|Out-of-bounds|Invalid) \w+ (?:at|of) 0x|Corrupted memory at 0x|"
    r"BUG: KMSAN|"
    r"(?:race at unknown origin, with )?(?:assert no \w+ |read|write).* by (?:task|interrupt))"
)
_STACK_TITLE = re.compile(
    rf"(?P<main>{_MAIN})|(?P<chain>-> #\d)|(?P<became>.*which became)|"
    r"(?P<owner>page last allocated)|"
    rf"(?P<alloc>{_ALLOC})|(?P<away>{_AWAY})|(?P<free>{_FREE})|(?P<bare>{_BARE})"
)
_LOCK = re.compile(rf"(?:.*\bat: )?{_HEX}{_BODY}")
_TRYING = re.compile(
    r".* (?:is trying to (?:acquire|lock|release|contend)|just changed the state|takes:|"
    r"is freeing memory|is leaving the kernel with locks|still has locks held)"
)
_HOLDING = re.compile(r"but task is already holding lock:|but task is already holding:")
_INTERRUPT = re.compile(r"\s*<(?P<end>/?)(?:IRQ|NMI|#DF|SOFTIRQ|EOE|EOI|ENTRY_TRAMPOLINE)>")


@dataclasses.dataclass
class Stacks:
    """Frames as printed, without addresses; ``entry`` is where the processor was executing."""

    main: list[str] = dataclasses.field(default_factory=list)
    task: list[str] = dataclasses.field(default_factory=list)  # of the interrupted task
    alloc: list[str] = dataclasses.field(default_factory=list)
    free: list[str] = dataclasses.field(default_factory=list)
    became: list[str] = dataclasses.field(default_factory=list)  # where a lock became irq-safe
    owner: list[str] = dataclasses.field(default_factory=list)  # who allocated the page
    chain: list[str] = dataclasses.field(default_factory=list)  # of locks taken earlier
    traces: list[list[str]] = dataclasses.field(default_factory=list)  # all, with registers' frames
    entry: str = ""
    locks: list[str] = dataclasses.field(
        default_factory=list
    )  # who takes lockdep's lock, who holds


def read_stacks(lines: Sequence[str]) -> Stacks:
    """Sort the frames of a splat into its stacks; only the first stack of each kind counts."""
    sorter = _StackSorter()
    for line in lines:
        sorter.read(line)
    stacks = sorter.stacks
    stacks.main = (stacks.main or sorter.loose) + stacks.task or sorter.unsure
    return stacks


class _StackSorter:
    def __init__(self) -> None:
        self.stacks = Stacks()
        self.loose = self.into = list[str]()  # frames without a preceding title
        self.unsure = list[str]()  # unreliable frames, used only if there are no others
        self.trying = False
        self.trace: list[str] | None = None  # the trace that is being read
        self.before = ""  # where the processor was executing, before its trace

    def read(self, line: str) -> None:
        """Process a line: a frame, the processor's location, or the title of a stack."""
        if self.trying and (lock := _LOCK.match(line)):
            self.stacks.locks.append(lock["name"])
            self.trying = False
        if "+0x" in line or _PLACE.search(line):
            if self.frames(line):
                return
            entry = _ENTRY.match(line)
            if entry and not _USER.match(line):
                self.entered(_text(entry))
        self.announced(line)
        if not self.stacks.locks and "/" in line:
            self.trying = self.trying or _TRYING.match(line) is not None
        elif len(self.stacks.locks) == 1 and _HOLDING.match(line):
            self.trying = True

    def frames(self, line: str) -> bool:
        """Process the frames in a line; return whether there are any."""
        if " from " in line and (match := _ARM.match(line)):
            found = [_text(match)] if self.into else [match["callee"], _text(match)]
        else:
            found = [frame for frame in [_frame(line)] if frame is not None]
        for frame in found:
            if not frame.startswith("? "):
                self.into.append(frame)
                if self.trace is not None:
                    self.trace.append(frame)
            elif self.into is self.stacks.main:
                self.unsure.append(frame.removeprefix("? "))
        return bool(found)

    def entered(self, frame: str) -> None:
        """Process where a processor was executing: below its interrupt, or on top of its trace."""
        self.stacks.entry = self.stacks.entry or frame
        if self.trace is not None:
            self.trace.append(frame)
        else:
            self.before = frame

    def announced(self, line: str) -> None:
        """Switch to the stack that a line announces; a second stack of the same kind is dropped."""
        mark = _INTERRUPT.match(line) if "<" in line else None
        if mark:
            if self.into is self.stacks.main and mark["end"]:
                self.into = self.stacks.task
            return
        title = _STACK_TITLE.match(line)
        if title is None:
            return
        kind = title.lastgroup or ""
        stack: list[str] = [] if kind == "away" else self.stack(kind)
        self.into = [] if stack else stack
        self.trace = None
        if kind in ("main", "bare"):
            self.trace = [self.before] if self.before else []
            self.stacks.traces.append(self.trace)
        self.before = ""

    def stack(self, kind: str) -> list[str]:
        """Return the stack that a title's kind stands for."""
        stacks = self.stacks
        return {
            "main": stacks.main,
            "bare": stacks.main,
            "alloc": stacks.alloc,
            "free": stacks.free,
            "owner": stacks.owner,
            "became": stacks.became,
            "chain": stacks.chain,
        }[kind]


def _frame(line: str) -> str | None:
    """Return a frame, prefixed with "? " if it is unreliable; None for any other line."""
    match = _FRAME.match(line)
    if match:
        return ("? " if match["unsure"] or match["unsure2"] else "") + _text(match)
    inline = _INLINE.match(line)
    return f"{inline['name']} {inline['where']}" if inline else None


def _text(frame: re.Match[str]) -> str:
    if frame["where"]:
        return f"{frame['name']} ({frame['where']})"
    module = (frame["module"] or "").split(" ")
    return f"{frame['name']}+{frame['at']}" + (f" {module[1].rstrip(']')}]" if module[1:] else "")


def real_frames(frames: Iterable[str]) -> list[str]:
    """Return the frames without inlined functions, which only a decoded log shows.

    A splat has the same title and fingerprint whether it was decoded or not.
    """
    return [frame for frame in frames if "+0x" in frame or not _INLINED.search(frame)]
