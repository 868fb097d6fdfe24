# SPDX-License-Identifier: GPL-2.0-only
"""The plugin's host side: guests become xdist's workers, their reports become the journal."""

from __future__ import annotations

import contextlib
import errno
import subprocess
import threading
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import pytest

from harness import paths, vmcore
from harness.errors import HarnessError
from harness.guest import attend, bootfail, initplan
from harness.guest.relay import HOST_LEFT
from harness.guestside import probe
from harness.model import Outcome
from harness.plugin import asked, summary
from harness.plugin.crashes import Crashes
from harness.plugin.deaths import last_words
from harness.plugin.fleet import BootFailed, Fleet
from harness.plugin.holding import Holding
from harness.plugin.reports import Reports
from harness.plugin.retries import Retries
from harness.plugin.watch import Watch
from harness.plugin.worker import Worker
from harness.results.journal import Journal, read

_MOMENT = 2.0  # seconds for a relay to end whose guest is gone


def install(config: pytest.Config) -> None:
    """Make guests xdist's workers.  Raises pytest.UsageError with what is wrong and what to do."""
    try:
        fleet, reason = asked.fleet(config)
        host = HostSide(config, fleet, reason)
    except HarnessError as error:
        raise pytest.UsageError(_text(error)) from None
    option = config.option
    if option.dist == "no":
        option.dist = "load"
    option.numprocesses = None
    option.tx = [host.fleet.worker] * host.fleet.count
    config.pluginmanager.register(host, "harness-host")


def _relay(node: Any) -> int:
    """Give the status of the relay to a guest: see ``relay``; below 0 if somebody killed it."""
    try:
        return int(node.gateway._io.popen.wait(_MOMENT))
    except (AttributeError, subprocess.TimeoutExpired):
        return HOST_LEFT


def _text(error: HarnessError) -> str:
    parts = (error.what, error.details, f"hint: {error.hint}" if error.hint else "")
    return "\n".join(part for part in parts if part)


class HostSide:
    """Hooks of the controller."""

    def __init__(self, config: pytest.Config, fleet: Fleet, reason: str) -> None:
        self.config = config
        self.fleet = fleet
        self.reason = reason
        self.options = asked.required_options(config)
        self.journal = Journal(fleet.spec.folder.parent)
        self.command = asked.command(config, fleet.spec)
        self.journal.session(self.command, config.rootpath)
        self.names: dict[str, str] = {}  # xdist's worker id: our guest's name
        self.over = threading.Event()
        self.stopped = False  # by a person, or there was no point in going on
        self.held = contextlib.ExitStack()
        self.held.enter_context(paths.in_use())
        self.watch = Watch(
            config.getoption("test_timeout") * fleet.spec.factor,
            config.getoption("run_timeout"),
            self._late,
            self.over.set,
            max(config.getoption("test_timeout") * fleet.spec.factor, fleet.spec.deadline),
            fleet.hurt,
        )
        along = initplan.environment(fleet.spec, "")
        self.reports = Reports(self.journal, self.watch, fleet.console, along)
        self.crashes = Crashes(fleet, self.reports, self.watch)
        self.holding = Holding(fleet, self.watch)
        if fleet.spec.hold:
            self.reports.behind = self.holding.reported
        # Ctrl-C while xdist connects: the session never starts, so it never finishes either.
        config.add_cleanup(fleet.end)

    def _late(self, guest: str, _test: str) -> None:
        keeper = self.fleet.named(guest)
        if keeper is not None:
            keeper.timeout()

    def pytest_report_header(self) -> list[str]:
        """Say what is booted, how, and where the evidence goes."""
        spec = self.fleet.spec
        return [
            f"kernel: {spec.image}",
            f"guests: {self.fleet.count} ({spec.accel}: {self.reason})",
            f"evidence: {spec.folder.parent}",
        ]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionstart(self) -> Generator[None]:
        """Boot all guests at once, before xdist connects to them: it would take turns."""
        self._replace(self.config.pluginmanager.get_plugin("dsession"))
        if self.fleet.spec.hold:
            fd = attend.terminal() if self.config.getoption("hold") else None
            self.held.enter_context(attend.Attendant(self.fleet.spec.folder, self._say, fd))
        try:
            self._boot(self.fleet.count)
            with self._connecting():
                yield
        except BaseException:  # pytest does not finish a session that has not started
            self.fleet.end()
            raise

    @contextlib.contextmanager
    def _connecting(self) -> Iterator[None]:
        """Say what befell a guest that dies while xdist connects to it."""
        try:
            yield
        except (OSError, EOFError) as error:
            if getattr(error, "errno", None) not in (None, errno.EPIPE):
                raise  # of something else
            words, code = self.crashes.stillborn(self.names.values())
            pytest.exit(words, returncode=code)

    def _boot(self, count: int, *, again: bool = False) -> None:
        """Boot guests; ``again``: a replacement that does not come up is told, and tried once more.

        The kernel has booted before, and the tests that are left are worth it.
        """
        try:
            for keeper in self.fleet.boot(count):
                self.watch.busy(keeper.name)  # or else one that says nothing more has no end
        except BootFailed as failed:
            name, record = failed.keeper.name, failed.record
            if again:
                self.journal.guest(name, "did not boot; another is tried")
                self._boot(count)
                return
            if record is not None and record.ended == "lost":
                words = f"{name} was lost while it booted: {record.note}"
                pytest.exit(words, returncode=pytest.ExitCode.INTERNAL_ERROR)
            console, splats = last_words(failed.keeper.folder)
            ended = record.ended if record else "no answer"
            titles = [one.title for one in splats]
            self.journal.guest(name, "did not boot", console, splats)
            words = bootfail.explain(name, ended, console, titles)
            pytest.exit("\n".join([words, *self._dumps()]), returncode=1)
        except HarnessError as error:
            pytest.exit(_text(error), returncode=pytest.ExitCode.INTERNAL_ERROR)

    @pytest.hookimpl
    def pytest_configure_node(self, node: Any) -> None:
        """Ask a fresh guest who it is, and hold its kernel against what was asked."""
        channel = node.gateway.remote_exec(probe)
        channel.send(self.options if not self.names else {})
        answer = channel.receive()
        channel.waitclose()
        if answer["missing"]:
            words = "the running kernel is not the one asked for: " + "; ".join(answer["missing"])
            pytest.exit(words, returncode=pytest.ExitCode.INTERNAL_ERROR)
        self.names[node.gateway.id] = answer["guest"]
        repeat = self.config.getoption("repeat")
        hold = self.fleet.spec.hold > 0
        node.workerinput["harness"] = {"guest": answer["guest"], "repeat": repeat, "hold": hold}
        replaces = len(self.names) > self.fleet.count
        Worker(node, answer["guest"], self.reports, replaces=replaces)
        self.watch.busy(answer["guest"])

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Note what there is to run."""
        self.journal.collected(ids)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self) -> None:
        """Give up when nothing can be written down any more."""
        if self.journal.fault:
            words = f"{self.journal.fault}\nhint: make room, or name another --guest-folder"
            pytest.exit(words, returncode=pytest.ExitCode.INTERNAL_ERROR)

    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take down what killed a guest."""
        guest = self.names.get(node.gateway.id, "")
        dead = error and error != "keyboard-interrupt"
        if dead:
            self.crashes.died(guest, _relay(node))
        else:
            self._last(node, guest)
        self.watch.finished(guest)
        if self.over.is_set():
            pytest.exit("the run is over its deadline", returncode=1)
        if dead and self.crashes.hopeless:
            code = pytest.ExitCode.INTERNAL_ERROR if self.crashes.lost else 1
            pytest.exit(self.crashes.hopeless, returncode=code)

    def _replace(self, dsession: Any) -> None:
        """Boot a replacement before xdist connects to it, and only when tests are left for it."""
        clone = dsession._clone_node

        def replacement(node: Any) -> None:
            if not dsession.sched.tests_finished:
                self._boot(1, again=True)
                with self._connecting():
                    clone(node)

        dsession._clone_node = replacement

    def _last(self, node: Any, guest: str) -> None:
        """Judge what the kernel said after the last test of a guest."""
        output = getattr(node, "workeroutput", None) or {}
        for report in self.reports.between(guest, output.get("kernel_log", "")):
            self.config.hook.pytest_runtest_logreport(report=report)

    def pytest_handlecrashitem(self, crashitem: str, report: Any, sched: Any) -> None:
        """Put the right test and the reason on xdist's report of a dead worker."""
        self.crashes.explain(crashitem, report, sched)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell a person's Ctrl-C from what pytest has for -x."""
        self.stopped = not isinstance(excinfo.value, pytest.Session.Interrupted)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """End the guests, after xdist has let go of them; try again what failed."""
        self.watch.close()
        self.holding.close()
        self.fleet.end()
        self._dumps()
        try:
            if not self.stopped:
                self._again()
                session.exitstatus = self._status(int(session.exitstatus))
        finally:
            self.journal.close()
            self.held.close()

    def _dumps(self) -> list[str]:
        """Have the dumps of dead guests read; gives what to say of them."""
        vmcore.examine(self.fleet.spec.folder, self.fleet.spec.vmlinux)
        return list(vmcore.heads(self.fleet.spec.folder))

    def _again(self) -> None:
        times = self.config.getoption("retry")
        root = self.config.rootpath
        Retries(self.journal, self.command, root, times, self.watch.expired, self._say).run()

    def _say(self, line: str) -> None:
        terminal: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        if terminal:
            terminal.write_line(line, flush=True)

    def _status(self, status: int) -> int:
        """Give pytest's exit status, now that flaky tests and splats at boot are known."""
        tests = read(self.journal.folder)
        bad = {test.outcome for test in tests if test.outcome.bad}
        if self.reports.boot and status in (0, 1):
            return 1
        if status == 0 and bad - {Outcome.FLAKY, Outcome.NOTRUN}:
            return 1  # of the last test, when xdist had heard that it was good
        if status == 1 and bad == {Outcome.FLAKY} and self.config.getoption("allow_flaky"):
            return 0
        lost = any(test.outcome is Outcome.NOTRUN and test.message for test in tests)
        return int(pytest.ExitCode.INTERNAL_ERROR) if lost and status == 0 else status

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Show what pytest's own summary has no place for."""
        said = list(summary.lines(self.journal.folder))
        if said:
            terminalreporter.write_sep("=", "kernel")
            for line in said:
                terminalreporter.write_line(line)
