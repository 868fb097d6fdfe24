# SPDX-License-Identifier: GPL-2.0-only
"""The part of a console around a test, read in one pass: a console may have a hundred megabytes."""

from __future__ import annotations

import collections
from collections.abc import Collection
from pathlib import Path

from harness.publish.html.sections import Cut
from harness.text import clean

BEFORE, HEAD, TAIL, AFTER = 5, 40, 120, 8  # lines that are kept around and of a test
_LINE = 1 << 12  # bytes of a line that are read as one
_START, _END = b"harness: start ", b"harness: end "


class _Slice:
    """The lines of one test as they come."""

    def __init__(self, before: collections.deque[bytes]) -> None:
        self.head = list(before)
        self.room = len(self.head) + HEAD
        self.tail: collections.deque[bytes] = collections.deque(maxlen=TAIL)
        self.count = len(self.head)
        self.after = -1  # lines to take yet, once the test has ended

    def take(self, line: bytes) -> None:
        self.count += 1
        (self.head if len(self.head) < self.room else self.tail).append(line)
        if self.after > 0:
            self.after -= 1

    @property
    def text(self) -> Cut:
        left = self.count - len(self.head) - len(self.tail)
        return Cut(_text(self.head), _text(self.tail), left)


def slices(console: Path, tests: Collection[str]) -> dict[str, Cut]:
    """Give what a console says around tests, by the test; of one that ran twice the last time.

    A test that never ended has all until the console's end, of which the last lines are kept.
    """
    if not tests:
        return {}
    found: dict[bytes, _Slice] = {}
    wanted = {test.encode(errors="replace") for test in tests}
    before: collections.deque[bytes] = collections.deque(maxlen=BEFORE)
    current: _Slice | None = None
    try:
        with console.open("rb") as file:
            for line in iter(lambda: file.readline(_LINE), b""):
                name = _mark(line, _START)
                if name:
                    current = None
                    if name in wanted:
                        current = found[name] = _Slice(before)
                if current is not None:
                    current.take(line)
                    if current.after < 0 and _mark(line, _END):
                        current.after = AFTER
                    elif current.after == 0:
                        current = None
                before.append(line)
    except OSError:
        return {}
    return {name.decode(errors="replace"): one.text for name, one in found.items()}


def _mark(line: bytes, mark: bytes) -> bytes:
    start = line.find(mark)
    return line[start + len(mark) :].strip() if start >= 0 else b""


def _text(lines: Collection[bytes]) -> str:
    return clean(b"".join(lines).decode(errors="backslashreplace")).rstrip("\n")
