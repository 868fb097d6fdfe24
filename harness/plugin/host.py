# SPDX-License-Identifier: GPL-2.0-only
"""The plugin's host side: guests become xdist workers, and their reports go to the journal."""

from __future__ import annotations

import contextlib
import errno
import functools
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import harness
from harness import adaptors, paths, vmcore
from harness.errors import HarnessError
from harness.guest import attend, bootfail, initplan, snapshot
from harness.guest.relay import HOST_LEFT
from harness.guestside import probe
from harness.model import Outcome, Test
from harness.plugin import ahead, guest_options, xdist_internals
from harness.plugin.crashes import Crashes, last_messages
from harness.plugin.deadlines import DeadlineWatch
from harness.plugin.fleet import BootFailed, Fleet, Holding
from harness.plugin.reports import Reports
from harness.plugin.retries import Retries
from harness.plugin.worker import Worker
from harness.results.counters import CounterLog
from harness.results.journal import AttemptLost, GuestNoted, Journal, events, read
from harness.results.regression import outcomes_text
from harness.splat import known_kinds

_MOMENT = 2.0  # seconds for a relay to exit after its guest
# Limits of the summary: entries of each kind, and characters of a headline.
_SHOWN, _HEADLINE = 12, 160


def install(config: pytest.Config) -> None:
    """Make xdist use guests as workers.  Raises pytest.UsageError, with a hint."""
    try:
        adaptors.check(config.args, config.rootpath)
        paths.require_utf8(config.rootpath, "pytest's root folder")
        paths.require_utf8(config.invocation_params.dir, "the working directory")
        for word in config.args:
            paths.require_utf8(word, "the path of a test")
        fleet, reason = guest_options.fleet(config)
        host = HostSide(config, fleet, reason)
    except HarnessError as error:
        raise pytest.UsageError(_text(error)) from None
    option = config.option
    if option.dist == "no":
        option.dist = "load"
    option.numprocesses = None
    option.tx = [host.fleet.worker] * host.fleet.count
    config.pluginmanager.register(host, "harness-host")


def _text(error: HarnessError) -> str:
    parts = (error.what, error.details, f"hint: {error.hint}" if error.hint else "")
    return "\n".join(part for part in parts if part)


class HostSide:
    """Hooks that run in xdist's controller."""

    def __init__(self, config: pytest.Config, fleet: Fleet, reason: str) -> None:
        self.config = config
        self.fleet = fleet
        self.fleet.meanwhile = functools.partial(ahead.compile_suite, config)
        self.reason = reason
        self.options = guest_options.required_options(config)
        self.journal = Journal(fleet.spec.folder.parent)
        self.command = guest_options.command(config, fleet.spec)
        ignored = known_kinds(config.getoption("ignore_splat"))
        self.journal.session(self.command, config.rootpath, fleet.spec.image, sorted(ignored))
        self.names: dict[str, str] = {}  # {xdist's worker id: our name for the guest}
        self.over = threading.Event()
        self.stopped = False  # by the user
        self.told = False  # why guests are not copies
        self.held = contextlib.ExitStack()
        self.held.enter_context(paths.in_use())
        self.watch = DeadlineWatch(
            config.getoption("test_timeout") * fleet.spec.factor,
            config.getoption("run_timeout"),
            self._late,
            self._over,
            max(config.getoption("test_timeout") * fleet.spec.factor, fleet.spec.deadline),
            fleet.hurt,
            guest_options.deadlines(config, fleet.spec.factor),
            fleet.waited,
        )
        variables = initplan.environment(fleet.spec, "")
        self.reports = Reports(self.journal, self.watch, fleet.console, variables, ignored)
        self.reports.counters = CounterLog(self.journal.folder, guest_options.counters(fleet.spec))
        self.crashes = Crashes(fleet, self.reports, self.watch, config.args)
        self.holding = Holding(fleet, self.watch)
        if fleet.spec.hold:
            self.reports.after_report = self.holding.reported
        # Needed for Ctrl-C while xdist is connecting: pytest_sessionfinish is not called for a
        # session that did not start.
        config.add_cleanup(fleet.end)

    def _late(self, guest: str, _test: str) -> None:
        handle = self.fleet.named(guest)
        if handle is not None:
            handle.timeout()

    def _over(self) -> None:
        """End all guests: the deadline of the run has passed.  xdist then notices that they end."""
        self.over.set()
        for handle in tuple(self.fleet.started):
            handle.signal(signal.SIGTERM)

    def _exit_if_over(self) -> None:
        """Exit if the run is over its deadline."""
        if self.over.is_set():
            pytest.exit(self._over_why, returncode=1)

    @property
    def _over_why(self) -> str:
        return f"the run is over its deadline of {self.watch.run_deadline:g} s"

    def pytest_report_header(self) -> list[str]:
        """Show the kernel, the guests and the folder with the logs."""
        spec = self.fleet.spec
        return [
            f"kernel: {spec.image}",
            f"guests: {self.fleet.count} ({spec.accel}: {self.reason})",
            f"evidence: {spec.folder.parent}",
        ]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionstart(self) -> Generator[None]:
        """Boot all guests simultaneously, before xdist connects to them one after another."""
        xdist_internals.intercept_replacements(self.config, self._replace)
        if self.fleet.spec.hold:
            fd = attend.terminal() if self.config.getoption("hold") else None
            self.held.enter_context(attend.Attendant(self.fleet.spec.folder, self._say, fd))
        try:
            self._boot(self.fleet.count)
            with self._connecting():
                yield
        except BaseException:  # pytest_sessionfinish will not be called
            self.fleet.end()
            raise

    @contextlib.contextmanager
    def _connecting(self) -> Iterator[None]:
        """Exit with an explanation if a guest dies while xdist is connecting to it."""
        try:
            yield
        except (OSError, EOFError) as error:
            if getattr(error, "errno", None) not in (None, errno.EPIPE):
                raise  # not related to the connection
            self._exit_if_over()
            message, code = self.crashes.stillborn(self.names.values())
            pytest.exit(message, returncode=code)

    def _tell_trouble(self) -> None:
        """Say once why guests boot although they could be copies."""
        trouble = snapshot.trouble(self.fleet.spec.folder)
        if trouble and not self.told:
            self._say(f"guests boot without a snapshot: {trouble}")
        self.told = bool(trouble)

    @property
    def _replaces_soon(self) -> bool:
        """Whether to start the next guest while this one runs its tests."""
        return bool(self.config.getoption("fresh")) and self.fleet.leaves_processors

    def _boot(self, count: int, *, again: bool = False) -> None:
        """Boot guests; ``again``: if a replacement does not come up, try once more.

        The kernel has booted before, so another attempt is likely to succeed.
        """
        try:
            for guest in self.fleet.boot(count, ahead=again and self._replaces_soon):
                self.watch.busy(guest.name)  # otherwise a silent guest would have no deadline
            self._exit_if_over()  # those that started after the others were ended
        except BootFailed as failed:
            self._exit_if_over()
            name, record = failed.guest.name, failed.record
            if again:
                self.journal.guest(name, "did not boot; trying another")
                self._boot(count)
                return
            if record is not None and record.ended == "lost":
                message = f"{name} was lost during boot: {record.note}"
                pytest.exit(message, returncode=pytest.ExitCode.INTERNAL_ERROR)
            console, splats = last_messages(
                failed.guest.folder, ignored=self.reports.ledger.ignored
            )
            ended = record.ended if record else "its keeper did not respond"
            titles = [splat.title for splat in splats]
            self.journal.guest(name, "did not boot", console, splats)
            message = bootfail.explain(name, ended, console, titles)
            pytest.exit("\n".join([message, *self._dumps()]), returncode=1)
        except HarnessError as error:
            self._exit_if_over()
            pytest.exit(_text(error), returncode=pytest.ExitCode.INTERNAL_ERROR)
        finally:
            self._tell_trouble()

    @pytest.hookimpl
    def pytest_configure_node(self, node: Any) -> None:
        """Query a new guest's name, and check its kernel's config."""
        channel = node.gateway.remote_exec(probe)
        channel.send(self.options if not self.names else {})
        answer = channel.receive()
        channel.waitclose()
        if answer["missing"]:
            differences = "; ".join(answer["missing"])
            message = f"the running kernel is not the requested one: {differences}"
            pytest.exit(message, returncode=pytest.ExitCode.INTERNAL_ERROR)
        self.names[node.gateway.id] = answer["guest"]
        node.workerinput["harness"] = {
            "guest": answer["guest"],
            "repeat": self.config.getoption("repeat"),
            "fresh": self.config.getoption("fresh"),
            "hold": self.fleet.spec.hold > 0,
            "first": guest_options.first(self.config),
            "only_first": self.config.getoption("only_first"),
            "counters": sorted(self.reports.counters.names),
            "write": self.config.getoption("guest_write"),
            "package": str(Path(harness.__file__).parent),
        }
        replaces = len(self.names) > self.fleet.count
        Worker(node, answer["guest"], self.reports, replaces=replaces)
        self.watch.busy(answer["guest"])

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self.journal.collected(ids)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self) -> None:
        """Exit if the journal can no longer be written."""
        if self.journal.fault:
            message = f"{self.journal.fault}\nhint: free some space, or use another --guest-folder"
            pytest.exit(message, returncode=pytest.ExitCode.INTERNAL_ERROR)

    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Find out what killed a guest, if it died."""
        guest = self.names.get(node.gateway.id, "")
        dead = error and error != "keyboard-interrupt"
        if dead:
            self._exit_if_over()
            relay = xdist_internals.relay_status(node, _MOMENT)
            self.crashes.died(guest, HOST_LEFT if relay is None else relay)
        else:
            self._judge_end(node, guest)
            self._exit_if_over()
        self.watch.finished(guest)
        if dead and self.crashes.hopeless:
            code = pytest.ExitCode.INTERNAL_ERROR if self.crashes.lost else 1
            pytest.exit(self.crashes.hopeless, returncode=code)

    def _replace(self, connect: Callable[[], None]) -> None:
        """Boot a replacement for a dead guest before xdist connects to it."""
        self._boot(1, again=True)
        with self._connecting():
            connect()

    def _judge_end(self, node: Any, guest: str) -> None:
        """Judge the kernel's messages after the last test of a guest."""
        output = getattr(node, "workeroutput", None) or {}
        for report in self.reports.between(guest, output.get("kernel_log", "")):
            self.config.hook.pytest_runtest_logreport(report=report)

    def pytest_handlecrashitem(self, crashitem: str, report: Any, sched: Any) -> None:
        """Correct the test in xdist's report of a dead worker, and add the reason."""
        self.crashes.explain(crashitem, report, sched)
        xdist_internals.count_crash(self.config, report)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Record the user's Ctrl-C; pytest also calls this when -x stops the session."""
        self.stopped = not isinstance(excinfo.value, pytest.Session.Interrupted)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """End the guests after xdist has disconnected from them; rerun the failed tests."""
        self.watch.close()
        self.holding.close()
        self.fleet.end()
        self._dumps()
        if self.over.is_set():  # tests that were running do not count; none can start any more
            for guest, test in self.watch.current():
                self.journal.lost(test, guest, self._over_why)
        try:
            if not self.stopped:
                self._rerun()
                session.exitstatus = self._status(int(session.exitstatus))
        finally:
            self.journal.close()
            self.held.close()

    def _dumps(self) -> list[str]:
        """Examine the dumps of dead guests; return the lines to report."""
        vmcore.examine(self.fleet.spec.folder, self.fleet.spec.vmlinux)
        return list(vmcore.heads(self.fleet.spec.folder))

    def _rerun(self) -> None:
        times = self.config.getoption("retry")
        root = self.config.rootpath
        left = self.crashes.left
        Retries(self.journal, self.command, root, times, self.watch.expired, self._say, left).run()

    def _say(self, line: str) -> None:
        terminal: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        if terminal:
            terminal.write_line(line, flush=True)

    def _status(self, status: int) -> int:
        """Return pytest's exit status, which flaky tests and splats at boot can change."""
        tests = read(self.journal.folder)
        bad = {test.outcome for test in tests if test.outcome.bad}
        if self.reports.boot and status in (0, 1):
            return 1
        if status == 0 and bad - {Outcome.FLAKY, Outcome.NOTRUN}:
            return 1  # the last test failed after xdist had counted it as passed
        if status == 1 and bad == {Outcome.FLAKY} and self.config.getoption("allow_flaky"):
            return 0
        lost = any(test.outcome is Outcome.NOTRUN and test.message for test in tests)
        return int(pytest.ExitCode.INTERNAL_ERROR) if lost and status == 0 else status

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Add a section about the kernel and the guests to pytest's summary."""
        lines = list(_summary(self.journal.folder))
        if lines:
            terminalreporter.write_sep("=", "kernel")
            for line in lines:
                terminalreporter.write_line(line)


def _summary(folder: Path) -> Iterator[str]:
    """Return the summary of a session from its journal; empty if all went well."""
    tests = read(folder)
    notes = [event for event in events(folder) if isinstance(event, GuestNoted | AttemptLost)]
    bad = [test for test in tests if test.outcome.bad]
    if not bad and not notes:
        return
    yield outcomes_text(tests)
    for event in notes[:_SHOWN]:
        if isinstance(event, AttemptLost):
            yield f"{event.guest}: {event.why}"
        else:
            titles = "".join(f": {splat.title}" for splat in event.splats)
            yield f"{event.guest}: {event.note}{titles}"
    for test in bad[:_SHOWN]:
        yield from _test_summary(test)
    if len(bad) > _SHOWN:
        yield f"... and {len(bad) - _SHOWN} more"
    yield from vmcore.heads(folder / "guests")
    yield f"evidence: {folder}"


def _test_summary(test: Test) -> Iterator[str]:
    yield f"{test.outcome} {test.id}: {test.headline[:_HEADLINE]}"
    if test.outcome is not Outcome.FLAKY and len(test.attempts) > 1:
        yield f"  {test.message.splitlines()[-1]}"
    if test.reproduce:
        yield f"  reproduce: {test.reproduce}"
