# SPDX-License-Identifier: GPL-2.0-only
"""Leaked memory, as kmemleak finds it, and the test that allocated it.

A scan takes seconds under emulation, too long to do it after every test.  Each object it finds says
when it was allocated, and so which test allocated it.
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
    """An unreferenced object: when it was allocated (jiffies), by which task, kmemleak's text."""

    jiffies: int
    size: int
    comm: str
    pid: int
    text: str


def parse(report: str) -> list[MemoryLeak]:
    """Read the text of /sys/kernel/debug/kmemleak."""
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
    """Say why kmemleak cannot be used; empty if it can."""
    return "" if CONTROL.exists() else "no kmemleak: CONFIG_DEBUG_KMEMLEAK, and debugfs"


def scan(*, fresh: bool = False) -> list[MemoryLeak]:
    """Scan for leaks now; a leak is reported only once.

    kmemleak does not report an object in its first scan of it: what was allocated since the last
    scan is found by the next one, or with ``fresh`` by this one, which then takes longer.  A
    pointer may be in a register during a scan, so only what two scans find counts.
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
    """Which test ran when, in jiffies."""

    def __init__(self) -> None:
        self._rate = int(kernelfiles.options().get("CONFIG_HZ", "250"))
        self._zero = _zero(self._rate)
        self._starts: list[tuple[float, str]] = []
        self._losers: set[str] = set()

    def begins(self, test: str, *, loses: bool = False) -> None:
        """Note that a test begins now, which ends the one before.

        A test that ``loses`` memory on purpose is not blamed for it.
        """
        self._starts.append((time.monotonic(), test))
        if loses:
            self._losers.add(test)

    def blamed(self, leaks: list[MemoryLeak]) -> list[MemoryLeak]:
        """The leaks that no test made on purpose."""
        return [leak for leak in leaks if self.who(leak.jiffies) not in self._losers]

    def who(self, when: int) -> str:
        """The test that ran at a time in jiffies."""
        moment = (when - self._zero) / self._rate
        before = [test for start, test in self._starts if start <= moment]
        return before[-1] if before else "what ran before the tests"

    def words(self, leaks: list[MemoryLeak]) -> str:
        """List the leaks, each with the test that allocated it."""
        return "\n".join(f"{self.who(leak.jiffies)}\n{leak.text}" for leak in leaks)


def _zero(rate: int) -> float:
    """The jiffies when time.monotonic() was 0, from the most exact of several measurements."""
    looks = []
    for _ in range(5):
        before, now, after = time.monotonic(), jiffies(), time.monotonic()
        looks.append((after - before, now - (before + after) / 2 * rate))
    return min(looks)[1]


def jiffies() -> int:
    """The kernel's jiffies now."""
    match = re.search(r"^jiffies: (\d+)", Path("/proc/timer_list").read_text(), re.MULTILINE)
    if not match:
        raise OSError("no jiffies in /proc/timer_list")
    return int(match[1])
