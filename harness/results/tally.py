# SPDX-License-Identifier: GPL-2.0-only
"""How far a test session is, read from its journal while it is being written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.model import Outcome, Test
from harness.results.reading import NAME, Session, result

_TOLD = ("after", "teardown", "crash")  # phases behind which a test's outcome is known


class Tally:
    """How far a session is, told again and again: each time only what is new is read.

    ``running`` says which test each guest is at, and since when (as time.time()).
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / NAME
        self._read = 0  # bytes
        self._session = Session()
        self._outcomes: dict[str, Outcome] = {}
        self.running: dict[str, tuple[str, float]] = {}

    @property
    def total(self) -> int:
        """How many tests there are; 0 as long as nobody knows."""
        return len(self._session.tests)

    @property
    def done(self) -> int:
        """How many of them have ended."""
        return len(self._outcomes)

    @property
    def counts(self) -> dict[Outcome, int]:
        """How they ended, in the order Outcome lists them, zeros left out."""
        found = Counter(self._outcomes.values())
        return {outcome: found[outcome] for outcome in Outcome if found[outcome]}

    def news(self) -> list[Test]:
        """Read on; gives the tests that turned out bad meanwhile, or bad in another way."""
        return [test for event in self._events() for test in self._take(event)]

    def _events(self) -> Iterator[dict[str, Any]]:
        if not self._file.is_file():
            return
        with self._file.open("rb") as file:
            file.seek(self._read)
            # A last line that is still being written is for the next time.
            whole = file.read().rpartition(b"\n")[0]
        self._read += len(whole) + 1 if whole else 0
        for line in whole.splitlines():
            yield json.loads(line)

    def _take(self, event: dict[str, Any]) -> Iterator[Test]:
        self._session.take(event)
        match event:
            case {"event": "started", "id": test, "guest": guest}:
                self.running[guest] = test, event.get("at", 0.0)
            case {"event": "reported", "id": test, "when": when} if when in _TOLD:
                self._left(test)
                yield from self._ended(test)
            case {"event": "attempt", "id": test}:
                yield from self._ended(test)
            case {"event": "lost", "id": test}:
                self._left(test)

    def _left(self, test: str) -> None:
        self.running = {guest: at for guest, at in self.running.items() if at[0] != test}

    def _ended(self, test: str) -> Iterator[Test]:
        found = result(self._session, test)
        before = self._outcomes.get(test)
        self._outcomes[test] = found.outcome
        if found.outcome.bad and found.outcome is not before:
            yield found
