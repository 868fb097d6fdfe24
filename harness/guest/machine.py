# SPDX-License-Identifier: GPL-2.0-only
"""A guest's QEMU process, with its console and its messages."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from harness.errors import HostFault
from harness.guest.console import Console
from harness.process import Group

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
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if os.getpgid(int(entry.name)) == self._group.pid:
                    words = (entry / "cmdline").read_bytes().split(b"\0")[:-1]
                    if words and os.fsdecode(words[0]) == program:
                        return tuple(map(os.fsdecode, words))
        raise HostFault(f"{program} is not running")

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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        self._close()
