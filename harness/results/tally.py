# SPDX-License-Identifier: GPL-2.0-only
"""How far a test session is, read from its journal while that is being written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from harness.model import Outcome, Test
from harness.results import journal
from harness.results.journal import Event, JournalContent

_SETTLED = ("after", "teardown", "crash")  # phases after which a test's outcome is known


class Tally:
    """How far a session is, asked again and again: each time only what is new is read.

    ``running`` has the test that each guest runs, and since when (as time.time()).
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / journal.NAME
        self._read = 0  # bytes
        self._content = JournalContent()
        self._outcomes: dict[str, Outcome] = {}
        self.running: dict[str, tuple[str, float]] = {}

    @property
    def total(self) -> int:
        """How many tests there are; 0 as long as nobody knows."""
        return len(self._content.tests)

    @property
    def done(self) -> int:
        """How many of them have ended."""
        return len(self._outcomes)

    @property
    def counts(self) -> dict[Outcome, int]:
        """How they ended, in the order of Outcome, zeros left out."""
        counts = Counter(self._outcomes.values())
        return {outcome: counts[outcome] for outcome in Outcome if counts[outcome]}

    def news(self) -> list[Test]:
        """Read on; returns the tests that turned out bad meanwhile, or bad in another way."""
        return [test for event in self._events() for test in self._take(event)]

    def _events(self) -> Iterator[Event]:
        if not self._file.is_file():
            return
        with self._file.open("rb") as file:
            file.seek(self._read)
            # A last line that is still being written is for the next time.
            whole = file.read().rpartition(b"\n")[0]
        self._read += len(whole) + 1 if whole else 0
        for line in whole.splitlines():
            if (event := journal.parse(line)) is not None:
                yield event

    def _take(self, event: Event) -> Iterator[Test]:
        self._content.take(event)
        match event:
            case journal.Started():
                self.running[event.guest] = event.id, event.at
            case journal.PhaseReported() if event.when in _SETTLED:
                self._leave(event.id)
                yield from self._end(event.id)
            case journal.Retried():
                yield from self._end(event.id)
            case journal.AttemptLost():
                self._leave(event.id)

    def _leave(self, test: str) -> None:
        self.running = {guest: at for guest, at in self.running.items() if at[0] != test}

    def _end(self, name: str) -> Iterator[Test]:
        test = self._content.result(name)
        before = self._outcomes.get(name)
        self._outcomes[name] = test.outcome
        if test.outcome.bad and test.outcome is not before:
            yield test
