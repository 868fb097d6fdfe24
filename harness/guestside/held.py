# SPDX-License-Identifier: GPL-2.0-only
"""A process next to the tests: it gives the user a shell in a held guest, and resumes the tests.

The host writes a line to its port: SHELL with the terminal's rows and columns, or GO.
"""

from __future__ import annotations

import os
import select
import time
from typing import Any

PORT = "harness.2"
SHELL, GO = b"shell", b"go\n"
#: The host reads this after the shell has exited.
LEFT = b"\0harness: the shell was left\0"
_MAY_GO = "/run/harness.go"
_TICK = 0.02
_IDLE = 0.1  # seconds between reads while the host is not connected


def wait() -> None:
    """Wait in the pytest process until the host lets it continue."""
    while not os.path.exists(_MAY_GO):  # noqa: PTH110
        time.sleep(_TICK)
    os.unlink(_MAY_GO)  # noqa: PTH108


def serve(port: int, facts: dict[str, Any]) -> None:
    """Answer the host on ``port``, forever."""
    while True:
        line = _line(port)
        if line == GO:
            os.close(os.open(_MAY_GO, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            os.write(port, b"ok\n")
        elif line.startswith(SHELL):
            _shell(port, [int(word) for word in line.split()[1:3]], facts)
        else:
            time.sleep(_IDLE)


def _line(port: int) -> bytes:
    # Read byte by byte, because what follows is input for the shell.
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(port, 1)
        if not part:
            return b""
        line += part
    return line


def _shell(port: int, size: list[int], facts: dict[str, Any]) -> None:
    import fcntl
    import pty
    import struct
    import termios

    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.clear()
        os.environ.update(facts["environment"])
        os.chdir(facts["cwd"])
        program = facts["environment"].get("SHELL") or "/bin/sh"
        os.execvp(program, [program])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", *size, 0, 0))
    _carry(port, terminal)
    os.close(terminal)  # a shell that is still running gets SIGHUP
    os.waitpid(pid, 0)
    os.write(port, LEFT)


def _carry(port: int, terminal: int) -> None:
    poll = select.poll()
    poll.register(port, select.POLLIN)
    poll.register(terminal, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            try:
                data = os.read(fd, 4096)
            except OSError:  # the shell has closed its terminal
                return
            if not data:
                return
            to = terminal if fd == port else port
            while data:
                data = data[os.write(to, data) :]
