# SPDX-License-Identifier: GPL-2.0-only
"""Find out why a guest died, which test is to blame, and which tests must run again."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from harness import adaptors
from harness.errors import HarnessError
from harness.guest import records
from harness.guest.records import HangAnswer, HungTask
from harness.guest.relay import GUEST_LEFT, HOST_LEFT
from harness.guestside.bootstrap import LEFT
from harness.model import GuestRecord, Outcome, Splat
from harness.plugin.deadlines import DeadlineWatch
from harness.plugin.fleet import Fleet
from harness.plugin.reports import Reports, location, splats_text
from harness.results.journal import Phase
from harness.splat import BOOT
from harness.splat import find as find_splats

#: How many guests in a row may die before their first test (each in a different way), or be lost
#: with no test completed in between.
PATIENCE = 2
#: Lines to keep of a dead guest's last messages, from their start and from their end.
KEPT = 300
_MOMENT = 3.0  # seconds for a keeper to notice that its guest has ended
_SETTLE = 10.0  # the same on a busy host, if the guest is known to have ended
_LAST = 8  # console lines in a message
_STACK = 12  # stack lines in a message
_ENDED = {
    "panic": "the kernel panicked",
    "reset": "the virtual machine powered off by itself (a triple fault, or a program did it)",
    "boot": "the guest did not come up",
}
_STATES = {"R": "running", "S": "sleeping", "D": "uninterruptible", "T": "stopped", "Z": "dead"}


@dataclasses.dataclass(frozen=True)
class Death:
    """How a guest died during ``test`` (empty: before any test), its last messages and its splats.

    ``seconds`` is the deadline that the test exceeded, 0 if it did not.  ``broken`` is how pytest
    in the guest failed, if it did.  ``again``: the connection was already lost once during the same
    test.  ``after``: the test had ended, and no other test had started.
    """

    test: str
    record: GuestRecord | None
    folder: Path
    console: str
    splats: tuple[Splat, ...]
    seconds: float = 0.0
    broken: str = ""
    again: bool = False
    after: bool = False

    @property
    def lost(self) -> bool:
        """Whether the host is at fault: QEMU or the keeper was killed, or the connection lost."""
        ended = self.record.ended if self.record else "lost"
        if self.seconds or self.broken:
            return False
        return ended == "lost" or (self.cut and not self.again)

    @property
    def cut(self) -> bool:
        """Whether only the connection was lost: the guest was running until we ended it."""
        return self.record is not None and self.record.ended == "done" and not self._left

    @property
    def _left(self) -> bool:
        return f"{LEFT} 0" in self.console

    @property
    def why(self) -> str:
        """What happened to the guest, in one line."""
        ended = self.record.ended if self.record else "lost"
        note = self.record.note if self.record else ""
        if self.seconds:
            what = "the time after the test" if self.after else "the test"
            what = what if self.test else "collecting the tests"
            return f"{what} ran over its deadline of {self.seconds:g} s; {self._hang(ended)[0]}"
        if self.broken:
            lines = self.broken.strip().splitlines() or [""]
            reason = "the test removed something that pytest needs" if self.test else lines[-1]
            return f"pytest itself failed in the guest: {reason}"
        if self.lost:
            reason = note or "the connection to it was lost"
            return f"the guest was lost due to a host fault: {reason}"
        if self.again:
            return "the connection to the guest was lost twice during this test"
        if ended == "done":
            return "the pytest process in the guest ended with status 0"
        return _ENDED.get(ended) or note or ended

    def phase(self, splats: tuple[Splat, ...]) -> Phase:
        """Return the journal's phase for the death; ``splats`` are the unexpected ones."""
        ended = self.record.ended if self.record else "lost"
        details = self._hang(ended)[1] if self.seconds else self.broken
        return Phase(
            when="crash",
            outcome=Outcome.TIMEOUT if self.seconds else Outcome.CRASH,
            message="\n".join(filter(None, (self._title(splats), details, splats_text(splats)))),
            log=self.console,
            splats=splats,
        )

    def _title(self, splats: tuple[Splat, ...]) -> str:
        named = splats and not self.seconds
        return f"{splats[0].title} ({self.why})" if named else self.why

    def _hang(self, ended: str) -> tuple[str, str]:
        """Return a phrase about which parts of the guest were still working, and details."""
        answer = records.read_hang(self.folder)
        if answer:
            return _hang_of_living(answer, self.test)
        if ended == "timeout":
            return "the kernel responds to sysrq, but no longer runs programs", ""
        return "the kernel does not respond at all", ""


def _hang_of_living(answer: HangAnswer, test: str) -> tuple[str, str]:
    main = [task for task in answer.tasks if task.thread == task.pid]
    # An uninterruptible task explains the hang; if there is none, blame the youngest process.
    stuck = [task for task in answer.tasks if task.state == "D"] or main[-1:]
    where = " and ".join(_place(task) for task in stuck) or "no task of its own"
    line = _python_line(answer.python, test)
    title = f"the kernel is alive, the test hangs in {where}" + (f", at {line}" if line else "")
    details = []
    for task in stuck:
        stack = task.stack.splitlines()[:_STACK]
        details += [f"  {task.comm}/{task.thread} is at:", *(f"    {line}" for line in stack)]
    return title, "\n".join(details) if any(task.stack for task in stuck) else ""


def _place(task: HungTask) -> str:
    top = task.stack.split("\n")[0].rpartition("] ")[2].partition("+")[0]
    where = top or task.wchan or ("user space" if task.state == "R" else "the kernel")
    return f"{where} ({task.comm}/{task.thread}, {_STATES.get(task.state, task.state)})"


def _python_line(stacks: str, test: str) -> str:
    """Return the line of faulthandler's stacks in the test's file, or else the innermost line."""
    current = stacks.rpartition("Current thread")[2] or stacks
    frames = [line.strip() for line in current.splitlines() if line.strip().startswith("File ")]
    name = test.partition("::")[0].rpartition("/")[2]
    own = [frame for frame in frames if f'/{name}"' in frame]
    if not frames:
        return ""
    _, path, rest = (own or frames)[0].split('"', 2)
    return f"{path.rpartition('/')[2]}:{rest.removeprefix(', line ')}"


def last_messages(
    folder: Path, mark: str = "", ignored: Collection[str] = ()
) -> tuple[str, tuple[Splat, ...]]:
    """Return the end of a guest's console, from the last line with ``mark``, and its splats."""
    console = folder / records.CONSOLE
    text = console.read_text(errors="backslashreplace") if console.is_file() else ""
    start = text.rfind(mark) if mark else 0
    lines = text[max(start, 0) :].splitlines()
    shown = lines if len(lines) <= 2 * KEPT else [*lines[:KEPT], "(cut)", *lines[-KEPT:]]
    test = mark.removeprefix("harness: start ") if start > 0 else ""
    return "\n".join(shown), find_splats(lines, test or BOOT, ignored)


class Crashes:
    """Blames a guest's death on its current test, or else on the last test that it finished.

    ``named`` are the tests on the command line.
    """

    def __init__(
        self, fleet: Fleet, reports: Reports, watch: DeadlineWatch, named: Collection[str] = ()
    ) -> None:
        self.fleet, self.reports, self.watch = fleet, reports, watch
        self.subtests = {word for word in named if (s := adaptors.parse(word)) and s.subtest}
        self.journal = reports.journal
        self.lost: list[str] = []  # why guests were lost
        self.left: list[str] = []  # subtests that were not reached, to be run alone
        self._blamed = ""  # the test that the last death is blamed on
        self._phase: Phase | None = None  # its phase
        self._rerun: set[str] = set()  # tests that xdist blamed and that it runs again
        self._certain = False  # whether the test that xdist blames is known not to have started
        self._cut: set[str] = set()  # tests during which a connection was lost
        self._unborn: list[str] = []  # how guests died before their first test
        self._unborn_message = ""
        self._lost_in_a_row = 0
        self._done = 0  # tests that had ended when the last guest was lost

    @property
    def hopeless(self) -> str:
        """Why it is pointless to continue the run; empty if it is not."""
        if self._lost_in_a_row > PATIENCE:
            return f"guests keep being lost due to host faults: {self.lost[-1]}"
        if len(self._unborn) > PATIENCE or len(self._unborn) > len(set(self._unborn)):
            return f"guests die before their first test: {self._unborn_message}"
        return ""

    def died(self, guest: str, relay: int = HOST_LEFT) -> None:
        """Write the cause of a guest's death to the journal, before anything else can go wrong.

        ``relay`` is the exit status of the guest's relay: which side closed the connection first.
        """
        self._blamed, self._phase = "", None
        self._certain = guest in self.reports.spent
        if self._certain:
            if why := self.reports.spent[guest]:
                self.journal.guest(guest, f"replaced: {why}")
            return
        at = self.watch.at(guest)
        death = self._death(guest, at, settled=relay != GUEST_LEFT)
        if relay < 0 and not death.seconds and death.record and death.record.ended == "done":
            death = dataclasses.replace(death, record=None)  # because the guest's relay was killed
        if at and death.cut and at in self._cut:
            death = dataclasses.replace(death, again=True)  # the test causes it
        if death.lost:
            self._lose(guest, at, death)
        elif death.test:
            self._blame(guest, at, death)
        else:
            self._note_unborn(guest, death)

    def _death(self, guest: str, at: str, *, settled: bool = True) -> Death:
        """Find out how a guest died, and end it if it is still running.

        Unless ``settled``, the guest has closed its connection and is about to end by itself.
        """
        test = at or self.watch.before.get(guest, "")
        handle = self.fleet.named(guest)
        record: GuestRecord | None = None
        if handle is not None:
            try:
                if not settled:
                    handle.wait_over(_SETTLE)  # else the record says that we ended it
                record = handle.end()
            except HarnessError:
                record = None
        folder = handle.folder if handle else self.fleet.spec.folder
        console, splats = last_messages(
            folder, f"harness: start {test}" if test else "", self.reports.ledger.ignored
        )
        # A guest that ended by itself was not late, even if we only noticed after the deadline.
        slow = record is None or record.ended in ("timeout", "hang")
        seconds = self.watch.late.get((guest, at), 0.0) if slow else 0.0
        broken = self.reports.broken.get(guest, "")
        return Death(test, record, folder, console, splats, seconds, broken, after=not at)

    def stillborn(self, connected: Collection[str]) -> tuple[str, int]:
        """Return how a guest died while xdist connected to it, and pytest's exit status.

        ``connected`` are the names of the guests that were already connected.
        """
        end = time.monotonic() + _MOMENT
        dead: list[str] = []
        while not dead and time.monotonic() < end:
            others = [guest for guest in self.fleet.started if guest.name not in connected]
            dead = [guest.name for guest in others if guest.poll() is not None]
        if not dead:
            return "the connection to a guest was lost before its first test", 3
        death = self._death(dead[0], "")
        titles = "".join(f": {splat.title}" for splat in death.splats)
        note = f"died before its first test: {death.why}{titles}"
        self.journal.guest(dead[0], note, "", death.splats)
        # No test code has run in the guest, so if it simply exited, the host disconnected it.
        left = death.record is not None and death.record.ended in ("done", "left")
        return f"{dead[0]} {note}", 3 if death.lost or left else 1

    def _note_unborn(self, guest: str, death: Death) -> None:
        titles = ", ".join(splat.title for splat in death.splats)
        self.journal.guest(guest, f"died before its first test: {death.why}", "", death.splats)
        lines = [line.rpartition(" | ")[2] for line in death.console.splitlines() if line.strip()]
        message = [titles or death.why, "hint: importing a test file may have caused this"]
        if not titles:
            message += ["its last lines:", *(f"  {line}" for line in lines[-_LAST:])]
        message.append(f"console: {death.folder / records.CONSOLE}")
        self._unborn_message = "\n".join(message)
        self._unborn.append(titles or death.why)

    def _lose(self, guest: str, at: str, death: Death) -> None:
        self.lost.append(death.why)
        progress = self.reports.done > self._done
        self._done = self.reports.done
        self._lost_in_a_row = 1 if progress else self._lost_in_a_row + 1
        if at:
            if death.cut:
                self._cut.add(at)
            self.journal.lost(at, guest, death.why)
        else:
            self.journal.guest(guest, death.why)

    def _blame(self, guest: str, at: str, death: Death) -> None:
        self._unborn.clear()
        self._blamed = death.test
        reported = self.reports.titles.get(guest, set()) if not at else set()
        new = tuple(splat for splat in death.splats if splat.title not in reported)
        splats = self.reports.ledger.unexpected(death.test, new)
        phase = death.phase(splats)
        if not splats and not death.seconds and self.reports.ledger.dies(death.test):
            phase = Phase("crash", Outcome.PASS, log=death.console)
        self._phase = phase
        if not at or not self._blame_subtest(guest, at, death, phase):
            self.journal.reported(death.test, phase)

    def _blame_subtest(self, guest: str, test: str, death: Death, phase: Phase) -> bool:
        """Blame the subtest during which the guest died, if the adaptor of the test can tell."""
        suite = adaptors.parse(test)
        if suite is None or suite.subtest:
            return False
        # Lines of a console begin with the host's clock.
        text = "\n".join(line.partition(" | ")[2] for line in death.console.splitlines())
        interrupted = adaptors.adaptor(suite.kind).interrupted
        found = interrupted(suite.item, text, self.fleet.spec.vmlinux)
        if found is None:
            return False
        for subtest in found.finished:
            self.reports.subtest(guest, f"{test}::{subtest.name}", subtest.outcome, subtest.message)
        current = f"{test}::{found.current}"
        self.journal.collected([current])
        self.journal.started(current, guest)
        self.journal.reported(current, phase)
        left = [f"{test}::{name}" for name in found.left]
        self.left += [name for name in left if not self.subtests or name in self.subtests]
        self.journal.collected(self.left)
        self.journal.reported(test, Phase("crash", Outcome.PASS, log=death.console))
        return True

    def explain(self, item: str, report: Any, sched: Any) -> None:
        """Correct xdist's report, which blames the next test it sent, even if it never started."""
        blamed = self._blamed
        again = blamed != item and (self._certain or item not in self._rerun)
        if again:
            # The test did not end, so it is run again in the next guest, but only once, in case it
            # did kill this guest.  A guest that exited by itself had not started another test.
            if not self._certain:
                self._rerun.add(item)
            sched.mark_test_pending(item)
        if blamed and self._phase is not None:
            report.nodeid = blamed
            report.location = location(blamed)
            if self._phase.outcome.bad:
                report.longrepr = self._phase.message
            else:
                report.outcome, report.when, report.longrepr = "passed", "call", None
        elif again or self.lost:
            report.outcome = "rerun"  # neither passed nor failed, because it has not run
