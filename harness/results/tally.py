# SPDX-License-Identifier: GPL-2.0-only
"""How far a test session is, read from its journal while it is being written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.results.reading import NAME


class Tally:
    """How far a session is, told again and again: each time only what is new is read."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / NAME
        self._read = 0  # bytes
        self._total: set[str] = set()
        self._done: set[str] = set()
        self._current = ""

    def now(self) -> tuple[int, int, str]:
        """Say how many tests are done, how many there are, and which was begun last."""
        if self._file.is_file():
            with self._file.open("rb") as file:
                file.seek(self._read)
                # A last line that is still being written is for the next time.
                whole = file.read().rpartition(b"\n")[0]
            self._read += len(whole) + 1 if whole else 0
            for line in whole.splitlines():
                self._take(json.loads(line))
        return len(self._done), len(self._total), self._current

    def _take(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "collected":
                self._total.update(event["ids"])
            case "started":
                self._current = event["id"]
            case "reported" if event["when"] in ("teardown", "crash"):
                self._done.add(event["id"])
