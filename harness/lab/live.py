# SPDX-License-Identifier: GPL-2.0-only
"""Display of a test session: its progress, what each guest is doing, failures as they occur.

pytest is a separate program.  Its results are read from its journal, and the state of its guests
from their folders, a few times a second, without waiting for pytest to print a line.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from rich.text import Text

from harness.guest import records as guest_records
from harness.model import GuestRecord, Outcome, Side, Test
from harness.plugin import retries
from harness.progress import Stage, StageRow, clock
from harness.results import evidence
from harness.results.tally import Tally

_INTERVAL = 0.25  # seconds between two updates
_COLOURS = {Outcome.PASS: "green", Outcome.SKIP: "yellow", Outcome.XFAIL: "yellow"}


class SessionView:
    """Shows a session in its stage.

    ``judged``: the verdict is about this side, so all of its failures are shown; for the other side
    only crashes and timeouts are.  ``known`` are tests that are bad without the series too.
    """

    def __init__(
        self, stage: Stage, folder: Path, side: Side, *, judged: bool, known: Collection[str] = ()
    ) -> None:
        self.stage, self.folder, self.side = stage, folder, side
        self.judged, self.known = judged, known
        self.tally = Tally(folder)
        self._guests = GuestRows(folder, self.tally)
        self._retry: GuestRows | None = None
        self._over = threading.Event()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Show the session during the context."""
        thread = threading.Thread(target=self._watch, name="harness-session", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            self.look()
            self.stage.rows = ()

    def _watch(self) -> None:
        while not self._over.wait(_INTERVAL):
            self.look()

    def look(self) -> None:
        """Read and show new results."""
        for test in self.tally.news():
            self._show(test)
        self.stage.rows = (*self._guests.rows(), *self._retry_rows())
        self.stage.update(self.tally.done, self.tally.total or None, counts_text(self.tally.counts))

    def _retry_rows(self) -> tuple[StageRow, ...]:
        """Return the row of the guest in which a failed test is being rerun."""
        place = next(reversed(guest_records.taken(self.folder / retries.FOLDER)), None)
        if place is None:
            return ()
        if self._retry is None or self._retry.folder != place:
            self._retry = GuestRows(place, Tally(place))
        self._retry.tally.news()
        return tuple(StageRow("again", row.what, row.began) for row in self._retry.rows())

    def _show(self, test: Test) -> None:
        if self.judged:
            too = " (on the base too)" if test.id in self.known else ""
            self.stage.progress.event("bad", f"{test.outcome:<10} {test.id}{too}", test.headline)
        elif test.outcome in (Outcome.CRASH, Outcome.TIMEOUT):
            line = f"{test.outcome:<10} {test.id} (on the {self.side})"
            self.stage.progress.event("odd", line, test.headline)

    @property
    def summary(self) -> str:
        """The result in one line."""
        boots = self._guests.boots.values()
        plural = "s" if len(boots) > 1 else ""
        took = f"; {len(boots)} guest{plural} up in {clock(max(boots))}" if boots else ""
        done, total = self.tally.done, self.tally.total
        counts = counts_text(self.tally.counts).plain
        number = f"{total}" if done == total else f"{done} of {total}"
        return f"{number} tests{counts and ': '}{counts}{took}"


class GuestRows:
    """What the guests of a session are doing, from their records and the session's tally."""

    def __init__(self, folder: Path, tally: Tally) -> None:
        self.folder, self.tally = folder, tally
        self.boots: dict[str, float] = {}  # boot time of each guest, in seconds
        self._ended: set[Path] = set()
        self._idle: dict[str, float] = {}  # the time at which each guest ran out of tests

    def rows(self) -> Iterator[StageRow]:
        """Yield a row for each running guest."""
        for place in guest_records.taken(self.folder / evidence.GUESTS):
            record = None if place in self._ended else guest_records.read_record(place)
            if record is None:
                continue
            if record.boot_seconds is not None:
                self.boots[record.name] = record.boot_seconds
            if record.ended:
                self._ended.add(place)
            else:
                yield StageRow(record.name, *self._activity(record))

    def _activity(self, record: GuestRecord) -> tuple[str, float]:
        """Return what a guest is doing, and since when."""
        if record.boot_seconds is None:
            return "boots", record.began or time.time()
        if record.name in self.tally.running:
            self._idle.pop(record.name, None)
            return self.tally.running[record.name]
        if not self.tally.total:
            return "collects the tests", record.began + record.boot_seconds
        what = "waits" if self.tally.done < self.tally.total else "ends"
        return what, self._idle.setdefault(record.name, time.time())


def counts_text(counts: dict[Outcome, int]) -> Text:
    """Format the outcomes with their counts, in colour."""
    parts = [(f"{n} {outcome}", _COLOURS.get(outcome, "red")) for outcome, n in counts.items()]
    return Text(", ").join(Text(*part) for part in parts)
