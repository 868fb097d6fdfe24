# SPDX-License-Identifier: GPL-2.0-only
"""The journal of a test session: one JSON line per event, with its time, written at once.

Whatever happens to the guest, to pytest or to the machine, what is in the journal is known; see
``harness.results.reading`` for how it is read back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from harness.model import Outcome, Splat
from harness.results.reading import NAME, read
from harness.results.tally import Tally

__all__ = ["NAME", "Journal", "Phase", "Tally", "read"]


@dataclasses.dataclass(frozen=True)
class Phase:
    """One phase's report of a test, as pytest gives it, in our words.

    ``when`` is setup, call, teardown, after (between two tests) or crash; ``log`` is what the
    kernel said meanwhile, ``taint`` the kernel's before and after.
    """

    when: str
    outcome: Outcome
    seconds: float = 0.0
    message: str = ""
    output: str = ""
    log: str = ""
    splats: tuple[Splat, ...] = ()
    taint: tuple[int, int] | None = None


class Journal:
    """Writes the journal; each event is on disk before the call returns.  Safe from any thread.

    ``fault`` says why it cannot be written any more (a full disk), else it is empty.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._file: TextIO = (folder / NAME).open("a", encoding="utf-8", errors="backslashreplace")
        self.fault = ""
        self._lock = threading.Lock()

    def session(self, command: Sequence[str], root: Path) -> None:
        """Note the command that, with a test's file and name behind it, runs that test alone.

        ``root`` is the folder that the tests' names start from.
        """
        self._write({"event": "session", "command": list(command), "root": str(root)})

    def collected(self, ids: Iterable[str]) -> None:
        """Note the tests there are; called again with more or the same, it adds the new ones."""
        self._write({"event": "collected", "ids": list(ids)})

    def started(self, test: str, guest: str) -> None:
        """Note that a test began in a guest; begun again it is another attempt."""
        self._write({"event": "started", "id": test, "guest": guest})

    def reported(self, test: str, phase: Phase) -> None:
        """Note a phase's report."""
        self._write({"event": "reported", "id": test, **dataclasses.asdict(phase)})

    def lost(self, test: str, guest: str, why: str) -> None:
        """Note that the host lost the guest during a test: that attempt never was."""
        self._write({"event": "lost", "id": test, "guest": guest, "why": why})

    def attempt(self, test: str, outcome: Outcome, folder: Path, message: str) -> None:
        """Note how a test ended when it was run again alone; ``folder`` has that run's journal."""
        table = {"event": "attempt", "id": test, "outcome": outcome, "message": message}
        self._write({**table, "folder": str(folder)})

    def guest(self, guest: str, note: str, log: str = "", splats: tuple[Splat, ...] = ()) -> None:
        """Note what befell a guest outside of any test, such as a splat at boot."""
        found = [dataclasses.asdict(one) for one in splats]
        self._write({"event": "guest", "guest": guest, "note": note, "log": log, "splats": found})

    def _write(self, event: dict[str, Any]) -> None:
        line = json.dumps({**event, "at": round(time.time(), 3)}) + "\n"
        with self._lock:
            if self.fault:
                return
            try:
                self._file.write(line)
                self._file.flush()
            except OSError as error:
                self.fault = f"cannot write {self.folder / NAME}: {error.strerror}"

    def close(self) -> None:
        """Close the file; further events are an error."""
        with contextlib.suppress(OSError):  # said already: what was not written cannot be
            self._file.close()
