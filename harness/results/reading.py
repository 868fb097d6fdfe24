# SPDX-License-Identifier: GPL-2.0-only
"""Read a journal back into tests.

A test is NOTRUN when it was collected, CRASH from its start, and only its own report improves
that.  Each start is an attempt of its own; attempts that do not agree make it FLAKY.
Where the run itself was stopped, a test that was under way did not crash: that attempt is none.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.model import Outcome, Splat, Test
from harness.results.wilson import words
from harness.serial import from_json

NAME = "tests.jsonl"

_Event = dict[str, Any]
_LAST = ("teardown", "crash")


@dataclasses.dataclass
class Attempt:
    """One run of a test: what its phases reported, or what a journal of its own says of it."""

    guest: str
    phases: list[_Event] = dataclasses.field(default_factory=list)
    known: Outcome | None = None
    message: str = ""
    began: float = 0.0

    @property
    def seconds(self) -> float:
        """Give the time its phases took; of one that never ended, until its guest did."""
        last = self.phases[-1] if self.phases else {}
        if self.began and last.get("when") == "crash":
            return float(max(0.0, last.get("at", 0.0) - self.began))
        return float(sum(phase["seconds"] for phase in self.phases))

    @property
    def outcome(self) -> Outcome:
        """Weigh the phases: the worst counts, and one without a last report has crashed."""
        if self.known is not None:
            return self.known
        outcomes = [Outcome(phase["outcome"]) for phase in self.phases]
        bad = [one for one in outcomes if one.bad]
        if bad:
            return next((o for o in bad if o in (Outcome.CRASH, Outcome.TIMEOUT)), bad[0])
        if not any(phase["when"] in _LAST for phase in self.phases):
            return Outcome.CRASH
        return next((one for one in outcomes if one is not Outcome.PASS), Outcome.PASS)

    @property
    def under_way(self) -> bool:
        """Whether it is a crash only because nothing was heard of it any more."""
        return self.known is None and self.outcome is Outcome.CRASH and not self.words

    @property
    def words(self) -> str:
        """Give the message of the phases that made it what it is."""
        if self.known is not None:
            return self.message
        said = [p["message"] for p in self.phases if p["outcome"] == self.outcome and p["message"]]
        return "\n\n".join(said)


@dataclasses.dataclass
class Session:
    """All that a journal says."""

    tests: dict[str, list[Attempt]] = dataclasses.field(default_factory=dict)
    lost: dict[str, str] = dataclasses.field(default_factory=dict)
    command: list[str] = dataclasses.field(default_factory=list)
    root: str = ""

    def take(self, event: _Event) -> None:
        """Take one event; unknown ones are a later harness's."""
        match event:
            case {"event": "session"}:
                self.command, self.root = event["command"], event["root"]
            case {"event": "collected"}:
                for test in event["ids"]:
                    self.tests.setdefault(test, [])
            case {"event": "started"}:
                attempt = Attempt(event["guest"], began=event.get("at", 0.0))
                self.tests.setdefault(event["id"], []).append(attempt)
            case {"event": "reported"}:
                self._open(event["id"]).phases.append(event)
            case {"event": "lost"}:
                self.lost[event["id"]] = event["why"]
                if self.tests.get(event["id"]):
                    self.tests[event["id"]].pop()
            case {"event": "attempt"}:
                outcome = Outcome(event["outcome"])
                again = Attempt(event["folder"], [], outcome, event["message"])
                self.tests.setdefault(event["id"], []).append(again)

    def _open(self, test: str) -> Attempt:
        attempts = self.tests.setdefault(test, [])
        if not attempts:
            attempts.append(Attempt(""))
        return attempts[-1]


def read(folder: Path, *, stopped: bool = False) -> tuple[Test, ...]:
    """Read the tests of a journal in the order of their collection.

    A last line that was cut off by the writer's death is left out.  No journal: no tests.
    ``stopped``: the run did not come to its end, so what was under way then has not crashed.
    """
    session = Session()
    for event in events(folder):
        session.take(event)
    return tuple(result(session, test, stopped=stopped) for test in session.tests)


def events(folder: Path) -> Iterator[_Event]:
    """Give a journal's events; none when there is no journal."""
    file = folder / NAME
    if not file.is_file():
        return
    with file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and "event" in event:
                yield event


def result(session: Session, test: str, *, stopped: bool = False) -> Test:
    """Weigh what a journal says of one test; ``stopped`` as in read()."""
    begun = session.tests[test]
    attempts = [one for one in begun if not (stopped and one.under_way)]
    if not attempts:
        last, why = begun[-1] if begun else Attempt(""), session.lost.get(test, "")
        return Test(test, Outcome.NOTRUN, message=why, guest=last.guest, began=last.began)
    outcomes = tuple(one.outcome for one in attempts)
    # The first bad attempt is the one to show; a later one that passed does not heal it.
    shown = next((one for one in attempts if one.outcome.bad), attempts[-1])
    outcome, message = _verdict(outcomes, shown)
    taints = [phase["taint"] for phase in shown.phases if phase.get("taint")]
    return Test(
        id=test,
        outcome=outcome,
        seconds=shown.seconds,
        message=message,
        output="\n".join(phase["output"] for phase in shown.phases if phase["output"]),
        guest=shown.guest,
        splats=tuple(splat(found) for phase in shown.phases for found in phase["splats"]),
        kernel_log="\n".join(phase["log"] for phase in shown.phases if phase["log"]),
        attempts=outcomes,
        taint=(taints[0][0], taints[-1][1]) if taints else (0, 0),
        reproduce=command(session.command, session.root, test) if outcome.bad else "",
        began=shown.began,
        ended=shown.phases[-1].get("at", 0.0) if shown.phases else 0.0,
    )


def _verdict(outcomes: tuple[Outcome, ...], shown: Attempt) -> tuple[Outcome, str]:
    bad = sum(one.bad for one in outcomes)
    if 0 < bad < len(outcomes):
        good = len(outcomes) - bad
        return Outcome.FLAKY, f"{shown.words}\n{words(good, len(outcomes))}".strip()
    if bad > 1:
        return shown.outcome, f"{shown.words}\nconfirmed: bad in all of {bad} runs".strip()
    return shown.outcome, shown.words


def command(words: list[str], root: str, test: str) -> str:
    """Give the line that runs one test alone, for a shell; empty when it is not known."""
    return shlex.join([*words, locate(root, test)]) if words else ""


def locate(root: str, test: str) -> str:
    """Give a test's name with the absolute path of its file, which means it from anywhere."""
    file, colons, name = test.partition("::")
    return f"{Path(root, file)}{colons}{name}"


def splat(value: dict[str, Any]) -> Splat:
    """Read a splat back from JSON."""
    found: Splat = from_json(Splat, value)
    return found
