# SPDX-License-Identifier: GPL-2.0-only
"""The kernel log, read and written inside the guest."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# A mark must reach the console at any log level.  Facility 1 is "user"; 0 is the kernel.
_MARK = (1 << 3) | 2
_KERNEL = 0
_LEVELS = "/proc/sys/kernel/printk"
LIMIT = 64 * 1024  # characters that ``drain`` keeps: half from the start, half from the end


class Kmsg:
    """Reads the kernel's messages from now on, and writes marks."""

    def __init__(self) -> None:
        # By default the kernel rate-limits /dev/kmsg and drops messages.  If the command line sets
        # this limit, writing the file fails, even with the same value.
        limit = Path("/proc/sys/kernel/printk_devkmsg")
        if limit.read_text().strip() != "on":
            limit.write_text("on\n")
        self._levels = os.open(_LEVELS, os.O_RDWR | os.O_CLOEXEC)
        self._level = os.pread(self._levels, 64, 0).split()[0]
        self._read = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._write = os.open("/dev/kmsg", os.O_WRONLY | os.O_CLOEXEC)
        os.lseek(self._read, 0, os.SEEK_END)  # the host reads boot messages from the console

    def audible(self) -> None:
        """Restore the console's log level if a test changed it."""
        with contextlib.suppress(OSError):
            if os.pread(self._levels, 64, 0).split()[:1] != [self._level]:
                os.pwrite(self._levels, self._level, 0)

    def mark(self, word: str, test: str) -> None:
        """Write "harness: WORD TEST" to the kernel log, and thereby to the console."""
        text = f"<{_MARK}>harness: {word} {test}\n".encode(errors="replace")[:900]
        with contextlib.suppress(OSError):  # a test has closed all files
            os.write(self._write, text)

    def drain(self) -> str:
        """Return the kernel's messages since the last call, without messages from programs."""
        lines: list[str] = []
        while True:
            try:
                record = os.read(self._read, 8192)
            except BlockingIOError:
                break
            except BrokenPipeError:
                lines.append("(messages lost: the kernel log was overwritten)")
                continue
            except OSError:
                break
            lines.extend(_lines(record.decode(errors="backslashreplace")))
        text = "\n".join(lines)
        if len(text) > LIMIT:
            text = f"{text[: LIMIT // 2]}\n(cut)\n{text[-LIMIT // 2 :]}"
        return text


def _lines(record: str) -> list[str]:
    """Return a record's lines as in dmesg; empty for a program's record."""
    head, _, body = record.partition(";")
    priority, _, stamp = [*head.split(","), "0", "0", "0"][:3]
    if int(priority) >> 3 != _KERNEL:
        return []
    # The first line is the message, with its line breaks escaped; structured data follows.
    text = body.split("\n", 1)[0].replace("\\x0a", "\n")
    texts = [line for line in text.split("\n") if line]
    microseconds = int(stamp)
    when = f"[{microseconds // 1_000_000:5d}.{microseconds % 1_000_000:06d}] "
    return [when + text for text in texts]
