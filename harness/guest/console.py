# SPDX-License-Identifier: GPL-2.0-only
"""The serial console: logged with host timestamps and watched line by line."""

from __future__ import annotations

import enum
import os
import re
import select
import signal
import time
from pathlib import Path
from typing import IO

from harness.guestside import bootstrap

#: Separates a line's time (seconds since the guest was started) from its text in console.log.
SEPARATOR = " | "
#: Limits in bytes: for the start of a log, for its end, and for one line.
KEPT, TAIL, LONGEST = 32 << 20, 1 << 20, 1 << 16
# A quick first check: every line whose sign is not KERNEL matches this.
_HOT = re.compile(rb"harness: |panic|sysrq: ")
_PANIC = re.compile(rb"Kernel panic - not syncing|\] Kernel Offset: .*\bpanic\b")
# The first message of a kernel, or any message with a timestamp.
_KERNEL = re.compile(rb"\[ *\d+\.\d{6}\]|^Linux version |Decompressing Linux")
_LEFT = re.compile(re.escape(bootstrap.LEFT).encode() + rb" (\d+)")
_TEST = re.compile(rb"harness: (?:start|end) ")

# Seconds on real hardware; scaled up under emulation.
LAST_WORDS = 4.0  # for the kernel to respond to sysrq after a deadline, and to print the output
SILENCE = 0.5  # sysrq output counts as complete after this much silence
FAREWELL = 2.0  # for the guest to power off after its job ended, or to exit after a panic
DRAIN = 0.3  # (not scaled) to read remaining output when the guest is no longer needed


class Sign(enum.Enum):
    """The meaning of a console line."""

    NOTHING = "nothing"
    KERNEL = "kernel"
    UP = "up"
    PANIC = "panic"
    LEFT = "left"
    SYSRQ = "sysrq"
    TEST = "test"


def sign(line: bytes) -> Sign:
    """Classify a line.  Program output may come before or after a kernel message on it."""
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
    """Return the exit status from a line whose sign is LEFT."""
    match = _LEFT.search(line)
    return int(match[1]) if match else 125


class Stamper:
    """Writes the console's output to a file, each line with its time.

    If the output exceeds ``limit`` bytes, the middle is left out.
    """

    def __init__(self, file: IO[bytes], begin: float, limit: int = KEPT) -> None:
        self._file = file
        self._begin = begin
        self._fresh = True
        self._room = limit
        self._tail = bytearray()
        self._cut = 0

    def write(self, data: bytes) -> None:
        """Write a chunk of output, which may end in the middle of a line."""
        stamp = f"{time.monotonic() - self._begin:10.3f}{SEPARATOR}".encode()
        text = bytearray()
        for piece in data.replace(b"\r", b"").splitlines(keepends=True):
            text += stamp + piece if self._fresh else piece
            self._fresh = piece.endswith(b"\n")
        if self._room > 0:
            self._file.write(text)
            self._file.flush()  # other processes read the log while it is being written
            self._room -= len(text)
            return
        self._tail += text
        if len(self._tail) > 2 * TAIL:
            self._cut += len(self._tail) - TAIL
            del self._tail[:-TAIL]

    def close(self) -> None:
        """Write the buffered rest of the output, and close the file."""
        if self._cut:
            self._file.write(f"\n(cut: {self._cut} bytes)\n".encode())
        self._file.write(self._tail)
        self._file.close()


class Console:
    """The console on terminal ``fd``, logged to ``path``; its time starts at ``begin``."""

    def __init__(self, fd: int, path: Path, begin: float) -> None:
        self._fd = fd
        self._log = Stamper(path.open("wb"), begin)
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._rest = b""

    def lines(self, timeout: float) -> list[bytes] | None:
        """Return new lines: empty after ``timeout`` seconds, None when the console is closed."""
        if not self._poll.poll(max(timeout, 0) * 1000):
            return []
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:  # no process has the terminal open anymore
            data = b""
        if not data:
            return None
        self._log.write(data)
        *complete, self._rest = (self._rest + data).splitlines(keepends=True) or [b""]
        if self._rest.endswith(b"\n"):
            complete.append(self._rest)
            self._rest = b""
        elif len(self._rest) > LONGEST:
            self._rest = self._rest[-LONGEST:]
        return complete

    def replay(self, log: Path) -> None:
        """Log what an earlier log contains, as if it had been printed now."""
        with log.open("rb") as file:
            for line in file:
                self._log.write(line.partition(SEPARATOR.encode())[2])

    def send(self, data: bytes) -> None:
        """Write ``data`` to the console as if typed."""
        os.write(self._fd, data)

    def close(self) -> None:
        os.close(self._fd)
        self._log.close()


class ConsoleWatch:
    """Decides how a guest ended, from its console lines and the time (which callers pass in).

    ``deadline`` is the time limit for the boot, in seconds after the start.  ``verdict`` is empty
    until it is known how the guest ends.  Then it is a value for GuestRecord's ``ended``, and the
    guest is killed once ``tick`` returns True, unless it has ended by itself.
    """

    def __init__(self, deadline: float, factor: float) -> None:
        self.deadline = deadline
        self.factor = factor
        self.spoke = False  # the kernel printed something
        self.boot_seconds: float | None = None
        self.status: int | None = None  # exit status of the guest's job, once it has ended
        self.verdict = ""
        self.note = ""  # explains the verdict, where necessary
        self._until: float | None = None
        self._asked = False  # sysrq was sent
        self._answered = False
        self._last = 0.0

    def line(self, line: bytes, now: float) -> None:
        """Process a console line, received ``now`` seconds after the start."""
        self._last = now
        meaning = sign(line)
        self.spoke = self.spoke or meaning is not Sign.NOTHING
        if meaning is Sign.PANIC:
            self.verdict = "panic"
            # A kernel that stays in memory prints a line when its report is complete.
            rest = SILENCE if b"---[ end Kernel panic" in line else FAREWELL
            self._until = now + rest * self.factor
        elif meaning is Sign.UP and self.boot_seconds is None:
            self.boot_seconds = now
        elif meaning is Sign.LEFT and not self.verdict:
            self.status = left(line)
            self.verdict = "left" if self.status else "done"
            self.note = _job_end(self.status)
            self._until = now + FAREWELL * self.factor
        elif meaning is Sign.TEST and self.verdict in ("panic", "left", "done"):
            self.alive()
        elif meaning is Sign.SYSRQ and self._asked and not self._answered:
            self._answered = True
            self.verdict = "timeout"

    def alive(self) -> None:
        """Reset the verdict: the guest is alive; what looked like its end was program output."""
        self.verdict, self.note, self._until = "", "", None

    def late(self, now: float) -> bool:
        """Record that a test exceeded its deadline; return whether to send sysrq to the guest."""
        if not self._asked and not self.verdict:
            self._asked = True
            self.verdict = "hang"  # until it responds
            self._until = now + LAST_WORDS * self.factor
        return self._asked

    def silent(self, now: float) -> float:
        """Return the seconds since the console's last line."""
        return now - self._last

    def over(self, now: float) -> None:
        """Record that the guest is no longer needed."""
        self.verdict = self.verdict or "done"
        self._until = min(self._until or now + DRAIN, now + DRAIN)

    def tick(self, now: float) -> bool:
        """Return whether it is time to kill the guest."""
        if not self.verdict and self.boot_seconds is None and now > self.deadline:
            self.verdict = "boot"
            return True
        if self._answered and self.silent(now) > SILENCE * self.factor:
            return True
        return self._until is not None and now > self._until

    def gone(self, status: int, messages: str) -> None:
        """Record that the guest ended by itself, with QEMU's exit ``status`` and ``messages``."""
        killed = "terminating on signal" in messages
        if self.verdict or (self.boot_seconds is None and not status and not killed):
            return
        if status or killed:
            self.verdict = "lost"
            self.note = messages.strip().splitlines()[-1] if killed else _qemu_end(status)
        else:
            self.verdict = "reset"

    def end(self) -> str:
        """Return the final verdict, once the guest has ended."""
        if not self.verdict:
            self.verdict = "boot" if self.boot_seconds is None else "lost"
        return self.verdict


def _job_end(status: int) -> str:
    if not status:
        return ""
    try:
        how = f"was killed by {signal.Signals(status - 128).name}"
    except ValueError:
        how = f"ended with status {status}"
    return f"the pytest process in the guest {how}"


def _qemu_end(status: int) -> str:
    if status < 0:
        return f"QEMU was killed by {signal.Signals(-status).name} (is the host out of memory?)"
    return f"QEMU ended with status {status}"
