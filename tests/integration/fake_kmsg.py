# SPDX-License-Identifier: GPL-2.0-only
"""In the Python that stands in for a guest's: the kernel's log is a file named by FAKE_KMSG.

What a test appends to that file is what the kernel says; marks go there too.  Each guest has a file
of its own, since several run at once.
"""

from __future__ import annotations

import os
from pathlib import Path

from harness.guestside import kmsg

os.environ["FAKE_KMSG"] += f".{os.getpid()}"


class Kmsg:
    """As harness.guestside.kmsg.Kmsg, on an ordinary file."""

    def __init__(self) -> None:
        self._file = Path(os.environ["FAKE_KMSG"])
        self._file.touch()
        self._read = self._file.stat().st_size

    def audible(self) -> None:
        pass

    def mark(self, word: str, test: str) -> None:
        pass

    def drain(self) -> str:
        with self._file.open() as file:
            file.seek(self._read)
            said = file.read()
            self._read = file.tell()
        return said


kmsg.Kmsg = Kmsg  # type: ignore[assignment,misc]
