# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin's guest side: marks tests in the kernel log, and sends that log to the host."""

from __future__ import annotations

import contextlib
import faulthandler
import getpass
import os
import re
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol

from harness.guestside import held, watcher
from harness.guestside.forks import Forks, silence
from harness.guestside.health import BLIND, FRESH, Health
from harness.guestside.kmsg import Kmsg

if TYPE_CHECKING:
    from harness.guestside.counters import Counters

MARK = "expects_splat"
LONGEST = 1 << 20  # maximum number of characters of a string in a report


def install(config: pytest.Config, results: tuple[int, int]) -> None:
    """Set up this worker; ``results`` are the file descriptors of its connection to the host.

    Temporary files stay in the guest's memory and are not written to the host.
    """
    config.option.basetemp = _own_folder()
    options = vars(config)["workerinput"]["harness"]
    for written in options.get("write", ()):
        file, _, text = written.partition("=")
        Path(file).write_text(text)
    side = GuestSide(
        options.get("repeat", 1), fresh=options.get("fresh", ""), hold=options.get("hold", False)
    )
    side.first, side.only_first = options.get("first", []), options.get("only_first", False)
    side.package = Path(options.get("package", ""))
    if names := options.get("counters"):
        from harness.guestside.counters import Counters  # few kernels have any

        with contextlib.suppress(OSError):  # no debugfs, or no gcov: tests run all the same
            side.counters = Counters(names)
    config.pluginmanager.register(side, "harness-guest")
    config.pluginmanager.register(side.health.inherited, "harness-inherited")
    config.pluginmanager.register(Forks(), "harness-forks")
    silence(*results)
    watcher.show_stacks(faulthandler)


def _own_folder() -> str | None:
    """Return a new folder if pytest's usual one belongs to another user of the host, else None.

    On host files, the guest's root only has the permissions of the user who started the guest.
    """
    usual = Path(tempfile.gettempdir(), f"pytest-of-{getpass.getuser()}")
    try:
        os.listdir(usual)  # noqa: PTH208 - access() only asks the guest's kernel
    except PermissionError:
        return tempfile.mkdtemp(prefix="pytest-")
    except OSError:
        pass
    return None


def expected(
    pattern: str, *, kind: str = "", count: int = 0, panic: bool = False, maybe: bool = False
) -> dict[str, Any]:
    """Return the arguments of a test's mark.  Raises TypeError or re.error if they are invalid."""
    re.compile(pattern)
    return {"pattern": pattern, "kind": kind, "count": count, "panic": panic, "maybe": maybe}


def expectations(item: pytest.Item) -> list[dict[str, Any]]:
    """Return the splats that a test expects."""
    return [expected(*mark.args, **mark.kwargs) for mark in item.iter_markers(MARK)]


def sendable(value: Any) -> Any:
    """Make strings safe to send: without lone surrogates, and truncated if they are huge."""
    if isinstance(value, str):
        if len(value) > LONGEST:
            value = f"{value[: LONGEST // 2]}\n(cut)\n{value[-LONGEST // 2 :]}"
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {sendable(name): sendable(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(sendable(item) for item in value)
    return value


def _group(item: pytest.Item, fresh: str) -> str:
    """Return a name for the tests that may share a guest with ``item``; empty if all may."""
    if fresh in ("", "test"):
        return item.nodeid if fresh else ""
    # Functions outside of classes share the module's guest.
    owner = item.getparent(pytest.Class) if fresh == "class" else None
    return (owner or item.getparent(pytest.Module) or item).nodeid


class GuestSide:
    """Hooks that run in the guest."""

    def __init__(self, repeat: int, *, fresh: str = "", hold: bool = False) -> None:
        self.repeat = repeat
        self.fresh = fresh
        self.hold = hold
        self.kmsg = Kmsg()
        self.health = Health()
        self.spent = ""
        self.first: list[str] = []  # tests to run before all others
        self.only_first = False
        self.package = Path()  # the harness's own folder on the host
        self.counters: Counters | None = None
        self._counted = False  # the counters before the guest's first test have been read
        self._counted_before: dict[str, bytes] = {}  # these counters, until they are sent
        self._next: pytest.Item | None = None  # the test after the current one
        self._blind = False  # lockdep is off, and the host has not been told yet
        self._expected: list[dict[str, Any]] = []  # splats that the current test expects
        self._taint = 0  # taint bits before the test
        self._log = ""  # the kernel's messages during the test
        self._log_before = ""  # the kernel's messages before the test

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(
        self, module_path: Path, parent: pytest.Collector
    ) -> pytest.Module | None:
        """Give a module an id where pytest's own is no good.

        xdist cannot send one that is not valid UTF-8.  Outside of the folder that pytest starts
        from, pytest leaves out the way to the suite, so that nobody finds the module by it.
        """
        where, top = str(module_path), parent.config.rootpath
        inside = module_path.is_relative_to(top)
        if module_path.name == "__init__.py" or (inside and sendable(where) == where):
            return None
        if module_path.is_relative_to(self.package):
            top = self.package.parent  # the default suite has the same id everywhere
        path = os.path.relpath(where, top)
        module: pytest.Module = pytest.Module.from_parent(
            parent, path=module_path, nodeid=sendable(path)
        )
        return module

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Move the first tests to the front; leave out the others if requested."""
        ranks = {test: rank for rank, test in enumerate(self.first)}
        others = [item for item in items if item.nodeid not in ranks]
        chosen = [item for item in items if item.nodeid in ranks]
        chosen.sort(key=lambda item: ranks[item.nodeid])
        if self.only_first:
            config.hook.pytest_deselected(items=others)
            others = []
        items[:] = [*chosen, *others]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Run the test as often as requested; pytest itself does the last run.

        A spent guest (see ``Health.spent``) leaves the remaining tests to another guest.
        """
        if self.spent:
            os._exit(0)
        self._next = item
        item.__dict__["location"] = sendable(item.location)  # a cached property
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
        """Return why the guest can no longer be used; empty if the next test can still run in it.

        A test that may itself turn lockdep off gains little from a new guest with lockdep, and
        booting a debug kernel for each of several such tests takes minutes.
        """
        why = why or (BLIND if self._blind else "")
        mark = {"maybe": True, "kind": "lockdep"}.items()
        marks = self._next.iter_markers(MARK) if self._next else ()
        self._blind = why == BLIND and any(mark <= other.kwargs.items() for other in marks)
        return "" if self._blind else why

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Mark the start in the kernel log, to split the console by test even if the guest dies."""
        self._log_before, self._log, self._expected = self.kmsg.drain(), "", []
        self._taint = self.health.taint()
        self.kmsg.audible()
        if self.counters and not self._counted:
            self._counted, self._counted_before = True, self.counters.changed()
        self.kmsg.mark("start", nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self) -> None:
        """With --hold, wait after each report until the host has processed it."""
        if self.hold:
            held.wait()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.kmsg.mark("end", nodeid)
        self.health.rearm(self._log)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Fail a test that has an invalid mark before it runs."""
        try:
            self._expected = expectations(item)
        except (TypeError, re.error) as error:
            pytest.fail(f"{MARK}: {error}", pytrace=False)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add the kernel's messages during a phase to its report."""
        report = yield
        log = self.kmsg.drain()
        self._log += log
        last = report.when == "teardown"
        # A taint without a message is only noticed at the end of the test, because reading the
        # taint takes time.
        taint = self.health.taint() if log or last else self._taint
        more: dict[str, Any] = {"kernel_log": log, "taint": [self._taint, taint]}
        if report.when == "setup":
            more["kernel_log_before"], self._log_before = self._log_before, ""
            more["expects_splat"] = self._expected
            if self._counted_before:
                more["counters"], self._counted_before = self._counted_before, {}
        elif last:
            self.spent = self._lasting(self.health.spent(self._log, self._taint, taint))
            if not self.spent and self._next and _group(item, self.fresh):
                alike = _group(item, self.fresh) == _group(self._next, self.fresh)
                self.spent = "" if alike else FRESH
            more["spent"] = self.spent
            if self.counters:
                more["counters"] = self.counters.changed()
        vars(report).update(more)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(
        self,
    ) -> Generator[None, dict[str, Any], dict[str, Any]]:
        """Make a report's strings safe to send; truncate huge ones."""
        data: dict[str, Any] = sendable((yield))
        return data

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send the kernel's messages after the last test."""
        vars(session.config)["workeroutput"]["kernel_log"] = self.kmsg.drain()
