# SPDX-License-Identifier: GPL-2.0-only
"""Find out what a guest with a hanging test is doing, before it is killed.

There are three sources: QEMU shows each processor's registers; the watcher in the guest shows the
test's tasks, if the kernel is still running programs; sysrq makes the kernel show its tasks and
memory, if it is still handling interrupts.
"""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path

from harness import serial
from harness.guest import qemu, qmp, records
from harness.guest.console import Console

_KEYS = b"wltm"  # sysrq: blocked tasks, backtraces of all CPUs, all tasks, memory
_BETWEEN = 0.3  # seconds of silence before the next key; QEMU's serial line does not queue breaks
_LONGEST = 1 << 20  # limit in bytes for reading an answer


class HangInquiry:
    """Queries a guest, whose sockets are in ``private``; writes the answers to ``folder``."""

    def __init__(self, private: Path, folder: Path) -> None:
        self._private, self._folder = private, folder
        self._keys = _KEYS
        self._pressed = -_BETWEEN
        self._answer = b""
        self._asked = False
        self.answered = False
        self._watcher: socket.socket | None = None

    def connect(self) -> None:
        """Connect to the watcher's port, so that the watcher can block on it instead of polling."""
        if self._watcher is None:
            sock = socket.socket(socket.AF_UNIX)
            sock.setblocking(False)
            try:
                sock.connect(str(self._private / qemu.WATCHER))
            except OSError:
                sock.close()
            else:
                self._watcher = sock

    def order(self, line: bytes) -> None:
        """Let a copy of a saved guest pass its gate (``harness.guestside.gate``)."""
        self._send(line)

    def proceed(self, console: Console, now: float, silent: float) -> None:
        """Do the next step at time ``now``; the console has been silent for ``silent`` seconds."""
        if not self._asked:
            self._asked = True
            self._registers("first")
            self._send(b"what are the tasks doing?\n")
        self._read()
        # Sysrq on a serial console is a break followed by a key.
        if self._keys and now > self._pressed + _BETWEEN and silent > _BETWEEN:
            self._pressed = now
            if qmp.ask(self._private / "qmp", "chardev-send-break", id=qemu.CHARDEV):
                console.send(self._keys[:1])
            self._keys = self._keys[1:]
            if not self._keys:
                self._registers("later")  # changed registers: not in a tight loop

    def ping(self) -> None:
        """Ask whether the guest is still running programs; sets ``answered`` once it answers."""
        if not self._asked:
            self._asked = True
            self._send(b"are you there?\n")
        self._read()

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.close()

    def _send(self, line: bytes) -> None:
        self.connect()
        if self._watcher is not None:
            with contextlib.suppress(OSError):
                self._watcher.send(line)

    def _read(self) -> None:
        if self._watcher is None or len(self._answer) > _LONGEST:
            return
        with contextlib.suppress(OSError):
            while part := self._watcher.recv(65536):
                self._answer += part
        line, end, _ = self._answer.partition(b"\n")
        if end:
            self.answered = True
            with contextlib.suppress(ValueError):  # includes DamagedError
                answer = serial.from_json(records.HangAnswer, json.loads(line))
                serial.write(self._folder / records.HANG, answer, indent=1)
            self._answer = b""

    def _registers(self, when: str) -> None:
        registers = qmp.monitor(self._private / "qmp", "info registers -a")
        if registers:
            with (self._folder / records.REGISTERS).open("a", encoding="utf-8") as file:
                file.write(f"--- {when}\n{registers}\n")
