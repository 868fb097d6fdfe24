# SPDX-License-Identifier: GPL-2.0-only
"""What guests report, judged and written down the moment it comes in."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from harness.model import Outcome, Splat
from harness.plugin import phases
from harness.plugin.expected import Ledger
from harness.plugin.watch import Watch
from harness.results.journal import Journal, Phase
from harness.splat import BOOT, find


class Reports:
    """Takes the reports of guests.  Each has a thread of its own, in which they come in order."""

    def __init__(
        self,
        journal: Journal,
        watch: Watch,
        console: Callable[[str], Path],
        along: Collection[str],
    ) -> None:
        self.journal, self.watch, self._console = journal, watch, console
        self.along = along  # names of the variables that guests see
        self.collected: list[str] = []  # the tests that the first guest found
        self.ledger = Ledger()
        self._uncollected: set[str] = set()  # files without tests: they cannot be imported
        self.done = 0  # tests that came to an end
        self.spent: dict[str, str] = {}  # guests that leave by themselves, and why
        self.boot: dict[str, tuple[Splat, ...]] = {}  # splats at the boot of a guest
        self.broken: dict[str, str] = {}  # guests whose pytest failed itself, and how
        self.told: dict[str, set[str]] = {}  # titles of splats by guest, already counted
        #: Called behind each report, while its guest waits (--hold).
        self.behind: Callable[[str, pytest.TestReport], None] | None = None

    def take(self, guest: str, report: pytest.TestReport) -> list[pytest.TestReport]:
        """Judge a report, which may become a failure; gives reports to be heard before it."""
        said = vars(report)
        earlier = self.between(guest, said.get("kernel_log_before", ""))
        if report.when == "setup":
            self.ledger.begin(report.nodeid, said.get("expects_splat", ()))
        if report.failed:
            phases.explain(report, self.along)
        phase = phases.judge(report, self.ledger)
        self.journal.reported(report.nodeid, phase)
        self._told(guest, phase.splats)
        if report.when == "teardown":
            self.done += 1
        if said.get("spent"):
            self.spent[guest] = f"{said['spent']} during {report.nodeid}"
        return earlier

    def uncollected(self, guest: str, report: pytest.CollectReport) -> None:
        """Note a file that cannot be imported: it stands for its tests, and has gone wrong."""
        name = report.nodeid
        if report.failed and name not in self._uncollected:
            self._uncollected.add(name)
            self.journal.collected([name])
            self.journal.started(name, guest)
            message = f"it cannot be imported\n{report.longreprtext}"
            self.journal.reported(name, Phase("setup", Outcome.ERROR, message=message))

    def between(self, guest: str, log: str) -> list[pytest.TestReport]:
        """Judge what the kernel said since the last test of a guest ended, or since its boot."""
        last = self.watch.before.get(guest, "")
        if not last:
            self._booted(guest)
        if not log or not last:
            return []
        splats = self.ledger.unexpected(last, find(log.splitlines(), last))
        self._told(guest, splats)
        if not splats:
            return []
        phase, report = phases.after(last, log, splats)
        self.journal.reported(last, phase)
        return [report]

    def _booted(self, guest: str) -> None:
        """Judge, once, what the kernel said until the first test; it costs the guest nothing."""
        if guest in self.told:
            return
        try:
            text = self._console(guest).read_text(errors="backslashreplace")
        except OSError:
            text = ""
        log = text.partition("harness: start ")[0]
        splats = find(log.splitlines(), BOOT)
        self._told(guest, splats)
        if splats:
            self.boot[guest] = splats
            self.journal.guest(guest, "splat at boot", log, splats)

    def _told(self, guest: str, splats: tuple[Splat, ...]) -> None:
        self.told.setdefault(guest, set()).update(one.title for one in splats)
