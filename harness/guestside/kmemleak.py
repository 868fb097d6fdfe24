# SPDX-License-Identifier: GPL-2.0-only
"""Memory that nothing points to any more, as kmemleak finds it, and the test that took it.

A scan takes seconds under emulation, too long for every test.  It is made now and then; each
object that it finds says when it was allocated, and that says which test it was.
"""

from __future__ import annotations

import dataclasses
import re
import time
from pathlib import Path

from harness.guestside import running

CONTROL = Path("/sys/kernel/debug/kmemleak")
AGE = 5.5  # seconds; kmemleak looks at no object that is younger than five
_HEAD = re.compile(
    r"^unreferenced object (?:\(\w+\) )?0x(?P<address>\w+) \(size (?P<size>\d+)\):\n"
    r"  comm \"(?P<comm>.*)\", pid (?P<pid>\d+), jiffies (?P<jiffies>\d+)",
    re.MULTILINE,
)


@dataclasses.dataclass(frozen=True)
class Leak:
    """An object nobody points to: when it was allocated (in jiffies), by whom, in full words."""

    jiffies: int
    size: int
    comm: str
    pid: int
    words: str


def parse(report: str) -> list[Leak]:
    """Read what kmemleak reports."""
    heads = list(_HEAD.finditer(report))
    ends = [head.start() for head in heads[1:]] + [len(report)]
    return [
        Leak(
            int(head["jiffies"]),
            int(head["size"]),
            head["comm"],
            int(head["pid"]),
            report[head.start() : end].rstrip(),
        )
        for head, end in zip(heads, ends, strict=False)
    ]


def missing() -> str:
    """Say why kmemleak cannot be asked, or ""."""
    return "" if CONTROL.exists() else "no kmemleak: CONFIG_DEBUG_KMEMLEAK, and debugfs"


def scan(*, fresh: bool = False) -> list[Leak]:
    """Look for leaks now; what was found once is not reported again.

    kmemleak believes no object that it looks at for the first time: what was allocated since the
    last scan is found by the next one, or with ``fresh`` by this one, which then takes longer.
    A pointer may be in a register while one looks, so only what two scans find counts.
    """
    for _ in range(1 + fresh):
        CONTROL.write_text("scan")
    if not CONTROL.read_text():
        return []
    CONTROL.write_text("scan")
    found = parse(CONTROL.read_text())
    CONTROL.write_text("clear")
    return found


class Diary:
    """Which test ran when, in the kernel's own time."""

    def __init__(self) -> None:
        self._rate = int(running.options().get("CONFIG_HZ", "250"))
        self._zero = _zero(self._rate)
        self._starts: list[tuple[float, str]] = []
        self._losers: set[str] = set()

    def begins(self, test: str, *, loses: bool = False) -> None:
        """Note that a test begins now; the one before ends with that.

        One that ``loses`` memory on purpose is not to blame for it.
        """
        self._starts.append((time.monotonic(), test))
        if loses:
            self._losers.add(test)

    def blamed(self, leaks: list[Leak]) -> list[Leak]:
        """Leave out what was lost on purpose."""
        return [leak for leak in leaks if self.who(leak.jiffies) not in self._losers]

    def who(self, when: int) -> str:
        """Name the test that ran at a time given in jiffies."""
        moment = (when - self._zero) / self._rate
        before = [test for start, test in self._starts if start <= moment]
        return before[-1] if before else "what ran before the tests"

    def words(self, leaks: list[Leak]) -> str:
        """Say of each leak whose it is."""
        return "\n".join(f"{self.who(leak.jiffies)}\n{leak.words}" for leak in leaks)


def _zero(rate: int) -> float:
    """Give the jiffies when time.monotonic() was 0, from the closest of several looks."""
    looks = []
    for _ in range(5):
        before, now, after = time.monotonic(), jiffies(), time.monotonic()
        looks.append((after - before, now - (before + after) / 2 * rate))
    return min(looks)[1]


def jiffies() -> int:
    """The kernel's clock now, in its own unit."""
    found = re.search(r"^jiffies: (\d+)", Path("/proc/timer_list").read_text(), re.MULTILINE)
    if not found:
        raise OSError("/proc/timer_list does not tell the jiffies")
    return int(found[1])
