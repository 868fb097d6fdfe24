# SPDX-License-Identifier: GPL-2.0-only
"""The execution counters (gcov) that guests read after each test, one JSON line per test.

The file stands beside the journal.  A line has only the files whose counters changed, each as gcov
reads it from a .gcda file, compressed and in base64.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "counters.jsonl"
_LARGEST = 1 << 24  # bytes of one file; a guest may send anything


@dataclass(frozen=True)
class Reading:
    """The counters of a guest after a test; before its first test ``test`` is empty.

    ``files`` are the contents of those that changed since the guest's last reading, by their names
    below /sys/kernel/debug/gcov.
    """

    guest: str
    test: str
    files: Mapping[str, bytes]


class CounterLog:
    """Writes what guests read.  Thread-safe; without ``names`` of counters it writes nothing."""

    def __init__(self, folder: Path, names: Collection[str]) -> None:
        self.names = frozenset(names)
        self._file = folder / NAME
        self._lock = threading.Lock()

    def add(self, guest: str, test: str, files: object) -> None:
        """Write a reading as a guest sent it, without what it cannot have."""
        if not self.names or not isinstance(files, dict):
            return
        valid = {
            name: base64.b64encode(content).decode()
            for name, content in files.items()
            if name in self.names and isinstance(content, bytes)
        }
        line = json.dumps({"guest": guest, "test": test, "files": valid}) + "\n"
        # On a full disk the journal tells; results do not depend on counters.
        with self._lock, contextlib.suppress(OSError), self._file.open("a") as file:
            file.write(line)


def readings(folder: Path) -> Iterator[Reading]:
    """Read the file, in its order; nothing if there is none.  Damaged lines are left out."""
    try:
        lines = (folder / NAME).open("rb")
    except OSError:
        return
    with lines:
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, zlib.error):
                table: Any = json.loads(line)
                files = {name: _content(text) for name, text in table["files"].items()}
                yield Reading(str(table["guest"]), str(table["test"]), files)


def _content(text: str) -> bytes:
    return zlib.decompressobj().decompress(base64.b64decode(text), _LARGEST)
