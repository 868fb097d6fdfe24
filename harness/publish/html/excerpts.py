# SPDX-License-Identifier: GPL-2.0-only
"""Excerpts of long texts for a page, with the number of omitted lines."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection
from pathlib import Path

from harness.text import clean

LONGEST = 2000  # maximum number of characters of a line
BEFORE, HEAD, TAIL, AFTER = 5, 40, 120, 8  # number of console lines around a test and during it
_READ = 1 << 12  # maximum number of bytes per read of a console line
_START, _END = b"harness: start ", b"harness: end "


@dataclasses.dataclass(frozen=True)
class Excerpt:
    """The first and the last lines of a text; ``left_out`` lines are missing between them."""

    head: str = ""
    tail: str = ""
    left_out: int = 0

    def __bool__(self) -> bool:
        return bool(self.head or self.tail)


NOTHING = Excerpt()


@dataclasses.dataclass
class Budget:
    """The number of characters (or lines) that a page may still use."""

    left: int

    def spend(self, *excerpts: Excerpt) -> None:
        """Subtract the size of excerpts that are shown."""
        self.left -= sum(len(text.head) + len(text.tail) for text in excerpts)

    @property
    def spent(self) -> bool:
        """Whether the page is full."""
        return self.left <= 0


def excerpt(text: str, head: int = 60, tail: int = 100) -> Excerpt:
    """Return the first and the last lines of a text; long lines are cut."""
    lines = clean(text).strip("\n").split("\n")
    left_out = len(lines) - head - tail
    if left_out <= 0:
        return Excerpt("\n".join(map(short, lines)))
    first, last = lines[:head], lines[len(lines) - tail :]
    return Excerpt("\n".join(map(short, first)), "\n".join(map(short, last)), left_out)


def short(line: str) -> str:
    """Cut a line that is too long, and show by how much."""
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ... ({len(line) - LONGEST} more)"


def end_of(console: Path) -> Excerpt:
    """Return the last lines of a console; NOTHING if the log was removed."""
    try:
        with console.open("rb") as file:
            file.seek(max(0, console.stat().st_size - (1 << 16)))
            return excerpt(file.read().decode(errors="backslashreplace"), 0, 40)
    except OSError:
        return NOTHING


def around_tests(console: Path, tests: Collection[str]) -> dict[str, Excerpt]:
    """Return the console's lines around each test; if a test ran twice, only around the last run.

    A console may be a hundred megabytes long, so it is read once and never held in memory.  For a
    test that did not end, the excerpt extends to the end of the console.
    """
    if not tests:
        return {}
    wanted = {test.encode(errors="replace") for test in tests}
    slices: dict[bytes, _ConsoleSlice] = {}
    before: collections.deque[bytes] = collections.deque(maxlen=BEFORE)
    current: _ConsoleSlice | None = None
    try:
        with console.open("rb") as file:
            for line in iter(lambda: file.readline(_READ), b""):
                if name := _after(line, _START):
                    current = None
                    if name in wanted:
                        current = slices[name] = _ConsoleSlice(before)
                if current is not None:
                    current.take(line)
                    if current.complete:
                        current = None
                before.append(line)
    except OSError:
        return {}
    return {name.decode(errors="replace"): part.excerpt() for name, part in slices.items()}


class _ConsoleSlice:
    """The lines of one test, collected while the console is read."""

    def __init__(self, before: Collection[bytes]) -> None:
        self.head = list(before)
        self.room = len(self.head) + HEAD
        self.tail: collections.deque[bytes] = collections.deque(maxlen=TAIL)
        self.count = len(self.head)
        self.after: int | None = None  # number of lines still to add after the end of the test

    def take(self, line: bytes) -> None:
        self.count += 1
        (self.head if len(self.head) < self.room else self.tail).append(line)
        if self.after is not None:
            self.after -= 1
        elif _after(line, _END):
            self.after = AFTER

    @property
    def complete(self) -> bool:
        return self.after == 0

    def excerpt(self) -> Excerpt:
        head, tail = (
            clean(b"".join(lines).decode(errors="backslashreplace")).rstrip("\n")
            for lines in (self.head, self.tail)
        )
        return Excerpt(head, tail, self.count - len(self.head) - len(self.tail))


def _after(line: bytes, mark: bytes) -> bytes:
    """Return what follows a mark in a line; empty if the line has no mark."""
    return line.partition(mark)[2].strip()
