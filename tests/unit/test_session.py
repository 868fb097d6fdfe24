# SPDX-License-Identifier: GPL-2.0-only
"""What a person is told of a test session: rows of guests, failures, the line it ends with."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import pytest

from harness.guest import records as guest_records
from harness.lab.live import GuestRows, SessionView
from harness.model import GuestRecord, Outcome, Side
from harness.progress import Progress, Stage
from harness.results.journal import Journal, Phase
from harness.results.tally import Tally


class Told:
    """Takes down what would be shown."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []

    def show(self, stage: Stage) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def more(self, text: str) -> None:
        pass

    def event(self, mark: str, text: str, more: str = "") -> None:
        self.events.append((mark, text, more))


def record(folder: Path, number: int, boot: float | None, ended: str = "") -> None:
    place = folder / "guests" / str(number)
    place.mkdir(parents=True, exist_ok=True)
    words = GuestRecord(f"guest{number}", ended, "tcg", boot, "", began=time.time() - 100)
    guest_records.write_record(place, words)


def test_a_row_for_each_guest_that_lives(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    guests = GuestRows(tmp_path, Tally(tmp_path))
    record(tmp_path, 0, None)
    record(tmp_path, 1, 3.5)
    record(tmp_path, 2, 3.0, "panic")
    rows = {row.name: row for row in guests.rows()}
    assert {name: row.what for name, row in rows.items()} == {
        "guest0": "boots",
        "guest1": "collects the tests",
    }
    assert time.time() - rows["guest0"].began == pytest.approx(100, abs=30)
    assert rows["guest1"].began - rows["guest0"].began == pytest.approx(3.5, abs=1)
    assert guests.boots == {"guest1": 3.5, "guest2": 3.0}
    journal.collected(["a", "b"])
    journal.started("a", "guest1")
    guests.tally.news()
    assert [row.what for row in guests.rows()] == ["boots", "a"]
    journal.reported("a", Phase("teardown", Outcome.PASS))
    guests.tally.news()
    assert [row.what for row in guests.rows()] == ["boots", "waits"]


def shown(folder: Path, *, judged: bool, known: tuple[str, ...] = ()) -> tuple[Told, SessionView]:
    told = Told()
    journal = Journal(folder)
    journal.collected(["a", "b", "c"])
    for test, outcome in (("a", Outcome.FAIL), ("b", Outcome.PASS), ("c", Outcome.CRASH)):
        journal.started(test, "guest0")
        when = "crash" if outcome is Outcome.CRASH else "call"
        journal.reported(test, Phase(when, outcome, message=f"E  {test} went wrong"))
        journal.reported(test, Phase("teardown", Outcome.PASS))
    session = SessionView(
        Stage(cast(Progress, told), "test"), folder, Side.BASE, judged=judged, known=known
    )
    with session.watched():
        pass
    return told, session


def test_failures_of_the_kernel_that_is_judged(tmp_path: Path) -> None:
    told, session = shown(tmp_path, judged=True, known=("a",))
    assert told.events == [
        ("bad", "fail       a (on the base too)", "a went wrong"),
        ("bad", "crash      c", "E  c went wrong"),
    ]
    assert session.summary == "3 tests: 1 pass, 1 fail, 1 crash"
    assert session.stage.rows == ()


def test_of_the_other_kernel_only_deaths(tmp_path: Path) -> None:
    told, _ = shown(tmp_path, judged=False)
    assert told.events == [("odd", "crash      c (on the base)", "E  c went wrong")]


def test_a_guest_that_runs_what_failed_again_is_seen(tmp_path: Path) -> None:
    told = Told()
    session = SessionView(Stage(cast(Progress, told), "test"), tmp_path, Side.PATCHED, judged=True)
    again = tmp_path / "retries" / "0"
    Journal(again).started("a", "guest0")
    record(again, 0, 2.0)
    session.look()
    assert [(row.name, row.what) for row in session.stage.rows] == [("again", "a")]


def test_what_was_not_run_is_counted(tmp_path: Path) -> None:
    Journal(tmp_path).collected(["a", "b"])
    record(tmp_path, 0, 2.5, "done")
    session = SessionView(Stage(cast(Progress, Told()), "test"), tmp_path, Side.BASE, judged=True)
    session.look()
    assert session.summary == "0 of 2 tests; 1 guest up in 2.5s"
