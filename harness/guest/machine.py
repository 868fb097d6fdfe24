# SPDX-License-Identifier: GPL-2.0-only
"""A guest's QEMU process, with its console and its messages."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.errors import HostFault
from harness.guest.console import Console
from harness.process import Group

_PROC = Path("/proc")
_SLOWEST = 0.1  # the part of real time that a guest's clock runs at least
_REAPED = 1.0  # seconds for QEMU to exit after its console was closed


class Machine:
    """QEMU, started directly or by virtme-run; its console is logged to ``log``.

    ``messages`` is what it printed on stderr, once it has ended.
    """

    def __init__(self, argv: Sequence[str], cwd: Path, log: Path, begin: float) -> None:
        master, slave = os.openpty()
        # stderr is a socket, because virtme-run adds a second kernel console if it can open stderr
        # by name.
        self._ours, theirs = socket.socketpair()
        self.console = Console(master, log, begin)
        self.messages = ""
        self._begin = time.monotonic()
        self._waited = 0.0
        try:
            self._group = Group(argv, cwd=cwd, stdin=slave, stdout=slave, stderr=theirs.fileno())
        except BaseException:
            self._close()
            raise
        finally:
            os.close(slave)
            theirs.close()

    def command(self, program: str) -> tuple[str, ...]:
        """Return the command line of ``program``, which is this process or one that it started.

        Raises HostFault if it is not running.
        """
        for entry in self._processes():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")[:-1]
                if words and os.fsdecode(words[0]) == program:
                    return tuple(map(os.fsdecode, words))
        raise HostFault(f"{program} is not running")

    def _processes(self) -> list[Path]:
        """Return the folders in /proc of this process and of those that it started."""
        found = []
        for entry in _PROC.iterdir():
            with contextlib.suppress(OSError, ValueError):
                if os.getpgid(int(entry.name)) == self._group.pid:
                    found.append(entry)
        return found

    @property
    def waited(self) -> float:
        """The seconds for which its processor waited for one of the host's.

        Deadlines do not count them, so that a busy host is no fault of a kernel.  At most nine
        tenths of the time count as such, so that every deadline comes.
        """
        most = (time.monotonic() - self._begin) * (1 - _SLOWEST)
        self._waited = max(self._waited, min(most, waiting(self._processes())))
        return self._waited

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._group.popen.poll() is None

    def exited(self) -> bool:
        """Return whether it has ended by itself, after its console was closed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._group.popen.wait(_REAPED)
        return not self.running

    def end(self) -> int:
        """End it if it is still running; return its exit status."""
        status = self._group.end()
        self.messages += self._received()
        return status

    def _received(self) -> str:
        # All programs have ended, so their messages can be read to the end.
        parts = []
        with contextlib.suppress(OSError):
            self._ours.settimeout(1.0)
            while part := self._ours.recv(65536):
                parts.append(part)
        return b"".join(parts).decode(errors="backslashreplace")

    def _close(self) -> None:
        self.console.close()
        self._ours.close()

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._close()


def waiting(processes: Iterable[Path]) -> float:
    """Return the longest time in seconds that a thread of these processes was ready and not run.

    The threads that emulate the guest's devices wait beside its processor, not after it.
    """
    longest = 0
    for process in processes:
        for path in process.glob("task/*/schedstat"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                longest = max(longest, int(path.read_text().split()[1]))
    return longest / 1e9
