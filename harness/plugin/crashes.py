# SPDX-License-Identifier: GPL-2.0-only
"""A guest died: which test is to blame, what were its last words, and what has to run again."""

from __future__ import annotations

from typing import Any

from harness.errors import HarnessError
from harness.plugin import phases
from harness.plugin.fleet import Fleet, last_words
from harness.plugin.watch import Watch
from harness.results.journal import Journal, Phase

#: Guests in a row that may die before their first test.
PATIENCE = 2


class Crashes:
    """Blames the test a guest was at, or else the one it had just finished."""

    def __init__(self, fleet: Fleet, journal: Journal, watch: Watch) -> None:
        self.fleet, self.journal, self.watch = fleet, journal, watch
        self._phases: dict[str, Phase] = {}
        self._blamed = ""
        self._retried: set[str] = set()
        self._idle = 0

    @property
    def hopeless(self) -> bool:
        """Whether guests keep dying before they run anything."""
        return self._idle > PATIENCE

    def died(self, guest: str) -> None:
        """Write down what killed a guest; the journal has it before anything else can go wrong."""
        test = self.watch.at(guest) or self.watch.before.get(guest, "")
        self._blamed = test
        self._idle = 0 if test else self._idle + 1
        keeper = self.fleet.named(guest)
        if not test or keeper is None:
            return
        try:
            record = keeper.end()
        except HarnessError:
            record = None
        console, splats = last_words(keeper.folder, f"harness: start {test}")
        late = test in self.watch.late_tests
        phase = phases.crash(late, record, console, splats, self.watch.test_deadline)
        self._phases[test] = phase
        self.journal.reported(test, phase)

    def explain(self, item: str, report: Any, sched: Any) -> None:
        """Correct xdist's report: it blames the next test it had sent, started or not."""
        blamed = self._blamed
        again = blamed != item and item not in self._retried
        if again:
            # It never started: it runs in the next guest.  Once, lest it is the killer after all.
            self._retried.add(item)
            sched.mark_test_pending(item)
        if blamed:
            report.nodeid = blamed
            report.location = (blamed.split("::")[0], None, blamed)
            report.longrepr = self._phases[blamed].message if blamed in self._phases else "crashed"
        elif again:
            report.outcome = "rerun"  # neither passed nor failed: it has not been run yet
