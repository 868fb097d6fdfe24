# SPDX-License-Identifier: GPL-2.0-only
"""Find the stacks in a splat: where it happened, where the memory was allocated and freed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

# Addresses in front of a function: "[<ffff>] ", ppc's "[c000] [c000] ", s390's "([<0000>] ".
_HEX = r"(?:\(?\[<?[0-9a-f]{8,16}>?\]\)? {0,2})*"
_BODY = (
    r"(?P<name>[A-Za-z_.$][\w.$]*)\+(?P<at>0x[0-9a-f]+/0x[0-9a-f]+|0x[0-9a-f]+)"
    r"(?P<module> \[[\w-]+(?: [0-9a-f]+)?\])?"
)
_FRAME = re.compile(rf"[ \t]*(?P<unsure>\? )?{_HEX}(?P<unsure2>\? )?{_BODY}")
# A decoded stack names inlined functions without an offset.
_INLINE = re.compile(r"[ \t]+(?P<name>[A-Za-z_][\w.]*) (?P<where>[\w./+-]+:\d+) \[inline\]")
_ENTRY = re.compile(
    rf"(?:R?E?IP: (?:[0-9a-f]{{4}}:)?|pc : |epc : |NIP {_HEX}|PC is at |.*PSW : [0-9a-f ]+\()"
    rf"{_HEX}{_BODY}"
)
_USER = re.compile(r"(?:RIP: 0033:|RIP: 0023:|--- (?:interrupt|Exception))")
_MAIN = r"[ \t]*(?:Call [Tt]race:|[Bb]acktrace(?: \(crc \w+\))?:|stack backtrace:)"
_ALLOC = (
    r"Allocated by task|allocated by task|Allocated in |Uninit was (?:created|stored) |"
    r"Local variable \w+ created at"
)
_FREE = r"Freed by task|freed by task|Freed in |.*rcu_free"
_AWAY = (
    r"(?:Last potentially related|Second to last|The buggy address|Memory state|other info that|"
    r"the existing dependency|-> #\d|.*(?:was registered at|which became|irq-unsafe at|"
    r"the (?:shortest )?dependenc|holding lock)|Showing all locks|kfence-#\d+:|Preemption disabled"
    r"|NMI backtrace|Sending NMI|Last Breaking|(?:hard|soft)irqs last|irq event|Reported by"
    r"|\d+ locks? held|value changed)"
)
# Sanitizers that print the stack without saying so.
_BARE = (
    r"(?:(?:Use-after-free|Out-of-bounds|Invalid) \w+ (?:at|of) 0x|Corrupted memory at 0x|"
    r"BUG: KMSAN|"
    r"(?:race at unknown origin, with )?(?:assert no \w+ |read|write).* by (?:task|interrupt))"
)
_HEADLINE = re.compile(
    rf"(?P<main>{_MAIN})|(?P<alloc>{_ALLOC})|(?P<away>{_AWAY})|(?P<free>{_FREE})|(?P<bare>{_BARE})"
)
_LOCK = re.compile(rf"(?:.*\bat: )?{_HEX}{_BODY}")
_TRYING = re.compile(
    r".* (?:is trying to (?:acquire|lock|release|contend)|just changed the state|takes:|"
    r"is leaving the kernel with locks|still has locks held)"
)
_INTERRUPT = re.compile(r"\s*<(?P<end>/?)(?:IRQ|NMI|#DF|SOFTIRQ|EOE|EOI|ENTRY_TRAMPOLINE)>")


@dataclasses.dataclass
class Stacks:
    """Frames as printed, without addresses; ``entry`` is where the processor stood."""

    main: list[str] = dataclasses.field(default_factory=list)
    task: list[str] = dataclasses.field(default_factory=list)  # below an interrupt
    alloc: list[str] = dataclasses.field(default_factory=list)
    free: list[str] = dataclasses.field(default_factory=list)
    entry: str = ""
    lock: str = ""  # who wants the lock that lockdep complains of


def stacks(lines: Sequence[str]) -> Stacks:
    """Sort the frames of a splat into its stacks; only the first of each counts."""
    sorter = _Sorter()
    for line in lines:
        sorter.read(line)
    found = sorter.found
    found.main = (found.main or sorter.loose) + found.task or sorter.unsure
    return found


class _Sorter:
    def __init__(self) -> None:
        self.found = Stacks()
        self.loose = self.into = list[str]()  # frames that no headline announced
        self.unsure = list[str]()  # of the main stack: all there is when a stack is lost
        self.trying = False

    def read(self, line: str) -> None:
        """Take a line: a frame, where the processor stood, or a headline."""
        if self.trying and (wanted := _LOCK.match(line)):
            self.found.lock, self.trying = self.found.lock or wanted["name"], False
        if "+0x" in line or "[inline]" in line:
            frame = _frame(line)
            if frame is not None:
                sure = not frame.startswith("? ")
                if sure:
                    self.into.append(frame)
                elif self.into is self.found.main:
                    self.unsure.append(frame.removeprefix("? "))
                return
            self.entry(line)
        self.headline(line)
        if not self.found.lock and "/" in line and _TRYING.match(line):
            self.trying = True

    def entry(self, line: str) -> None:
        """Note where the processor stood in the kernel."""
        entry = _ENTRY.match(line) if not self.found.entry else None
        if entry and not _USER.match(line):
            self.found.entry = _text(entry)

    def headline(self, line: str) -> None:
        """Change to the stack that a line announces; what comes twice counts once."""
        mark = _INTERRUPT.match(line) if "<" in line else None
        if mark:
            if self.into is self.found.main and mark["end"]:
                self.into = self.found.task
            return
        headline = _HEADLINE.match(line)
        if headline:
            wanted = {
                "main": self.found.main,
                "bare": self.found.main,
                "alloc": self.found.alloc,
                "free": self.found.free,
            }.get(headline.lastgroup or "", [])
            self.into = [] if wanted else wanted


def _frame(line: str) -> str | None:
    """Give a frame, with "? " in front if the unwinder is not sure; None for another line."""
    found = _FRAME.match(line)
    if found:
        return ("? " if found["unsure"] or found["unsure2"] else "") + _text(found)
    inline = _INLINE.match(line)
    return f"{inline['name']} {inline['where']}" if inline else None


def _text(found: re.Match[str]) -> str:
    module = (found["module"] or "").split(" ")
    return f"{found['name']}+{found['at']}" + (f" {module[1].rstrip(']')}]" if module[1:] else "")
