# SPDX-License-Identifier: GPL-2.0-only
"""The serial console: kept whole with the host's time stamps, and watched line by line."""

from __future__ import annotations

import enum
import os
import re
import select
import time
from pathlib import Path
from typing import IO

from harness.guestside import bootstrap

#: How a line of console.log starts: seconds since the guest was started, then this.
SEPARATOR = " | "
#: Bytes of a console that are kept from its start and from its end, and of one line.
KEPT, TAIL, LONGEST = 32 << 20, 1 << 20, 1 << 16
# What no line of ``sign``'s goes without, but those that only tell that a kernel speaks.
_HOT = re.compile(rb"harness: |panic|sysrq: ")
_PANIC = re.compile(rb"Kernel panic - not syncing|\] Kernel Offset: .*\bpanic\b")
# The first thing a kernel says, or any stamped message.
_KERNEL = re.compile(rb"\[ *\d+\.\d{6}\]|^Linux version |Decompressing Linux")
_LEFT = re.compile(re.escape(bootstrap.LEFT).encode() + rb" (\d+)")

_TEST = re.compile(rb"harness: (?:start|end) ")


class Sign(enum.Enum):
    """What a line of the console means to us."""

    NOTHING = "nothing"
    KERNEL = "kernel"
    UP = "up"
    PANIC = "panic"
    LEFT = "left"
    SYSRQ = "sysrq"
    TEST = "test"


def sign(line: bytes) -> Sign:
    """Read one line.  Program output may stand before or after what the kernel says in it."""
    if not _HOT.search(line):
        return Sign.KERNEL if _KERNEL.search(line) else Sign.NOTHING
    if _PANIC.search(line):
        return Sign.PANIC
    if bootstrap.UP.encode() in line:
        return Sign.UP
    if _LEFT.search(line):
        return Sign.LEFT
    if _TEST.search(line):
        return Sign.TEST
    if b"sysrq: " in line:
        return Sign.SYSRQ
    return Sign.KERNEL if _KERNEL.search(line) else Sign.NOTHING


def left(line: bytes) -> int:
    """Give the exit status in a line whose sign is LEFT."""
    found = _LEFT.search(line)
    return int(found[1]) if found else 125


class Stamper:
    """Writes what comes from the console into a file, each line behind its time.

    Of more than ``limit`` bytes the middle is left out: the newest are written at the end.
    """

    def __init__(self, file: IO[bytes], begin: float, limit: int = KEPT) -> None:
        self._file = file
        self._begin = begin
        self._fresh = True
        self._room = limit
        self._tail = bytearray()
        self._cut = 0

    def write(self, data: bytes) -> None:
        """Take a piece as it was read, which may end anywhere in a line."""
        stamp = f"{time.monotonic() - self._begin:10.3f}{SEPARATOR}".encode()
        text = bytearray()
        for piece in data.replace(b"\r", b"").splitlines(keepends=True):
            text += stamp + piece if self._fresh else piece
            self._fresh = piece.endswith(b"\n")
        if self._room > 0:
            self._file.write(text)
            self._file.flush()  # others read along
            self._room -= len(text)
            return
        self._tail += text
        if len(self._tail) > 2 * TAIL:
            self._cut += len(self._tail) - TAIL
            del self._tail[:-TAIL]

    def close(self) -> None:
        """Write what was held back."""
        if self._cut:
            self._file.write(f"\n(cut: {self._cut} bytes)\n".encode())
        self._file.write(self._tail)
        self._file.close()


class Console:
    """The console on terminal ``fd``, logged to ``path``; ``begin`` is where its clock starts."""

    def __init__(self, fd: int, path: Path, begin: float) -> None:
        self._fd = fd
        self._log = Stamper(path.open("wb"), begin)
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._rest = b""

    def lines(self, timeout: float) -> list[bytes] | None:
        """Give the lines that came; none when nothing did in time (seconds); None at the end."""
        if not self._poll.poll(max(timeout, 0) * 1000):
            return []
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:  # a terminal that nobody holds any more
            data = b""
        if not data:
            return None
        self._log.write(data)
        *whole, self._rest = (self._rest + data).splitlines(keepends=True) or [b""]
        if self._rest.endswith(b"\n"):
            whole.append(self._rest)
            self._rest = b""
        elif len(self._rest) > LONGEST:
            self._rest = self._rest[-LONGEST:]
        return whole

    def send(self, data: bytes) -> None:
        """Type something."""
        os.write(self._fd, data)

    def close(self) -> None:
        """Close log and terminal."""
        os.close(self._fd)
        self._log.close()
