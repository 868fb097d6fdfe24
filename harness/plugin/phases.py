# SPDX-License-Identifier: GPL-2.0-only
"""Turn pytest's reports into phases of the journal; a splat fails the test it came from."""

from __future__ import annotations

import pytest

from harness.model import GuestRecord, Outcome, Splat
from harness.results.journal import Phase
from harness.splat import find


def judge(report: pytest.TestReport) -> Phase:
    """Read a report from a guest; changes it to failed when the kernel splatted meanwhile."""
    log: str = getattr(report, "kernel_log", "")
    splats = find(log.splitlines(), report.nodeid)
    if splats and report.passed:
        report.outcome = "failed"
        report.longrepr = _words(splats)
        report.sections.append(("Kernel log", log))
    return Phase(
        when=report.when or "call",
        outcome=Outcome.ERROR if splats else _outcome(report),
        seconds=report.duration,
        message=_words(splats) if splats else _message(report),
        output="\n".join(f"--- {title}\n{text}" for title, text in report.sections),
        log=log,
        splats=splats,
    )


def crash(
    late: bool, record: GuestRecord | None, console: str, splats: tuple[Splat, ...], seconds: float
) -> Phase:
    """Make the phase of a test during which the guest died; ``late``: we killed it for that."""
    outcome = Outcome.TIMEOUT if late else Outcome.CRASH
    ended = record.ended if record else "lost"
    first = f"the test ran over its deadline of {seconds:g} s" if late else f"guest: {ended}"
    return Phase(
        when="crash",
        outcome=outcome,
        message=f"{first}\n{_words(splats)}".strip(),
        log=console,
        splats=splats,
    )


def _words(splats: tuple[Splat, ...]) -> str:
    return "\n\n".join("\n".join(splat.lines[:40]) for splat in splats)


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
