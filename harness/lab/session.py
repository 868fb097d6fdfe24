# SPDX-License-Identifier: GPL-2.0-only
"""A test session as a person sees it: its progress, what each guest is at, failures as they come.

pytest is another program.  What it finds is read from its journal, and what its guests do from
their folders, a few times a second: neither waits for pytest to print a line.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from rich.text import Text

from harness.guest import folder as guest_folder
from harness.model import GuestRecord, Outcome, Side, Test
from harness.progress import Row, Stage, clock
from harness.results.tally import Tally

_LOOK = 0.25  # seconds between two looks
_RETRIES = "retries"  # where the plugin runs again what failed; each in a folder of its own
_COLOURS = {Outcome.PASS: "green", Outcome.SKIP: "yellow", Outcome.XFAIL: "yellow"}


class Session:
    """Shows one session in its stage.

    ``judged``: the verdict is about this side, so that its failures are told one by one; of the
    other only deaths are.  ``known`` are tests that are bad without the series too.
    """

    def __init__(
        self, stage: Stage, folder: Path, side: Side, *, judged: bool, known: Collection[str] = ()
    ) -> None:
        self.stage, self.folder, self.side = stage, folder, side
        self.judged, self.known = judged, known
        self.tally = Tally(folder)
        self._guests = Guests(folder, self.tally)
        self._again: Guests | None = None
        self._over = threading.Event()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Show it as long as the context lasts."""
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
        while not self._over.wait(_LOOK):
            self.look()

    def look(self) -> None:
        """Take in what is new, and show it."""
        for test in self.tally.news():
            self._tell(test)
        self.stage.rows = (*self._guests.rows(), *self._alone())
        self.stage.update(self.tally.done, self.tally.total or None, tally(self.tally.counts))

    def _alone(self) -> tuple[Row, ...]:
        """Give the row of the guest in which a test that failed is run again."""
        place = newest(self.folder / _RETRIES)
        if place is None:
            return ()
        if self._again is None or self._again.folder != place:
            self._again = Guests(place, Tally(place))
        self._again.tally.news()
        return tuple(Row("again", row.what, row.began) for row in self._again.rows())

    def _tell(self, test: Test) -> None:
        if self.judged:
            too = " (on the base too)" if test.id in self.known else ""
            self.stage.progress.event("bad", f"{test.outcome:<10} {test.id}{too}", test.headline)
        elif test.outcome in (Outcome.CRASH, Outcome.TIMEOUT):
            words = f"{test.outcome:<10} {test.id} (on the {self.side})"
            self.stage.progress.event("odd", words, test.headline)

    @property
    def words(self) -> str:
        """What came of it, in a line."""
        boots = self._guests.boots.values()
        plural = "s" if len(boots) > 1 else ""
        took = f"; {len(boots)} guest{plural} up in {clock(max(boots))}" if boots else ""
        done, total = self.tally.done, self.tally.total
        counts = tally(self.tally.counts).plain
        number = f"{total}" if done == total else f"{done} of {total}"
        return f"{number} tests{counts and ': '}{counts}{took}"


class Guests:
    """What the guests of one session do: from their records, and from the session's tally."""

    def __init__(self, folder: Path, tally: Tally) -> None:
        self.folder, self.tally = folder, tally
        self.boots: dict[str, float] = {}  # the seconds each guest took to come up
        self._ended: set[Path] = set()
        self._idle: dict[str, float] = {}  # since when a guest that had tests has none

    def rows(self) -> Iterator[Row]:
        """Give a row for each guest that lives."""
        for place in guest_folder.taken(self.folder / "guests"):
            record = None if place in self._ended else guest_folder.read_record(place)
            if record is None:
                continue
            if record.boot_seconds is not None:
                self.boots[record.name] = record.boot_seconds
            if record.ended:
                self._ended.add(place)
            else:
                yield Row(record.name, *self._does(record))

    def _does(self, record: GuestRecord) -> tuple[str, float]:
        """Say what a guest is at, and since when."""
        if record.boot_seconds is None:
            return "boots", record.began or time.time()
        if record.name in self.tally.running:
            self._idle.pop(record.name, None)
            return self.tally.running[record.name]
        if not self.tally.total:
            return "collects the tests", record.began + record.boot_seconds
        what = "waits" if self.tally.done < self.tally.total else "ends"
        return what, self._idle.setdefault(record.name, time.time())


def newest(folder: Path) -> Path | None:
    """Give the last of the numbered folders in ``folder``."""
    return next(reversed(guest_folder.taken(folder)), None)


def tally(counts: dict[Outcome, int]) -> Text:
    """Write outcomes and their numbers, coloured."""
    parts = [(f"{n} {word}", _COLOURS.get(word, "red")) for word, n in counts.items()]
    return Text(", ").join(Text(*part) for part in parts)
