# SPDX-License-Identifier: GPL-2.0-only
"""Find leaked memory with kmemleak, and the test that allocated it.

A scan takes seconds under emulation, which is too long after every test.  kmemleak reports when
each object was allocated, which identifies the test.
"""

from __future__ import annotations

import dataclasses
import re
import time
from pathlib import Path

from harness.guestside import kernelfiles

CONTROL = Path("/sys/kernel/debug/kmemleak")
AGE = 5.5  # seconds; kmemleak ignores objects younger than five seconds
_HEAD = re.compile(
    r"^unreferenced object (?:\(\w+\) )?0x(?P<address>\w+) \(size (?P<size>\d+)\):\n"
    r"  comm \"(?P<comm>.*)\", pid (?P<pid>\d+), jiffies (?P<jiffies>\d+)",
    re.MULTILINE,
)


@dataclasses.dataclass(frozen=True)
class MemoryLeak:
    """An unreferenced object: allocation time (jiffies), allocating task, kmemleak's text."""

    jiffies: int
    size: int
    comm: str
    pid: int
    text: str


def parse(report: str) -> list[MemoryLeak]:
    """Parse the text of /sys/kernel/debug/kmemleak."""
    heads = list(_HEAD.finditer(report))
    ends = [head.start() for head in heads[1:]] + [len(report)]
    return [
        MemoryLeak(
            int(head["jiffies"]),
            int(head["size"]),
            head["comm"],
            int(head["pid"]),
            report[head.start() : end].rstrip(),
        )
        for head, end in zip(heads, ends, strict=False)
    ]


def missing() -> str:
    """Return why kmemleak cannot be used; empty if it can."""
    return "" if CONTROL.exists() else "no kmemleak (needs CONFIG_DEBUG_KMEMLEAK and debugfs)"


def scan(*, fresh: bool = False) -> list[MemoryLeak]:
    """Scan for leaks; each leak is reported only once.

    kmemleak never reports an object in the first scan after its allocation.  ``fresh`` adds a scan
    to find recently allocated objects as well.  A pointer may be in a register during a scan, so
    only objects found by two scans count.
    """
    for _ in range(1 + fresh):
        CONTROL.write_text("scan")
    if not CONTROL.read_text():
        return []
    CONTROL.write_text("scan")
    leaks = parse(CONTROL.read_text())
    CONTROL.write_text("clear")
    return leaks


class Diary:
    """Records which test ran when, in jiffies."""

    def __init__(self) -> None:
        self._rate = int(kernelfiles.options().get("CONFIG_HZ", "250"))
        self._zero = _zero(self._rate)
        self._starts: list[tuple[float, str]] = []
        self._losers: set[str] = set()

    def begins(self, test: str, *, loses: bool = False) -> None:
        """Record that a test is starting now, which ends the previous one.

        A test that ``loses`` memory intentionally is not blamed for it.
        """
        self._starts.append((time.monotonic(), test))
        if loses:
            self._losers.add(test)

    def blamed(self, leaks: list[MemoryLeak]) -> list[MemoryLeak]:
        """Return the leaks that no test caused intentionally."""
        return [leak for leak in leaks if self.who(leak.jiffies) not in self._losers]

    def who(self, when: int) -> str:
        """Return the test that was running at a time in jiffies."""
        moment = (when - self._zero) / self._rate
        before = [test for start, test in self._starts if start <= moment]
        return before[-1] if before else "(before the first test)"

    def text(self, leaks: list[MemoryLeak]) -> str:
        """Return the leaks as text, each with the test that allocated it."""
        return "\n".join(f"{self.who(leak.jiffies)}\n{leak.text}" for leak in leaks)


def _zero(rate: int) -> float:
    """Return the jiffies at time.monotonic() == 0, from the most exact of several measurements."""
    samples = []
    for _ in range(5):
        before, now, after = time.monotonic(), jiffies(), time.monotonic()
        samples.append((after - before, now - (before + after) / 2 * rate))
    return min(samples)[1]


def jiffies() -> int:
    """Return the kernel's current jiffies."""
    match = re.search(r"^jiffies: (\d+)", Path("/proc/timer_list").read_text(), re.MULTILINE)
    if not match:
        raise OSError("no jiffies in /proc/timer_list")
    return int(match[1])
