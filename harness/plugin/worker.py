# SPDX-License-Identifier: GPL-2.0-only
"""An xdist worker as the host sees it: what it was sent, and what it can therefore say.

A test may write anything on the channel of its guest's results.  xdist believes it, and what does
not fit its books ends the whole session; so we hear it first.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable
from typing import Any

import pytest
from xdist.workermanage import unserialize_warning_message

from harness.plugin.phases import explain
from harness.plugin.reports import Reports

_NODE = {"nodeid", "location"}
# The events of xdist's workers, and what each brings.
_BRINGS = {
    "workerready": {"workerinfo"},
    "collectionstart": set(),
    "collectreport": {"data"},
    "collectionfinish": {"topdir", "ids"},
    "logstart": _NODE,
    "testreport": {"data"},
    "logfinish": _NODE,
    "runtest_protocol_complete": {"item_index", "duration"},
    "unscheduled": {"indices"},
    "warning_recorded": {"warning_message_data", "when", "nodeid", "location"},
    "workerfinished": {"workeroutput"},
    "internal_error": {"formatted_error"},
}
_ONCE = {"workerready", "collectionfinish"}
# Those that xdist gets from us, made of what the guest sent.
_MADE_ANEW = {"testreport", "collectreport", "warning_recorded"}
_CLASSES = ("message_module", "message_class_name", "message_args", "category_module")


class Worker:
    """Stands between a node of xdist's and the guest behind it.

    What the guest says is heard in a thread of its own, what it is sent comes from the main one.
    """

    def __init__(self, node: Any, guest: str, reports: Reports, *, replaces: bool) -> None:
        self.node, self.guest, self.reports = node, guest, reports
        self._replaces = replaces  # a guest that died: xdist compares the first ones only
        self._ids: list[str] = []  # its tests
        self._owed: list[int] = []  # those that it was sent and has not completed
        self._begun = ""  # one that it has not completed
        self._leaving = False  # it was told that no more will come
        self._heard: set[str] = set()  # events that come once, and "nonsense"
        self._pass_on: Callable[[object], None] = node.process_from_remote
        self._send: Callable[..., None] = node.sendcommand
        node.process_from_remote, node.sendcommand = self.heard, self.sent

    def sent(self, name: str, **values: Any) -> None:
        """Note what xdist sends to the guest, and send it."""
        if name == "runtests":
            self._owed += values["indices"]
        elif name == "runtests_all":
            self._owed += range(len(self._ids))
        self._leaving = self._leaving or name == "shutdown"
        self._clock()
        self._send(name, **values)

    def _clock(self) -> None:
        """Time a guest that is at no test, unless it has to wait for us."""
        if "collectionfinish" not in self._heard:
            return  # which is timed already
        # A worker begins a test when it knows the next one, or that there is none.
        if self._leaving or self._begun or len(self._owed) > 1:
            self.reports.watch.busy(self.guest)
        else:
            self.reports.watch.idle(self.guest)

    def heard(self, event: object) -> None:
        """Take what the guest says, before xdist does; what makes no sense is left out."""
        if isinstance(event, enum.Enum):  # xdist's own word: the channel is closed
            self._pass_on(event)
        elif self.guest not in self.reports.broken:  # whatever that one still says of itself
            try:
                sensible = self._take(event)
            except Exception:  # it may be made of anything
                sensible = False
            if not sensible and "nonsense" not in self._heard:
                self._heard.add("nonsense")
                at = self.reports.watch.at(self.guest)
                when = f"during {at}" if at else "between its tests"
                self.reports.journal.guest(
                    self.guest,
                    f"sent an impossible message ({_called(event)}) {when}; it was ignored",
                )

    def _take(self, event: Any) -> bool:
        name, values = event
        if set(values) != _BRINGS[name] or name in self._heard:
            return False
        self._heard |= {name} & _ONCE
        taker = getattr(self, f"_{name}", None)
        if taker is not None and not taker(**values):
            return False
        if name not in _MADE_ANEW and self.guest not in self.reports.broken:
            self._pass_on(event)
        return True

    # One method for each event that xdist does not take just so.  Gives whether it can be.

    def _internal_error(self, formatted_error: str) -> bool:
        self._break(str(formatted_error))
        return True

    def _break(self, why: str) -> None:
        self.reports.broken[self.guest] = why
        self.node._down = True
        self.node.notify_inproc("errordown", node=self.node, error="internal error")

    def _collectionfinish(self, topdir: str, ids: list[str]) -> bool:
        self._ids = [str(one) for one in ids]
        known = self.reports.collected = self.reports.collected or self._ids
        if self._replaces and self._ids != known:
            odd = sorted(set(self._ids) ^ set(known)) or ["their order"]
            self._break(f"collected different tests from the first guest: {odd[0]}")
        self._clock()
        return True

    def _logstart(self, nodeid: str, location: object) -> bool:
        watch = self.reports.watch
        if watch.at(self.guest) or nodeid not in {self._ids[index] for index in self._owed}:
            return False
        self._begun = nodeid
        self.reports.journal.started(nodeid, self.guest)
        watch.started(self.guest, nodeid)
        return True

    def _logfinish(self, nodeid: str, location: object) -> bool:
        if nodeid != self.reports.watch.at(self.guest):
            return False
        self.reports.watch.finished(self.guest)
        self._clock()
        return True

    def _runtest_protocol_complete(self, item_index: int, duration: float) -> bool:
        if item_index not in self._owed or self.reports.watch.at(self.guest):
            return False
        self._owed.remove(item_index)
        self._begun = ""
        self._clock()
        return True

    def _unscheduled(self, indices: list[int]) -> bool:
        if not set(indices) <= set(self._owed):
            return False
        self._owed = [index for index in self._owed if index not in indices]
        self._clock()
        return True

    def _workerfinished(self, workeroutput: dict[str, Any]) -> bool:
        stops = workeroutput["shouldfail"] or workeroutput["shouldstop"]
        if self._owed and not stops and workeroutput["exitstatus"] != pytest.ExitCode.INTERRUPTED:
            self._break("it ended before it had run all its tests")
        return True

    def _report(self, data: dict[str, Any]) -> Any:
        config = self.node.config
        return config.hook.pytest_report_from_serializable(config=config, data=data)

    def _testreport(self, data: dict[str, Any]) -> bool:
        report = self._report(data)
        if not isinstance(report, pytest.TestReport):
            return False
        if report.nodeid != self.reports.watch.at(self.guest):
            return False
        for one in [*self.reports.take(self.guest, report), report]:
            self.node.notify_inproc("testreport", node=self.node, rep=one)
        if self.reports.behind:
            self.reports.behind(self.guest, report)
        return True

    def _collectreport(self, data: dict[str, Any]) -> bool:
        report = self._report(data)
        if not isinstance(report, pytest.CollectReport) or report.passed:
            return False
        explain(report, self.reports.along)
        self.reports.uncollected(self.guest, report)
        self.node.notify_inproc("collectreport", node=self.node, rep=report)
        return True

    def _warning_recorded(self, warning_message_data: dict[str, Any], **more: Any) -> bool:
        try:
            message = unserialize_warning_message(warning_message_data)
        except (ImportError, AttributeError):  # of a class that only the guest knows
            plain = warning_message_data | dict.fromkeys(_CLASSES)
            message = unserialize_warning_message(plain)
        self.node.notify_inproc("warning_recorded", warning_message=message, **more)
        return True


def _called(event: Any) -> str:
    with contextlib.suppress(Exception):
        name, values = event
        data = values.get("data", values)
        return f"{name} of {data['nodeid']}" if "nodeid" in data else str(name)[:80]
    return type(event).__name__
