# SPDX-License-Identifier: GPL-2.0-only
"""``--hold``: a guest waits after each of its reports, and long after one that is bad."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from harness.guest import attend, hold
from harness.model import Outcome, Test
from harness.plugin.fleet import Fleet
from harness.plugin.watch import Watch


def seconds(config: pytest.Config) -> float:
    """Give for how long a guest is held; 0 when nobody asks for it.  Raises pytest.UsageError."""
    get = config.getoption
    if get("hold_for"):
        return float(get("hold_for"))
    if not get("hold"):
        return 0.0
    fd = attend.terminal()
    if fd is None:
        raise pytest.UsageError("--hold needs a terminal\nhint: --hold-for SECONDS needs none")
    os.close(fd)
    return hold.LONG


class Holding:
    """Answers the reports of guests that wait for it."""

    def __init__(self, fleet: Fleet, watch: Watch) -> None:
        self._fleet, self._watch = fleet, watch
        self._over = threading.Event()

    def reported(self, guest: str, report: pytest.TestReport) -> None:
        """Hold the guest when the report is bad, then let it go on."""
        keeper = self._fleet.named(guest)
        if keeper is None:
            return
        try:
            private = (keeper.folder / "run").readlink()
        except OSError:  # it is gone
            return
        if report.failed:
            self._hold(guest, keeper.folder, private, report)
        hold.continue_tests(private)

    def _hold(self, guest: str, place: Path, private: Path, report: pytest.TestReport) -> None:
        self._watch.finished(guest)  # a person has no deadline
        why = f"{report.nodeid} failed in its {report.when}: {_headline(report)}"
        time = self._fleet.spec.hold
        hold.living(place, private, why, time)
        hold.wait(place, time, lambda: self._over.is_set() or keeper_gone(place))
        self._watch.started(guest, report.nodeid)

    def close(self) -> None:
        """Let everybody go."""
        self._over.set()


def _headline(report: pytest.TestReport) -> str:
    """Say what was wrong in a line; where pytest has no word for it, a splat's title is first."""
    text = report.longreprtext
    own = any(line.startswith("E ") for line in text.splitlines())
    return Test(report.nodeid, Outcome.FAIL if own else Outcome.CRASH, message=text).headline


def keeper_gone(place: Path) -> bool:
    """Whether the guest has ended meanwhile."""
    return not (place / "run").is_symlink()
