# SPDX-License-Identifier: GPL-2.0-only
"""The journal of a test session: one JSON line per event, on disk before anything else happens.

The journal survives failures of the guest, of pytest and of the machine.  When it is read back, a
test is NOTRUN once it was collected and CRASH once it was started, until its own report says
otherwise.  Each start is a separate attempt; attempts that do not agree make the test FLAKY.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shlex
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from harness import adaptors, paths
from harness.model import Outcome, Splat, Test, looks_running
from harness.results import statistics
from harness.serial import DamagedError, from_json, to_json

NAME = "tests.jsonl"


@dataclasses.dataclass(frozen=True)
class SessionStarted:
    """``command``, followed by a test's file and name, runs that test alone.

    ``root`` is the folder that test names are relative to; ``image`` is the kernel.
    ``ignored_splats`` are the kinds of splats that do not count.
    """

    command: tuple[str, ...]
    root: str
    image: str = ""  # older harnesses did not write it
    ignored_splats: tuple[str, ...] = ()
    at: float = 0.0

    @property
    def kernel(self) -> Path | None:
        """The kernel image; None if not recorded."""
        if self.image:
            return Path(self.image)
        argv = self.command  # older harnesses recorded it only here
        return Path(argv[argv.index("--kernel") + 1]) if "--kernel" in argv[:-1] else None


@dataclasses.dataclass(frozen=True)
class Collected:
    """The collected tests; a later event may add more."""

    ids: tuple[str, ...]
    at: float = 0.0


@dataclasses.dataclass(frozen=True)
class Started:
    """A test began in a guest; each further start is another attempt."""

    id: str
    guest: str
    at: float = 0.0


@dataclasses.dataclass(frozen=True)
class Phase:
    """The report of one phase of a test.

    ``when`` is setup, call, teardown, after (between two tests) or crash; ``log`` is what the
    kernel printed during the phase, ``taint`` the kernel's taint before and after.
    """

    when: str
    outcome: Outcome
    seconds: float = 0.0
    message: str = ""
    output: str = ""
    log: str = ""
    splats: tuple[Splat, ...] = ()
    taint: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class PhaseReported(Phase):
    """A phase's report, in the journal."""

    id: str = ""
    at: float = 0.0


@dataclasses.dataclass(frozen=True)
class AttemptLost:
    """The host lost the guest during a test: that attempt does not count."""

    id: str
    guest: str
    why: str
    at: float = 0.0


@dataclasses.dataclass(frozen=True)
class Retried:
    """How a test ended when it was rerun alone; ``folder`` has the journal of the rerun."""

    id: str
    outcome: Outcome
    message: str
    folder: str
    at: float = 0.0


@dataclasses.dataclass(frozen=True)
class GuestNoted:
    """What happened to a guest outside of any test, such as a splat at boot."""

    guest: str
    note: str
    log: str = ""
    splats: tuple[Splat, ...] = ()
    at: float = 0.0


Event = SessionStarted | Collected | Started | PhaseReported | AttemptLost | Retried | GuestNoted

# The name of each kind of event, as written to the file.
_KINDS: dict[str, type[Event]] = {
    "session": SessionStarted,
    "collected": Collected,
    "started": Started,
    "reported": PhaseReported,
    "lost": AttemptLost,
    "attempt": Retried,
    "guest": GuestNoted,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class Journal:
    """Writes the journal; each event is on disk before the call returns.  Thread-safe.

    ``fault`` says why the file can no longer be written (a full disk), otherwise it is empty.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._file: TextIO = (folder / NAME).open("a", encoding="utf-8", errors="backslashreplace")
        self.fault = ""
        self._lock = threading.Lock()

    def session(
        self,
        command: Sequence[str],
        root: Path,
        image: Path | str = "",
        ignored_splats: Sequence[str] = (),
    ) -> None:
        """Write how to run one test alone; see SessionStarted."""
        self._write(SessionStarted(tuple(command), str(root), str(image), tuple(ignored_splats)))

    def collected(self, ids: Iterable[str]) -> None:
        """Write the collected tests; further calls add only tests that are new."""
        self._write(Collected(tuple(ids)))

    def started(self, test: str, guest: str) -> None:
        """Write that a test began in a guest."""
        self._write(Started(test, guest))

    def reported(self, test: str, phase: Phase) -> None:
        """Write a phase's report."""
        fields = {field.name: getattr(phase, field.name) for field in dataclasses.fields(Phase)}
        self._write(PhaseReported(**fields, id=test))

    def lost(self, test: str, guest: str, why: str) -> None:
        """Write that the host lost the guest during a test."""
        self._write(AttemptLost(test, guest, why))

    def attempt(self, test: str, outcome: Outcome, folder: Path, message: str) -> None:
        """Write how a test ended when it was rerun alone."""
        self._write(Retried(test, outcome, message, str(folder)))

    def guest(self, guest: str, note: str, log: str = "", splats: tuple[Splat, ...] = ()) -> None:
        """Write what happened to a guest outside of any test."""
        self._write(GuestNoted(guest, note, log, splats))

    def _write(self, event: Event) -> None:
        table = {"event": _NAMES[type(event)], **to_json(event), "at": round(time.time(), 3)}
        line = json.dumps(table) + "\n"
        with self._lock:
            if self.fault:
                return
            try:
                self._file.write(line)
                self._file.flush()
            except OSError as error:
                self.fault = f"cannot write {self.folder / NAME}: {error.strerror}"

    def close(self) -> None:
        """Close the file; further events are an error."""
        with contextlib.suppress(OSError):  # ``fault`` already reports what could not be written
            self._file.close()


def events(folder: Path) -> Iterator[Event]:
    """Read a journal's events; none if there is no journal."""
    file = folder / NAME
    if not file.is_file():
        return
    with file.open("rb") as lines:
        for line in lines:
            if (event := parse(line)) is not None:
                yield event


def parse(line: bytes) -> Event | None:
    """Read one line; None if it is incomplete, or was written by a newer harness."""
    try:
        table: Any = json.loads(line.decode(errors="replace"))
        kind = _KINDS[table["event"]]
        return from_json(kind, table)
    except (DamagedError, ValueError, KeyError, TypeError):
        return None


@dataclasses.dataclass
class Attempt:
    """One run of a test: the reports of its phases, or the result of a separate rerun."""

    guest: str
    began: float = 0.0
    phases: list[PhaseReported] = dataclasses.field(default_factory=list)
    retried: Retried | None = None

    @property
    def seconds(self) -> float:
        """The time its phases took; if it never ended, the time until its guest ended."""
        if self.began and self.phases and self.phases[-1].when == "crash":
            return max(0.0, self.phases[-1].at - self.began)
        return float(sum(phase.seconds for phase in self.phases))

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of its phases; without a final report it has crashed."""
        if self.retried is not None:
            return self.retried.outcome
        outcomes = [phase.outcome for phase in self.phases]
        bad = [outcome for outcome in outcomes if outcome.bad]
        if bad:
            return next((o for o in bad if o in (Outcome.CRASH, Outcome.TIMEOUT)), bad[0])
        if not any(phase.when in ("teardown", "crash") for phase in self.phases):
            return Outcome.CRASH
        return next((o for o in outcomes if o is not Outcome.PASS), Outcome.PASS)

    @property
    def message(self) -> str:
        """The messages of the phases that determined the outcome."""
        if self.retried is not None:
            return self.retried.message
        worst = [phase for phase in self.phases if phase.outcome is self.outcome]
        return "\n\n".join(phase.message for phase in worst if phase.message)

    @property
    def under_way(self) -> bool:
        """Whether it counts as a crash only because its report is missing."""
        return self.retried is None and looks_running(self.outcome, self.message)


@dataclasses.dataclass
class JournalContent:
    """The content of a journal: tests' attempts, why guests were lost, how to run one test."""

    tests: dict[str, list[Attempt]] = dataclasses.field(default_factory=dict)
    lost: dict[str, str] = dataclasses.field(default_factory=dict)
    command: tuple[str, ...] = ()
    root: str = ""

    def take(self, event: Event) -> None:
        """Add one event."""
        match event:
            case SessionStarted():
                self.command, self.root = event.command, event.root
            case Collected():
                for test in event.ids:
                    self.tests.setdefault(test, [])
            case Started():
                attempt = Attempt(event.guest, event.at)
                self.tests.setdefault(event.id, []).append(attempt)
            case PhaseReported():
                attempts = self.tests.setdefault(event.id, [])
                if not attempts:
                    attempts.append(Attempt(""))
                attempts[-1].phases.append(event)
            case AttemptLost():
                self.lost[event.id] = event.why
                if self.tests.get(event.id):
                    self.tests[event.id].pop()
            case Retried():
                attempt = Attempt(event.folder, retried=event)
                self.tests.setdefault(event.id, []).append(attempt)

    def names(self) -> list[str]:
        """Return the tests, without those that did not run and whose own subtests did."""
        begun = [test for test, attempts in self.tests.items() if attempts]
        if len(begun) == len(self.tests):
            return begun
        parts = (test.split("::") for test in begun)
        parents = {"::".join(part[:end]) for part in parts for end in range(1, len(part))}
        return [test for test, attempts in self.tests.items() if attempts or test not in parents]

    def result(self, test: str, *, stopped: bool = False) -> Test:
        """Combine the attempts of one test into its result; ``stopped`` as in read()."""
        begun = self.tests[test]
        attempts = [attempt for attempt in begun if not (stopped and attempt.under_way)]
        if not attempts:
            last = begun[-1] if begun else Attempt("")
            why = self.lost.get(test, "")
            return Test(test, Outcome.NOTRUN, message=why, guest=last.guest, began=last.began)
        outcomes = tuple(attempt.outcome for attempt in attempts)
        # Show the first bad attempt; a later attempt that passed does not cancel it.
        shown = next((attempt for attempt in attempts if attempt.outcome.bad), attempts[-1])
        outcome, message = _weigh(outcomes, shown)
        phases = shown.phases
        taints = [phase.taint for phase in phases if phase.taint]
        return Test(
            id=test,
            outcome=outcome,
            seconds=shown.seconds,
            message=message,
            output="\n".join(phase.output for phase in phases if phase.output),
            guest=shown.guest,
            splats=tuple(splat for phase in phases for splat in phase.splats),
            kernel_log="\n".join(phase.log for phase in phases if phase.log),
            attempts=outcomes,
            taint=(taints[0][0], taints[-1][1]) if taints else (0, 0),
            reproduce=self.reproduce(test) if outcome.bad else "",
            began=shown.began,
            ended=phases[-1].at if phases else 0.0,
        )

    def reproduce(self, test: str) -> str:
        """Return the shell command that runs one test alone; empty if not known."""
        return shlex.join([*self.command, locate(self.root, test)]) if self.command else ""


def _weigh(outcomes: tuple[Outcome, ...], shown: Attempt) -> tuple[Outcome, str]:
    bad = sum(outcome.bad for outcome in outcomes)
    if 0 < bad < len(outcomes):
        rate = statistics.flaky_rate(len(outcomes) - bad, len(outcomes))
        return Outcome.FLAKY, f"{shown.message}\n{rate}".strip()
    if bad > 1:
        return shown.outcome, f"{shown.message}\nconfirmed: bad in all {bad} runs".strip()
    return shown.outcome, shown.message


def read(folder: Path, *, stopped: bool = False) -> tuple[Test, ...]:
    """Read the tests of a journal in collection order; no tests if there is no journal.

    ``stopped``: the run was interrupted, so tests that were running have not crashed.
    """
    content = JournalContent()
    for event in events(folder):
        content.take(event)
    return tuple(content.result(test, stopped=stopped) for test in content.names())


def locate(root: str, test: str) -> str:
    """Return a test's name with the absolute path of its file, which is valid anywhere."""
    if adaptors.parse(test):
        return test  # not in a file
    file, colons, name = paths.own_suite(test).partition("::")
    return f"{Path(root, file)}{colons}{name}"
