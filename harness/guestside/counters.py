# SPDX-License-Identifier: GPL-2.0-only
"""Read the kernel's execution counters (gcov) after each test.

The counters only grow: what a test added is the difference between two readings, so that reading
once per test is enough, and nothing has to be reset.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence

PLACE = "/sys/kernel/debug/gcov"
_AT_ONCE = 1 << 20  # bytes; the counters of the largest file take a quarter of it


class Counters:
    """The counters of some files, named as below PLACE."""

    def __init__(self, names: Sequence[str]) -> None:
        # Opened once: a test may unmount debugfs, or change its root.
        self._folder = os.open(PLACE, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._last = dict.fromkeys(names, b"")

    def changed(self) -> dict[str, bytes]:
        """Return the counters of the files that changed since the last call, compressed.

        A module's file appears when the module is loaded for the first time.
        """
        found: dict[str, bytes] = {}
        for name, last in self._last.items():
            now = self._read(name)
            if now and now != last:
                self._last[name] = now
                found[name] = zlib.compress(now, 1)
        return found

    def _read(self, name: str) -> bytes:
        try:
            file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder)
        except OSError:  # a module that is not loaded, or a test has closed all files
            return b""
        try:
            parts = []
            while part := os.read(file, _AT_ONCE):
                parts.append(part)
            return b"".join(parts)
        except OSError:
            return b""
        finally:
            os.close(file)
