# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin's guest side: marks tests in the kernel's log, sends that log with reports."""

from __future__ import annotations

import faulthandler
import getpass
import os
import re
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from harness.guestside import held, watcher
from harness.guestside.forks import Forks, silence
from harness.guestside.health import BLIND, Health
from harness.guestside.kmsg import Kmsg

MARK = "expects_splat"
LONGEST = 1 << 20  # characters of one text in a report


def install(config: pytest.Config, results: tuple[int, int]) -> None:
    """Set up this worker, whose connection to the host has the file descriptors ``results``.

    Temporary files are kept in the guest's own memory, not on the host.
    """
    config.option.basetemp = _own_folder()
    asked = vars(config)["workerinput"]["harness"]
    side = GuestSide(asked.get("repeat", 1), hold=asked.get("hold", False))
    config.pluginmanager.register(side, "harness-guest")
    config.pluginmanager.register(side.health.inherited, "harness-inherited")
    config.pluginmanager.register(Forks(), "harness-forks")
    silence(*results)
    watcher.show_stacks(faulthandler)


def _own_folder() -> str | None:
    """Give a folder when pytest's usual one shines through from the host and is somebody else's.

    The guest's root is on the host only who started it.
    """
    usual = Path(tempfile.gettempdir(), f"pytest-of-{getpass.getuser()}")
    try:
        os.listdir(usual)  # noqa: PTH208 - access() says what the guest's kernel thinks
    except PermissionError:
        return tempfile.mkdtemp(prefix="pytest-")
    except OSError:
        pass
    return None


def wish(
    pattern: str, *, kind: str = "", count: int = 0, panic: bool = False, maybe: bool = False
) -> dict[str, Any]:
    """Check the words of a test's mark.  Raises TypeError or re.error for what makes no sense."""
    re.compile(pattern)
    return {"pattern": pattern, "kind": kind, "count": count, "panic": panic, "maybe": maybe}


def wishes(item: pytest.Item) -> list[dict[str, Any]]:
    """Give the splats that a test says it provokes."""
    return [wish(*mark.args, **mark.kwargs) for mark in item.iter_markers(MARK)]


def sendable(value: Any) -> Any:
    """Make strings fit for the wire: without lone surrogates, and cut when they are huge."""
    if isinstance(value, str):
        if len(value) > LONGEST:
            value = f"{value[: LONGEST // 2]}\n(cut)\n{value[-LONGEST // 2 :]}"
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {sendable(name): sendable(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(sendable(one) for one in value)
    return value


class GuestSide:
    """Hooks that run in the guest."""

    def __init__(self, repeat: int, *, hold: bool = False) -> None:
        self.repeat = repeat
        self.hold = hold
        self.kmsg = Kmsg()
        self.health = Health()
        self.spent = ""
        self._next: pytest.Item | None = None  # the test after the one that runs
        self._blind = False  # lockdep is off, and nobody has been told yet
        self._wishes: list[dict[str, Any]] = []  # of the test that runs
        self._taint = 0  # before the test
        self._said = ""  # by the kernel during the test
        self._before = ""  # and before it

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Run the test as often as asked, the last time as pytest does it.

        A guest that is spent leaves what remains to another.
        """
        if self.spent:
            os._exit(0)
        self._next = item
        for _ in range(self.repeat - 1):
            where = {"nodeid": item.nodeid, "location": item.location}
            item.ihook.pytest_runtest_logstart(**where)
            runtestprotocol(item, nextitem=nextitem)
            item.ihook.pytest_runtest_logfinish(**where)
            if self.spent:
                return True
        self._next = nextitem
        return None

    def _lasting(self, why: str) -> str:
        """Give why the guest is spent, unless the next test can do with it as it is.

        One that may set lockdep off itself would soon be without lockdep in a fresh guest, too; a
        boot for each of a row of such tests is minutes on a debug kernel.
        """
        why = why or (BLIND if self._blind else "")
        known = {"maybe": True, "kind": "lockdep"}.items()
        marks = self._next.iter_markers(MARK) if self._next else ()
        self._blind = why == BLIND and any(known <= mark.kwargs.items() for mark in marks)
        return "" if self._blind else why

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Mark the start, so that the console splits by test even if the guest dies."""
        self._before, self._said, self._wishes = self.kmsg.drain(), "", []
        self._taint = self.health.taint()
        self.kmsg.audible()
        self.kmsg.mark("start", nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self) -> None:
        """Stay as it is, behind a report that was sent, until the host has looked at that."""
        if self.hold:
            held.wait()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Mark the end."""
        self.kmsg.mark("end", nodeid)
        self.health.rearm(self._said)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Refuse a mark that makes no sense before the test provokes anything."""
        try:
            self._wishes = wishes(item)
        except (TypeError, re.error) as error:
            pytest.fail(f"{MARK}: {error}", pytrace=False)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send with each phase's report what the kernel said during it."""
        report = yield
        log = self.kmsg.drain()
        self._said += log
        last = report.when == "teardown"
        # A taint without a word in the log is noticed at the end; every look costs.
        taint = self.health.taint() if log or last else self._taint
        more: dict[str, Any] = {"kernel_log": log, "taint": [self._taint, taint]}
        if report.when == "setup":
            more["kernel_log_before"], self._before = self._before, ""
            more["expects_splat"] = self._wishes
        elif last:
            self.spent = self._lasting(self.health.spent(self._said, self._taint, taint))
            more["spent"] = self.spent
        vars(report).update(more)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(
        self,
    ) -> Generator[None, dict[str, Any], dict[str, Any]]:
        """Keep from the host what it could not read, and more than anybody would."""
        data = yield
        for part in ("longrepr", "sections", "user_properties"):
            if data.get(part):  # most reports have none of them
                data[part] = sendable(data[part])
        return data

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send what the kernel said after the last test."""
        vars(session.config)["workeroutput"]["kernel_log"] = self.kmsg.drain()
