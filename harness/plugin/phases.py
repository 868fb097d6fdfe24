# SPDX-License-Identifier: GPL-2.0-only
"""Turn pytest's reports into phases of the journal; a splat fails the test it came from."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Collection

import pytest
from _pytest._code.code import ExceptionRepr

from harness.model import Outcome, Splat
from harness.plugin import taint
from harness.plugin.expected import Ledger
from harness.results.journal import Phase
from harness.splat import find

# How Python reads a variable of its environment, and how it says that there is none.
_READ = re.compile(r"""(?:\benviron\b[.\w]*|\bgetenv)\s*[\[(]\s*["'](\w+)["']""")
_MISSED = re.compile(r"""KeyError: ["'](\w+)["']""")


def judge(report: pytest.TestReport, ledger: Ledger) -> Phase:
    """Read a report from a guest; changes it to failed when the kernel gives reason to."""
    log: str = vars(report).get("kernel_log", "")
    found = find(log.splitlines(), report.nodeid)
    splats = ledger.unexpected(report.nodeid, found)
    around = vars(report).get("taint")
    phase = Phase(
        when=report.when or "call",
        outcome=_outcome(report),
        seconds=report.duration,
        message=_message(report),
        output="\n".join(f"--- {title}\n{text}" for title, text in _own(report)),
        log=log,
        splats=splats,
        taint=(around[0], around[1]) if around else None,
    )
    if splats:
        own = f"\n\n{phase.message}" if report.failed else ""
        phase = _worse(report, phase, Outcome.ERROR, words(splats) + own)
    elif report.when == "call" and report.passed:
        ledger.passed(report.nodeid)
    elif report.when == "teardown" and report.passed:
        complaint = ledger.unmet(report.nodeid) or _silent(phase, ledger, report.nodeid)
        if complaint:
            phase = _worse(report, phase, Outcome.FAIL, complaint)
    if phase.outcome.bad and around and around[0]:
        note = f"the guest was tainted before the test began ({taint.words(around[0])})"
        phase = dataclasses.replace(phase, message=f"{note}\n{phase.message}")
    return phase


def explain(report: pytest.TestReport | pytest.CollectReport, along: Collection[str]) -> None:
    """Add to a failure which variables it names that are set here and not among ``along``."""
    text = report.longreprtext
    names = set(_READ.findall(text))
    if "environ" in text or "<frozen os>" in text:
        names |= set(_MISSED.findall(text))
    lines = "\n".join(
        f"{name} is set on this machine but not in the guest; pass it in with --guest-env {name}"
        for name in sorted(names & os.environ.keys() - set(along))
    )
    if lines and isinstance(report.longrepr, ExceptionRepr):
        report.longrepr.addsection("variables", lines)
    elif lines:
        report.longrepr = f"{text}\n{lines}"


def _own(report: pytest.TestReport) -> list[tuple[str, str]]:
    """Give the sections of this phase: pytest's reports repeat those of the phases before."""
    return [
        (title, text)
        for title, text in report.sections
        if not title.startswith("Captured ") or title.endswith(f" {report.when}")
    ]


def _worse(report: pytest.TestReport, phase: Phase, outcome: Outcome, message: str) -> Phase:
    """Make a report a failure, for pytest as for the journal."""
    if not report.failed:
        vars(report).pop("wasxfail", None)
        report.outcome = "failed"
        report.longrepr = message
        if phase.log:
            report.sections.append(("Kernel log", phase.log))
    return dataclasses.replace(phase, outcome=outcome, message=message)


def _silent(phase: Phase, ledger: Ledger, test: str) -> str:
    """Complain of a taint that only a fault gives, when no splat accounts for it."""
    before, now = phase.taint or (0, 0)
    fresh = now & ~before
    if not taint.bad(fresh) or not ledger.silent(test):
        return ""
    return f"the kernel is tainted now, without a word in its log ({taint.words(fresh)})"


def after(test: str, log: str, splats: tuple[Splat, ...]) -> tuple[Phase, pytest.TestReport]:
    """Make the phase, and the report for pytest, of splats that came when a test was over."""
    message = f"{splats[0].title} (after the test had ended)\n{words(splats)}"
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
    """Give a test's place as pytest's reports have it, from its name."""
    file, _, name = test.partition("::")
    return file, None, name.replace("::", ".")


def words(splats: tuple[Splat, ...]) -> str:
    """Write splats for a message: the title, then the kernel's own lines."""
    return "\n\n".join("\n".join((one.title, *one.lines[:40])) for one in splats)


def _outcome(report: pytest.TestReport) -> Outcome:
    if hasattr(report, "wasxfail"):
        return Outcome.XFAIL if report.skipped else Outcome.XPASS
    if report.passed:
        return Outcome.PASS
    if report.skipped:
        return Outcome.SKIP
    return Outcome.FAIL if report.when == "call" else Outcome.ERROR


def _message(report: pytest.TestReport) -> str:
    """Give the reason of a skip, or the whole of a failure."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    if hasattr(report, "wasxfail") and report.skipped:
        return str(report.wasxfail)
    return "" if report.passed else report.longreprtext
