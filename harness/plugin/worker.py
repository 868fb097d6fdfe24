# SPDX-License-Identifier: GPL-2.0-only
"""The host's view of an xdist worker: checks each message against what was sent to the worker.

A test may write anything to its guest's results channel.  xdist trusts what it reads, and an
unexpected message would end the whole session, so messages are checked first.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable
from typing import Any

import pytest

from harness.plugin.reports import Reports, explain_variables
from harness.plugin.xdist_internals import EVENTS, RUN_ALL, RUN_TESTS, SHUTDOWN, XdistNode

_ONCE = {"workerready", "collectionfinish"}
# We recreate these events for xdist from what the guest sent.
_REMADE = {"testreport", "collectreport", "warning_recorded"}


class Worker:
    """Sits between xdist's node and the guest.

    Messages from the guest arrive in a separate thread; messages to it come from the main thread.
    """

    def __init__(self, node: Any, guest: str, reports: Reports, *, replaces: bool) -> None:
        self.guest, self.reports = guest, reports
        self._replaces = replaces  # a dead guest; xdist only compares the tests of the first guests
        self._tests: list[str] = []
        self._owed: list[int] = []  # indices of the tests sent to it that it has not completed
        self._begun = ""  # the test that it has started and not completed
        self._leaving = False  # it has been told that there are no more tests
        self._seen: set[str] = set()  # events of _ONCE, and "nonsense"
        self._node = XdistNode(node, self.heard, self.sending)
        # Handlers of events that are not simply passed on; each returns whether the event is valid.
        self._takers: dict[str, Callable[..., bool]] = {
            "internal_error": self._internal_error,
            "collectreport": self._collectreport,
            "collectionfinish": self._collectionfinish,
            "logstart": self._logstart,
            "testreport": self._testreport,
            "logfinish": self._logfinish,
            "runtest_protocol_complete": self._runtest_protocol_complete,
            "unscheduled": self._unscheduled,
            "warning_recorded": self._warning_recorded,
            "workerfinished": self._workerfinished,
        }

    def sending(self, name: str, **values: Any) -> None:
        """Record what xdist sends to the guest, and send it."""
        if name == RUN_TESTS:
            self._owed += values["indices"]
        elif name == RUN_ALL:
            self._owed += range(len(self._tests))
        self._leaving = self._leaving or name == SHUTDOWN
        self._set_clock()
        with contextlib.suppress(OSError):  # it has just died, which xdist is about to hear
            self._node.send(name, **values)

    def _set_clock(self) -> None:
        """Start the deadline for a guest between tests, unless it must wait for us."""
        if "collectionfinish" not in self._seen:
            return  # the deadline for collecting the tests still applies
        # A worker starts a test once it knows the next one, or that there is none.
        if self._leaving or self._begun or len(self._owed) > 1:
            self.reports.watch.busy(self.guest)
        else:
            self.reports.watch.idle(self.guest)

    def heard(self, event: object) -> None:
        """Process an event from the guest before xdist does; drop invalid events."""
        if isinstance(event, enum.Enum):  # comes from xdist itself: the channel is closed
            self._node.pass_on(event)
        elif self.guest not in self.reports.broken:  # a broken guest's events are dropped
            try:
                valid = self._take(event)
            except Exception:  # the event may contain anything
                valid = False
            if not valid and "nonsense" not in self._seen:
                self._seen.add("nonsense")
                test = self.reports.watch.at(self.guest)
                when = f"during {test}" if test else "between its tests"
                self.reports.journal.guest(
                    self.guest,
                    f"sent an invalid message ({_described(event)}) {when}; it was ignored",
                )

    def _take(self, event: Any) -> bool:
        name, values = event
        if set(values) != EVENTS[name] or name in self._seen:
            return False
        self._seen |= {name} & _ONCE
        if name in self._takers and not self._takers[name](**values):
            return False
        if name not in _REMADE and self.guest not in self.reports.broken:
            self._node.pass_on(event)
        return True

    def _internal_error(self, formatted_error: str) -> bool:
        self._break(str(formatted_error))
        return True

    def _break(self, why: str) -> None:
        self.reports.broken[self.guest] = why
        self._node.break_off()

    def _collectionfinish(self, topdir: str, ids: list[str]) -> bool:
        self._tests = [str(test) for test in ids]
        first = self.reports.collected = self.reports.collected or self._tests
        if self._replaces and self._tests != first:
            different = sorted(set(self._tests) ^ set(first)) or ["their order"]
            self._break(f"collected different tests than the first guest did: {different[0]}")
        self._set_clock()
        return True

    def _logstart(self, nodeid: str, location: object) -> bool:
        watch = self.reports.watch
        if watch.at(self.guest) or nodeid not in {self._tests[index] for index in self._owed}:
            return False
        self._begun = nodeid
        self.reports.journal.started(nodeid, self.guest)
        watch.started(self.guest, nodeid)
        return True

    def _logfinish(self, nodeid: str, location: object) -> bool:
        if nodeid != self.reports.watch.at(self.guest):
            return False
        self.reports.watch.finished(self.guest)
        self._set_clock()
        return True

    def _runtest_protocol_complete(self, item_index: int, duration: float) -> bool:
        if item_index not in self._owed or self.reports.watch.at(self.guest):
            return False
        self._owed.remove(item_index)
        self._begun = ""
        self._set_clock()
        return True

    def _unscheduled(self, indices: list[int]) -> bool:
        if not set(indices) <= set(self._owed):
            return False
        self._owed = [index for index in self._owed if index not in indices]
        self._set_clock()
        return True

    def _workerfinished(self, workeroutput: dict[str, Any]) -> bool:
        stops = workeroutput["shouldfail"] or workeroutput["shouldstop"]
        if self._owed and not stops and workeroutput["exitstatus"] != pytest.ExitCode.INTERRUPTED:
            self._break("it ended before running all its tests")
        return True

    def _testreport(self, data: dict[str, Any]) -> bool:
        report = self._node.deserialized(data)
        if not isinstance(report, pytest.TestReport):
            return False
        if report.nodeid != self.reports.watch.at(self.guest):
            return False
        for earlier in self.reports.take(self.guest, report):
            self._node.report(earlier)
        self._node.report(report)
        if self.reports.after_report:
            self.reports.after_report(self.guest, report)
        return True

    def _collectreport(self, data: dict[str, Any]) -> bool:
        report = self._node.deserialized(data)
        if not isinstance(report, pytest.CollectReport) or report.passed:
            return False
        explain_variables(report, self.reports.variables)
        self.reports.uncollected(self.guest, report)
        self._node.collect_report(report)
        return True

    def _warning_recorded(self, warning_message_data: dict[str, Any], **where: Any) -> bool:
        self._node.warning(warning_message_data, **where)
        return True


def _described(event: Any) -> str:
    with contextlib.suppress(Exception):
        name, values = event
        data = values.get("data", values)
        return f"{name} of {data['nodeid']}" if "nodeid" in data else str(name)[:80]
    return type(event).__name__
