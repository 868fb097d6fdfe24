# SPDX-License-Identifier: GPL-2.0-only
"""The journal of a test session: one JSON line per event, written at once.

Whatever happens to the guest, to pytest or to the machine, what is in the journal is known.  A
test is NOTRUN when it was collected, CRASH from its start, and only its own report improves that.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from harness.model import Outcome, Splat, Test

NAME = "tests.jsonl"


@dataclasses.dataclass(frozen=True)
class Phase:
    """One phase's report of a test, as pytest gives it, in our words.

    ``when`` is setup, call, teardown or crash; ``log`` is what the kernel said meanwhile.
    """

    when: str
    outcome: Outcome
    seconds: float = 0.0
    message: str = ""
    output: str = ""
    log: str = ""
    splats: tuple[Splat, ...] = ()


class Journal:
    """Writes the journal; each event is on disk before the call returns."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = (folder / NAME).open("a", encoding="utf-8", errors="backslashreplace")

    def collected(self, ids: Iterable[str]) -> None:
        """Note the tests there are; called again with more or the same, it adds the new ones."""
        self._write({"event": "collected", "ids": list(ids)})

    def started(self, test: str, guest: str) -> None:
        """Note that a test began in a guest."""
        self._write({"event": "started", "id": test, "guest": guest})

    def reported(self, test: str, phase: Phase) -> None:
        """Note a phase's report."""
        self._write({"event": "reported", "id": test, **dataclasses.asdict(phase)})

    def _write(self, event: dict[str, Any]) -> None:
        self._file.write(json.dumps(event) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file; further events are an error."""
        self._file.close()


def read(folder: Path) -> tuple[Test, ...]:
    """Read the tests of a journal in the order of their collection.

    A last line that was cut off by the writer's death is left out.  No journal: no tests.
    """
    guests: dict[str, str] = {}
    phases: dict[str, list[Phase]] = {}
    for event in _events(folder / NAME):
        match event["event"]:
            case "collected":
                for test in event["ids"]:
                    phases.setdefault(test, [])
            case "started":
                # Started again in a new guest: what an earlier attempt said no longer counts.
                phases[event["id"]] = []
                guests[event["id"]] = event["guest"]
            case "reported":
                phases.setdefault(event["id"], []).append(_phase(event))
    return tuple(_test(test, guests.get(test), phases[test]) for test in phases)


class Tally:
    """How far a session is, told again and again: each time only what is new is read."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / NAME
        self._read = 0  # bytes
        self._total: set[str] = set()
        self._done: set[str] = set()
        self._current = ""

    def now(self) -> tuple[int, int, str]:
        """Say how many tests are done, how many there are, and which was begun last."""
        if self._file.is_file():
            with self._file.open("rb") as file:
                file.seek(self._read)
                # A last line that is still being written is for the next time.
                whole = file.read().rpartition(b"\n")[0]
            self._read += len(whole) + 1 if whole else 0
            for line in whole.splitlines():
                self._take(json.loads(line))
        return len(self._done), len(self._total), self._current

    def _take(self, event: dict[str, Any]) -> None:
        if event["event"] == "collected":
            self._total.update(event["ids"])
        elif event["event"] == "started":
            self._current = event["id"]
        elif event["when"] in ("teardown", "crash"):
            self._done.add(event["id"])


def _events(file: Path) -> Iterator[dict[str, Any]]:
    if not file.is_file():
        return
    with file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                continue


def _phase(event: dict[str, Any]) -> Phase:
    fields = {field.name: event[field.name] for field in dataclasses.fields(Phase)}
    fields["outcome"] = Outcome(event["outcome"])
    fields["splats"] = tuple(splat(value) for value in event["splats"])
    return Phase(**fields)


def splat(value: dict[str, Any]) -> Splat:
    """Read a splat back from JSON."""
    return Splat(value["kind"], value["title"], tuple(value["lines"]))


def _test(test: str, guest: str | None, phases: list[Phase]) -> Test:
    outcome, decisive = _outcome(guest, phases)
    return Test(
        id=test,
        outcome=outcome,
        seconds=sum(phase.seconds for phase in phases),
        message=decisive.message if decisive else "",
        output="\n".join(phase.output for phase in phases if phase.output),
        guest=guest or "",
        splats=tuple(found for phase in phases for found in phase.splats),
        kernel_log="\n".join(phase.log for phase in phases if phase.log),
    )


def _outcome(guest: str | None, phases: list[Phase]) -> tuple[Outcome, Phase | None]:
    """Weigh the phases: the worst counts, and a test without a last report has crashed."""
    for phase in phases:
        if phase.outcome in (Outcome.CRASH, Outcome.TIMEOUT):
            return phase.outcome, phase
    bad = next((phase for phase in phases if phase.outcome.bad), None)
    if bad is not None:
        return bad.outcome, bad
    if not any(phase.when == "teardown" for phase in phases):
        return (Outcome.NOTRUN if guest is None else Outcome.CRASH), None
    other = next((phase for phase in phases if phase.outcome is not Outcome.PASS), None)
    return (other.outcome, other) if other else (Outcome.PASS, None)
