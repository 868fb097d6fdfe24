# SPDX-License-Identifier: GPL-2.0-only
"""The progress of a test session, read from its journal while it is being written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from harness.model import Outcome, Test
from harness.results import journal
from harness.results.journal import Event, JournalContent

_SETTLED = ("after", "teardown", "crash")  # phases after which a test's outcome is known


class Tally:
    """The progress of a session.  Each update reads only the new part of the journal.

    ``running`` maps each guest to the test it is running and the start time (as time.time()).
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / journal.NAME
        self._read = 0  # bytes
        self._content = JournalContent()
        self._outcomes: dict[str, Outcome] = {}
        self.running: dict[str, tuple[str, float]] = {}

    @property
    def total(self) -> int:
        """The number of tests; 0 until it is known."""
        return len(self._content.tests)

    @property
    def done(self) -> int:
        """The number of tests that have ended."""
        return len(self._outcomes)

    @property
    def counts(self) -> dict[Outcome, int]:
        """The number of tests by outcome, in the order of Outcome, omitting zeros."""
        counts = Counter(self._outcomes.values())
        return {outcome: counts[outcome] for outcome in Outcome if counts[outcome]}

    def news(self) -> list[Test]:
        """Read new events; return tests that have become bad, or bad in another way."""
        return [test for event in self._events() for test in self._take(event)]

    def _events(self) -> Iterator[Event]:
        if not self._file.is_file():
            return
        with self._file.open("rb") as file:
            file.seek(self._read)
            # Leave an incomplete last line for the next update.
            complete = file.read().rpartition(b"\n")[0]
        self._read += len(complete) + 1 if complete else 0
        for line in complete.splitlines():
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
