# SPDX-License-Identifier: GPL-2.0-only
"""The serial console: kept whole with the host's time stamps, and watched line by line."""

from __future__ import annotations

import enum
import re
import time
from pathlib import Path
from typing import IO

import pexpect
import pexpect.fdpexpect

from harness.guestside import bootstrap

#: How a line of console.log starts: seconds since the guest was started, then this.
SEPARATOR = " | "
_LINE = re.compile(rb"[^\n]*\n")
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
    """Writes what comes from the console into a file, each line behind its time."""

    def __init__(self, file: IO[bytes], begin: float) -> None:
        self._file = file
        self._begin = begin
        self._fresh = True

    def write(self, data: bytes) -> None:
        """Take a piece as it was read, which may end anywhere in a line."""
        stamp = f"{time.monotonic() - self._begin:10.3f}{SEPARATOR}".encode()
        for piece in data.replace(b"\r", b"").splitlines(keepends=True):
            self._file.write(stamp + piece if self._fresh else piece)
            self._fresh = piece.endswith(b"\n")

    def flush(self) -> None:
        """Have everything in the file, where others read along."""
        self._file.flush()


class Console:
    """The console on terminal ``fd``, logged to ``path``; ``begin`` is where its clock starts."""

    def __init__(self, fd: int, path: Path, begin: float) -> None:
        self._file = path.open("wb")
        self._child = pexpect.fdpexpect.fdspawn(fd, timeout=None)
        self._child.logfile_read = Stamper(self._file, begin)
        self._patterns = self._child.compile_pattern_list([_LINE, pexpect.EOF, pexpect.TIMEOUT])

    def line(self, timeout: float) -> bytes | None:
        """Give the next line; an empty one when nothing came in time; None at the end."""
        found = self._child.expect_list(self._patterns, timeout=max(timeout, 0))
        if found == 0:
            return bytes(self._child.match.group(0))
        return None if found == 1 else b""

    def send(self, data: bytes) -> None:
        """Type something."""
        self._child.send(data)

    def close(self) -> None:
        """Close log and terminal."""
        self._child.close()
        self._file.close()
