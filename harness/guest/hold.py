# SPDX-License-Identifier: GPL-2.0-only
"""Leave a guest as it is for a person: who waits writes ``held.json``, who is done removes it.

A living guest has a shell on a port of its own; one whose kernel died is stopped, and gdb can be
pointed at QEMU.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.guest import folder, qmp
from harness.guestside import held

FILE = "held.json"
SHELL, GDB = "shell", "gdb"  # sockets in the guest's private folder
#: Seconds of a hold that a person at the terminal ends.
LONG = 7 * 24 * 3600.0
_TICK = 0.1
_PATIENCE = 5.0  # seconds for the guest to hear that it may go on


def living(place: Path, private: Path, why: str, seconds: float) -> None:
    """Say that the guest of folder ``place`` can be entered, for so long."""
    words = [sys.executable, "-P", "-m", "harness.guest.attend", str(place)]
    _write(place, "shell", why, shlex.join(words), private / SHELL, seconds)


def dead(place: Path, private: Path, vmlinux: Path | None, seconds: float, why: str) -> None:
    """Stop the guest's processors and let gdb in, for so long."""
    sock = private / GDB
    qmp.ask(private / "qmp", "stop")
    qmp.monitor(private / "qmp", f"gdbserver unix:{sock},server=on,wait=off")
    words = ["gdb", *([str(vmlinux)] if vmlinux else []), "-ex", f"target remote {sock}"]
    _write(place, "gdb", why, shlex.join(words), sock, seconds)


def _write(place: Path, kind: str, why: str, enter: str, sock: Path, seconds: float) -> None:
    value = {"kind": kind, "why": why, "enter": enter, "socket": str(sock), "seconds": seconds}
    folder.write(place / FILE, value)


def read(place: Path) -> dict[str, Any]:
    """Give what is written of a hold; empty when there is none."""
    try:
        found: dict[str, Any] = json.loads((place / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return found


def let_go(place: Path) -> None:
    """End a hold."""
    (place / FILE).unlink(missing_ok=True)


def wait(place: Path, seconds: float, given_up: Callable[[], bool]) -> None:
    """Wait until somebody ends the hold, or time or ``given_up`` does."""
    end = time.monotonic() + seconds
    while (place / FILE).exists() and time.monotonic() < end and not given_up():
        time.sleep(_TICK)
    let_go(place)


def go_on(private: Path) -> None:
    """Tell the tests in the guest to go on; one that is gone needs no word."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(_PATIENCE)
        sock.connect(os.fspath(private / SHELL))
        sock.sendall(held.GO)
        sock.recv(64)
