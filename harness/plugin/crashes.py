# SPDX-License-Identifier: GPL-2.0-only
"""A guest died: which test is to blame, what were its last words, and what has to run again."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection
from typing import Any

from harness.errors import HarnessError
from harness.guest.relay import GUEST_LEFT, HOST_LEFT
from harness.model import GuestRecord, Outcome
from harness.plugin.deaths import Death, last_words
from harness.plugin.fleet import Fleet
from harness.plugin.phases import location
from harness.plugin.reports import Reports
from harness.plugin.watch import Watch
from harness.results.journal import Phase

#: Guests in a row that may die before their first test, each in another way, or be lost with no
#: test done in between.
PATIENCE = 2
_MOMENT = 3.0  # seconds for a keeper to notice that its guest is gone
_SETTLE = 10.0  # the same where it certainly is, on a busy host
_LAST = 8  # lines of a console in a message


class Crashes:
    """Blames the test a guest was at, or else the one it had just finished."""

    def __init__(self, fleet: Fleet, reports: Reports, watch: Watch) -> None:
        self.fleet, self.reports, self.watch = fleet, reports, watch
        self.journal = reports.journal
        self.lost: list[str] = []  # why guests were lost
        self._blamed = ""
        self._phase: Phase | None = None
        self._again: set[str] = set()
        self._sure = False  # that what xdist blames had not begun
        self._cut: set[str] = set()  # tests during which a connection broke off
        self._idle: list[str] = []  # how guests died that had begun no test
        self._words = ""
        self._gone = 0
        self._done = 0

    @property
    def hopeless(self) -> str:
        """Say why there is no point in going on; empty when there is."""
        if self._gone > PATIENCE:
            return f"guests keep being lost, not by the kernel's fault: {self.lost[-1]}"
        if len(self._idle) > PATIENCE or len(self._idle) > len(set(self._idle)):
            return f"guests die before they start a test: {self._words}"
        return ""

    def died(self, guest: str, relay: int = HOST_LEFT) -> None:
        """Write down what killed a guest; the journal has it before anything else can go wrong.

        ``relay`` is the exit status of its relay: whether the guest left first, or the host.
        """
        self._blamed, self._phase = "", None
        self._sure = guest in self.reports.spent
        if self._sure:
            self.journal.guest(guest, f"replaced: {self.reports.spent[guest]}")
            return
        at = self.watch.at(guest)
        death = self._death(guest, at, settled=relay != GUEST_LEFT)
        if relay < 0 and not death.seconds and death.record and death.record.ended == "done":
            death = dataclasses.replace(death, record=None)  # the killed relay's doing
        if at and death.cut and at in self._cut:
            death = dataclasses.replace(death, again=True)  # it does that to its guests
        if death.lost:
            self._lose(guest, at, death)
        elif death.test:
            self._blame(guest, at, death)
        else:
            self._unborn(guest, death)

    def _death(self, guest: str, at: str, *, settled: bool = True) -> Death:
        test = at or self.watch.before.get(guest, "")
        keeper = self.fleet.named(guest)
        record: GuestRecord | None = None
        if keeper is not None:
            try:
                if not settled:
                    keeper.wait_over(_SETTLE)  # how it ended by itself, not that we ended it
                record = keeper.end()
            except HarnessError:
                record = None
        folder = keeper.folder if keeper else self.fleet.spec.folder
        console, splats = last_words(folder, f"harness: start {test}" if test else "")
        # A guest that ended by itself was not late, even if nobody heard of it in time.
        slow = record is None or record.ended in ("timeout", "hang")
        seconds = self.watch.late.get((guest, at), 0.0) if slow else 0.0
        broken = self.reports.broken.get(guest, "")
        return Death(test, record, folder, console, splats, seconds, broken, after=not at)

    def stillborn(self, known: Collection[str]) -> tuple[str, int]:
        """Say what became of a guest that died while xdist connected, and pytest's exit status.

        ``known`` are the names of those that were connected before.
        """
        end = time.monotonic() + _MOMENT
        dead: list[str] = []
        while not dead and time.monotonic() < end:
            fresh = [one for one in self.fleet.started if one.name not in known]
            dead = [one.name for one in fresh if one.poll() is not None]
        if not dead:
            return "the connection to a guest broke off before its first test", 3
        death = self._death(dead[0], "")
        titles = "".join(f": {one.title}" for one in death.splats)
        words = f"died before its first test: {death.why}{titles}"
        self.journal.guest(dead[0], words, "", death.splats)
        # No test's code has run there yet: one that only left was let go of.
        left = death.record is not None and death.record.ended in ("done", "left")
        return f"{dead[0]} {words}", 3 if death.lost or left else 1

    def _unborn(self, guest: str, death: Death) -> None:
        titles = ", ".join(one.title for one in death.splats)
        self.journal.guest(guest, f"died before its first test: {death.why}", "", death.splats)
        lines = [line.rpartition(" | ")[2] for line in death.console.splitlines() if line.strip()]
        words = [titles or death.why, "hint: does a test file do that when it is imported?"]
        if not titles:
            words += ["its last lines:", *(f"  {line}" for line in lines[-_LAST:])]
        self._words = "\n".join([*words, f"console: {death.folder / 'console.log'}"])
        self._idle.append(titles or death.why)

    def _lose(self, guest: str, at: str, death: Death) -> None:
        self.lost.append(death.why)
        moved = self.reports.done > self._done
        self._done = self.reports.done
        self._gone = 1 if moved else self._gone + 1
        if at:
            if death.cut:
                self._cut.add(at)
            self.journal.lost(at, guest, death.why)
        else:
            self.journal.guest(guest, death.why)

    def _blame(self, guest: str, at: str, death: Death) -> None:
        self._idle.clear()
        self._blamed = death.test
        told = self.reports.told.get(guest, set()) if not at else set()
        fresh = tuple(one for one in death.splats if one.title not in told)
        splats = self.reports.ledger.unexpected(death.test, fresh)
        phase = death.phase(splats)
        if not splats and not death.seconds and self.reports.ledger.dies(death.test):
            phase = Phase("crash", Outcome.PASS, log=death.console)
        self._phase = phase
        self.journal.reported(death.test, phase)

    def explain(self, item: str, report: Any, sched: Any) -> None:
        """Correct xdist's report: it blames the next test it had sent, started or not."""
        blamed = self._blamed
        again = blamed != item and (self._sure or item not in self._again)
        if again:
            # It never ended: it runs in the next guest.  Once, lest it is the killer after all; a
            # guest that left by itself has had its test, and did not begin another.
            if not self._sure:
                self._again.add(item)
            sched.mark_test_pending(item)
        if blamed and self._phase is not None:
            report.nodeid = blamed
            report.location = location(blamed)
            if self._phase.outcome.bad:
                report.longrepr = self._phase.message
            else:
                report.outcome, report.when, report.longrepr = "passed", "call", None
        elif again or self.lost:
            report.outcome = "rerun"  # neither passed nor failed: it has not been run
