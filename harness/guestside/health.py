# SPDX-License-Identifier: GPL-2.0-only
"""Whether this guest's kernel can still be judged: its taint, and the checks that gave up."""

from __future__ import annotations

import contextlib
import os
import re

_TAINTED = "/proc/sys/kernel/tainted"
_LOCKDEP = "/proc/lockdep_stats"
_REARM = "/sys/kernel/debug/clear_warn_once"
_OFF = re.compile(r"^ debug_locks: +0$", re.MULTILINE)
# Bits of the taint: a task of the kernel died, and with it whatever it held; a machine check.
_DIED, _MACHINE = 1 << 7, 1 << 4
# Nothing of a splat goes without one of these words.
_LOUD = ("BUG:", "WARNING:", "INFO:", "Oops", "general protection", "lock debugging")


def _read(path: str) -> str:
    with open(path) as file:  # noqa: PTH123
        return file.read()


class Health:
    """What is known of the running kernel."""

    def __init__(self) -> None:
        self._last = 0
        self._tainted = os.open(_TAINTED, os.O_RDONLY | os.O_CLOEXEC)
        self.lockdep = os.path.exists(_LOCKDEP) and self._watches()  # noqa: PTH110

    def taint(self) -> int:
        """Give the kernel's taint, as its bits."""
        # A test may close all files or take /proc away.
        with contextlib.suppress(OSError, ValueError):
            self._last = int(os.pread(self._tainted, 32, 0))
        return self._last

    def spent(self, log: str, before: int, after: int) -> str:
        """Say why nothing that follows can be judged; empty when it can.

        ``log`` is what the kernel said during a test, ``before`` and ``after`` the taint around it.
        """
        fresh = after & ~before
        if fresh & _DIED:
            return "a task of the kernel died, with whatever it held"
        if fresh & _MACHINE:
            return "the machine reported a fault of its own"
        if self.lockdep and any(word in log for word in _LOUD) and not self._watches():
            return "lockdep turned itself off"
        return ""

    def rearm(self, log: str) -> None:
        """Have WARN_ONCE and its like speak again, should they have spoken in ``log``."""
        if "WARNING:" in log and os.path.exists(_REARM):  # noqa: PTH110
            with contextlib.suppress(OSError), open(_REARM, "w") as file:  # noqa: PTH123
                file.write("1")

    def _watches(self) -> bool:
        try:
            return not _OFF.search(_read(_LOCKDEP))
        except OSError:
            return True
