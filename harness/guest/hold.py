# SPDX-License-Identifier: GPL-2.0-only
"""Keep a guest in its present state, so that the user can enter it.

The file ``held.json`` exists while a guest is held; removing it ends the hold.  A running guest
offers a shell on its own port; a guest whose kernel died is stopped, and gdb can connect to QEMU.
``harness.guest.attend`` connects the user's terminal.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from harness import serial
from harness.guest import qmp
from harness.guestside import held

FILE = "held.json"
SHELL, GDB = "shell", "gdb"  # kinds of holds, and their sockets' names in the private folder
_TICK = 0.1
_PATIENCE = 5.0  # seconds for the guest to notice that it may continue


@dataclasses.dataclass(frozen=True)
class Hold:
    """held.json: why a guest is held, and the command that enters it.

    ``kind`` is SHELL or GDB; the hold ends after ``seconds``.
    """

    kind: str
    why: str
    enter: str
    socket: str
    seconds: float


def living(folder: Path, private: Path, why: str, seconds: float) -> None:
    """Hold a running guest for ``seconds``, so that the user can enter it."""
    command = [sys.executable, "-P", "-m", "harness.guest.attend", str(folder)]
    write(folder, Hold(SHELL, why, shlex.join(command), str(private / SHELL), seconds))


def dead(folder: Path, private: Path, vmlinux: Path | None, seconds: float, why: str) -> None:
    """Stop the guest's processors and let gdb connect for ``seconds``."""
    sock = private / GDB
    qmp.ask(private / "qmp", "stop")
    qmp.monitor(private / "qmp", f"gdbserver unix:{sock},server=on,wait=off")
    command = ["gdb", *([str(vmlinux)] if vmlinux else []), "-ex", f"target remote {sock}"]
    write(folder, Hold(GDB, why, shlex.join(command), str(sock), seconds))


def write(folder: Path, hold: Hold) -> None:
    """Start a hold."""
    serial.write(folder / FILE, hold, indent=1)


def read(folder: Path) -> Hold | None:
    """Return the hold of a guest; None if it is not held."""
    try:
        return serial.read(folder / FILE, Hold)
    except (OSError, serial.DamagedError):
        return None


def let_go(folder: Path) -> None:
    """End a hold."""
    (folder / FILE).unlink(missing_ok=True)


def wait(folder: Path, seconds: float, given_up: Callable[[], bool]) -> None:
    """Wait until the hold ends, the time is up, or ``given_up`` returns True; then end it."""
    end = time.monotonic() + seconds
    while (folder / FILE).exists() and time.monotonic() < end and not given_up():
        time.sleep(_TICK)
    let_go(folder)


def continue_tests(private: Path) -> None:
    """Tell the tests in the guest to continue; does nothing if the guest has ended."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(_PATIENCE)
        sock.connect(os.fspath(private / SHELL))
        sock.sendall(held.GO)
        sock.recv(64)
