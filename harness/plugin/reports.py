# SPDX-License-Identifier: GPL-2.0-only
"""Evaluate reports from guests as they arrive, and write them to the journal as phases.

A splat fails the test that caused it, and so does a taint that no splat explains.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from _pytest._code.code import ExceptionRepr

from harness.adaptors.nodes import EXPLAINED, SUBTESTS
from harness.guestside.health import FRESH
from harness.model import Outcome, Splat
from harness.plugin import taint
from harness.plugin.deadlines import DeadlineWatch
from harness.plugin.expected_splats import SplatLedger
from harness.results.counters import CounterLog
from harness.results.journal import Journal, Phase
from harness.splat import BOOT, find

# How tests read a variable in Python, and how Python reports a missing one.
_READ = re.compile(r"""(?:\benviron\b[.\w]*|\bgetenv)\s*[\[(]\s*["'](\w+)["']""")
_MISSED = re.compile(r"""KeyError: ["'](\w+)["']""")
_SPLAT_LINES = 40  # limit for each splat in a message


class Reports:
    """Processes the reports from guests, in order and in a separate thread for each guest."""

    def __init__(
        self,
        journal: Journal,
        watch: DeadlineWatch,
        console: Callable[[str], Path],
        variables: Collection[str],
        ignored: frozenset[str] = frozenset(),
    ) -> None:
        self.journal, self.watch, self._console = journal, watch, console
        self.variables = variables  # names of the environment variables in guests
        self.collected: list[str] = []  # the tests that the first guest collected
        self.ledger = SplatLedger(ignored)
        self._uncollected: set[str] = set()  # files that cannot be imported
        self.done = 0  # number of tests that have ended
        # Guests that end by themselves, and why; empty for --fresh.
        self.spent: dict[str, str] = {}
        self.boot: dict[str, tuple[Splat, ...]] = {}  # splats during the boot of a guest
        self.broken: dict[str, str] = {}  # guests in which pytest itself failed, and how
        self.titles: dict[str, set[str]] = {}  # titles of a guest's splats reported so far
        self.counters = CounterLog(journal.folder, ())
        #: Called after each report, while its guest waits (--hold).
        self.after_report: Callable[[str, pytest.TestReport], None] | None = None

    def take(self, guest: str, report: pytest.TestReport) -> list[pytest.TestReport]:
        """Evaluate a report, which may become a failure; return other reports to send first."""
        extra = vars(report)
        earlier = self.between(guest, extra.get("kernel_log_before", ""))
        if report.when == "setup":
            self.ledger.begin(report.nodeid, extra.get("expects_splat", ()))
        if report.failed:
            explain_variables(report, self.variables)
        phase = judge(report, self.ledger)
        if extra.get(EXPLAINED) and phase.outcome is Outcome.FAIL and not phase.splats:
            phase = dataclasses.replace(phase, outcome=Outcome.PASS, message="")
        self.journal.reported(report.nodeid, phase)
        if "counters" in extra:
            test = report.nodeid if report.when == "teardown" else ""
            self.counters.add(guest, test, extra.pop("counters"))
        for name, outcome, message in extra.get(SUBTESTS, ()):
            self.subtest(guest, f"{report.nodeid}::{name}", Outcome(outcome), str(message))
        self._note_titles(guest, phase.splats)
        if report.when == "teardown":
            self.done += 1
        if extra.get("spent"):
            why = extra["spent"]
            self.spent[guest] = "" if why == FRESH else f"{why} during {report.nodeid}"
        return earlier

    def subtest(self, guest: str, test: str, outcome: Outcome, message: str) -> None:
        """Record a result that an item of an adapted suite reported by itself."""
        self.journal.collected([test])
        self.journal.started(test, guest)
        self.journal.reported(test, Phase("call", outcome, message=message))
        self.journal.reported(test, Phase("teardown", Outcome.PASS))

    def uncollected(self, guest: str, report: pytest.CollectReport) -> None:
        """Record a file that cannot be imported, which counts as a test with an error."""
        name = report.nodeid
        if report.failed and name not in self._uncollected:
            self._uncollected.add(name)
            self.journal.collected([name])
            self.journal.started(name, guest)
            message = f"the file cannot be imported\n{report.longreprtext}"
            self.journal.reported(name, Phase("setup", Outcome.ERROR, message=message))

    def between(self, guest: str, log: str) -> list[pytest.TestReport]:
        """Evaluate the kernel's messages since the guest's last test ended, or since its boot."""
        last = self.watch.before.get(guest, "")
        if not last:
            self._judge_boot(guest)
        if not log or not last:
            return []
        splats = self.ledger.unexpected(last, find(log.splitlines(), last))
        self._note_titles(guest, splats)
        if not splats:
            return []
        phase, report = splats_after(last, log, splats)
        self.journal.reported(last, phase)
        return [report]

    def _judge_boot(self, guest: str) -> None:
        """Evaluate, only once, the kernel's messages before the first test in the console log."""
        if guest in self.titles:
            return
        try:
            text = self._console(guest).read_text(errors="backslashreplace")
        except OSError:
            text = ""
        log = text.partition("harness: start ")[0]
        splats = find(log.splitlines(), BOOT, self.ledger.ignored)
        self._note_titles(guest, splats)
        if splats:
            self.boot[guest] = splats
            self.journal.guest(guest, "splat at boot", log, splats)

    def _note_titles(self, guest: str, splats: tuple[Splat, ...]) -> None:
        self.titles.setdefault(guest, set()).update(splat.title for splat in splats)


def judge(report: pytest.TestReport, ledger: SplatLedger) -> Phase:
    """Convert a guest's report to a phase; fail the report if the kernel log requires it."""
    log: str = vars(report).get("kernel_log", "")
    splats = ledger.unexpected(report.nodeid, find(log.splitlines(), report.nodeid))
    before_after = vars(report).get("taint")
    phase = Phase(
        when=report.when or "call",
        outcome=_outcome(report),
        seconds=report.duration,
        message=_message(report),
        output="\n".join(f"--- {title}\n{text}" for title, text in _own_sections(report)),
        log=log,
        splats=splats,
        taint=(before_after[0], before_after[1]) if before_after else None,
    )
    if splats:
        own = f"\n\n{phase.message}" if report.failed else ""
        phase = _fail(report, phase, Outcome.ERROR, splats_text(splats) + own)
    elif report.when == "call" and report.passed:
        ledger.passed(report.nodeid)
    elif report.when == "teardown" and report.passed:
        complaint = ledger.unmet(report.nodeid) or _silent_taint(phase, ledger, report.nodeid)
        if complaint:
            phase = _fail(report, phase, Outcome.FAIL, complaint)
    if phase.outcome.bad and before_after and before_after[0]:
        note = f"the guest was tainted before the test ({taint.explain(before_after[0])})"
        phase = dataclasses.replace(phase, message=f"{note}\n{phase.message}")
    return phase


def explain_variables(
    report: pytest.TestReport | pytest.CollectReport, variables: Collection[str]
) -> None:
    """Add a section to a failure about variables that are set on this machine but not in guests.

    Only variables that the test reads are listed.  ``variables`` are the names of those in guests.
    """
    text = report.longreprtext
    names = set(_READ.findall(text))
    if "environ" in text or "<frozen os>" in text:
        names |= set(_MISSED.findall(text))
    lines = "\n".join(
        f"{name} is set on this machine but not in the guest; pass it in with --guest-env {name}"
        for name in sorted(names & os.environ.keys() - set(variables))
    )
    if lines and isinstance(report.longrepr, ExceptionRepr):
        report.longrepr.addsection("variables", lines)
    elif lines:
        report.longrepr = f"{text}\n{lines}"


def _own_sections(report: pytest.TestReport) -> list[tuple[str, str]]:
    """Return the sections of this phase only: pytest's reports repeat those of earlier phases."""
    return [
        (title, text)
        for title, text in report.sections
        if not title.startswith("Captured ") or title.endswith(f" {report.when}")
    ]


def _fail(report: pytest.TestReport, phase: Phase, outcome: Outcome, message: str) -> Phase:
    """Turn a report into a failure, for both pytest and the journal."""
    if not report.failed:
        vars(report).pop("wasxfail", None)
        report.outcome = "failed"
        report.longrepr = message
        if phase.log:
            report.sections.append(("Kernel log", phase.log))
    return dataclasses.replace(phase, outcome=outcome, message=message)


def _silent_taint(phase: Phase, ledger: SplatLedger, test: str) -> str:
    """Return a complaint about a new taint that only faults set, if there was no splat."""
    before, after = phase.taint or (0, 0)
    new = after & ~before
    if not taint.bad(new) or not ledger.silent(test):
        return ""
    return f"the kernel became tainted without a message in its log ({taint.explain(new)})"


def splats_after(test: str, log: str, splats: tuple[Splat, ...]) -> tuple[Phase, pytest.TestReport]:
    """Return the phase and pytest's report for splats that appeared after a test had ended."""
    message = f"{splats[0].title} (after the test had ended)\n{splats_text(splats)}"
    report = pytest.TestReport(
        nodeid=test,
        location=location(test),
        keywords={},
        outcome="failed",
        longrepr=message,
        when="teardown",
        sections=[("Kernel log", log)],
    )
    return Phase("after", Outcome.ERROR, message=message, log=log, splats=splats), report


def location(test: str) -> tuple[str, None, str]:
    """Return a test's location as in pytest's reports, from its name."""
    file, _, name = test.partition("::")
    return file, None, name.replace("::", ".")


def splats_text(splats: tuple[Splat, ...]) -> str:
    """Return splats as text for a message: the title, then the kernel's lines."""
    return "\n\n".join("\n".join((s.title, *s.lines[:_SPLAT_LINES])) for s in splats)


def _outcome(report: pytest.TestReport) -> Outcome:
    if hasattr(report, "wasxfail"):
        return Outcome.XFAIL if report.skipped else Outcome.XPASS
    if report.passed:
        return Outcome.PASS
    if report.skipped:
        return Outcome.SKIP
    return Outcome.FAIL if report.when == "call" else Outcome.ERROR


def _message(report: pytest.TestReport) -> str:
    """Return the reason for a skip, or the complete text of a failure."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    if hasattr(report, "wasxfail") and report.skipped:
        return str(report.wasxfail)
    return "" if report.passed else report.longreprtext
