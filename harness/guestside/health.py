# SPDX-License-Identifier: GPL-2.0-only
"""Check whether a guest can still run tests: taint, disabled kernel checks, its files."""

from __future__ import annotations

import contextlib
import os
import re
import sys

from harness.guestside.inherited import Inherited

_TAINTED = "/proc/sys/kernel/tainted"
_LOCKDEP = "/proc/lockdep_stats"
_REARM = "/sys/kernel/debug/clear_warn_once"
_OFF = re.compile(r"^ debug_locks: +0$", re.MULTILINE)
# Taint bits: a task died in the kernel (TAINT_DIE), machine check.
_DIED, _MACHINE = 1 << 7, 1 << 4
# Paths of the system and of the tests' interpreter; no test can run without them.
_PLACES = ("/", "/proc", "/usr", sys.prefix)
# In-memory file systems on which tests need space (/tmp is in /run), and how many bytes.
_ROOMS = ("/run", "/dev/shm")
_LITTLE = 1 << 20
FRESH = "the next test gets a guest of its own"
BLIND = "lockdep turned itself off"
# Every splat contains at least one of these.
_LOUD = ("BUG:", "WARNING:", "INFO:", "Oops", "general protection", "lock debugging")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - faster, and this runs for every test
    except OSError:
        return None
    # The inode number of a folder on an overlay may change; the root is not on an overlay.
    return status.st_dev, status.st_ino if path == "/" else 0


def _full(path: str) -> bool:
    try:
        room = os.statvfs(path)
    except OSError:
        return False
    return room.f_blocks > 0 and room.f_bavail * room.f_frsize < _LITTLE


def _read(path: str) -> str:
    with open(path) as file:  # noqa: PTH123
        return file.read()


class Health:
    """The state of the guest when it started, and what has changed since."""

    def __init__(self) -> None:
        self._last = 0
        self._tainted = os.open(_TAINTED, os.O_RDONLY | os.O_CLOEXEC)
        self._places = {path: _identity(path) for path in _PLACES}
        self._rooms = [path for path in _ROOMS if not _full(path)]
        self.inherited = Inherited()
        self.lockdep = os.path.exists(_LOCKDEP) and self._lockdep_works()  # noqa: PTH110

    def taint(self) -> int:
        """Return the kernel's taint bits."""
        try:
            self._last = int(os.pread(self._tainted, 32, 0))
        except (OSError, ValueError):
            return self._last  # a test has closed all files, or unmounted /proc
        return self._last

    def spent(self, log: str, before: int, after: int) -> str:
        """Return why later tests cannot run in this guest; empty if they can.

        ``log`` contains the kernel's messages during a test; ``before`` and ``after`` are the taint
        bits before and after it.
        """
        new = after & ~before
        if new & _DIED:
            return "a task died in the kernel and may have held locks"
        if new & _MACHINE:
            return "the machine reported a hardware fault"
        if self.lockdep and any(word in log for word in _LOUD) and not self._lockdep_works():
            return BLIND
        return self._spoilt()

    def _spoilt(self) -> str:
        """Return which change by a test prevents the next one from running."""
        for path, original in self._places.items():
            if _identity(path) != original:
                return f"{path} changed"
        for path in self._rooms:
            if _full(path):
                return f"{path} is full"
        return self.inherited.changed()

    def rearm(self, log: str) -> None:
        """Make WARN_ONCE warn again if there was a warning in ``log``."""
        if "WARNING:" in log and os.path.exists(_REARM):  # noqa: PTH110
            with contextlib.suppress(OSError), open(_REARM, "w") as file:  # noqa: PTH123
                file.write("1")

    def _lockdep_works(self) -> bool:
        try:
            return not _OFF.search(_read(_LOCKDEP))
        except OSError:
            return True
