# SPDX-License-Identifier: GPL-2.0-only
"""Find out what a guest is at whose test does not end: before it is killed, from three sides.

QEMU tells each processor's registers, the watcher in the guest what the test's tasks are at (if the
kernel still runs programs), and sysrq has the kernel itself show its tasks and memory (if it still
takes interrupts).
"""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path

from harness.guest import command, folder, qmp
from harness.guest.console import Console

_KEYS = b"wltm"  # blocked tasks, what each CPU is at, all tasks, memory
_BETWEEN = 0.3  # seconds of silence before the next key; QEMU's serial line has no queue of breaks
_LONGEST = 1 << 20  # bytes of an answer


class Inquiry:
    """Asks one guest; ``private`` has its sockets, ``place`` keeps what comes."""

    def __init__(self, private: Path, place: Path) -> None:
        self._private, self._place = private, place
        self._keys = _KEYS
        self._pressed = -_BETWEEN
        self._answer = b""
        self._asked = False
        self.answered = False
        self._watcher: socket.socket | None = None

    def connect(self) -> None:
        """Connect to the watcher's port, so that it can wait there without polling."""
        if self._watcher is None:
            sock = socket.socket(socket.AF_UNIX)
            sock.setblocking(False)
            try:
                sock.connect(str(self._private / command.WATCHER))
            except OSError:
                sock.close()
            else:
                self._watcher = sock

    def go_on(self, console: Console, now: float, silent: float) -> None:
        """Do what can be done at ``now``; the console has been silent for that many seconds."""
        if not self._asked:
            self._asked = True
            self._registers("first")
            self._send(b"what are they at?\n")
        self._read()
        # A break on the serial line, then a key: what a person at the machine would do.
        if self._keys and now > self._pressed + _BETWEEN and silent > _BETWEEN:
            self._pressed = now
            if qmp.ask(self._private / "qmp", "chardev-send-break", id=command.CHARDEV):
                console.send(self._keys[:1])
            self._keys = self._keys[1:]
            if not self._keys:
                self._registers("later")  # a processor that moved on is in no loop

    def ping(self) -> None:
        """Ask whether programs still run; ``answered`` says so once one did."""
        if not self._asked:
            self._asked = True
            self._send(b"are you there?\n")
        self._read()

    def close(self) -> None:
        """Let go of the guest."""
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
            with contextlib.suppress(ValueError):
                folder.write(self._place / folder.HANG, json.loads(line))
            self._answer = b""

    def _registers(self, when: str) -> None:
        said = qmp.monitor(self._private / "qmp", "info registers -a")
        if said:
            with (self._place / folder.REGISTERS).open("a", encoding="utf-8") as file:
                file.write(f"--- {when}\n{said}\n")
