# SPDX-License-Identifier: GPL-2.0-only
"""How far a session is, read while its journal is being written."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model import Outcome
from harness.results.journal import NAME, Journal, Phase
from harness.results.tally import Tally


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def ended(journal: Journal, test: str, guest: str, outcome: Outcome = Outcome.PASS) -> None:
    journal.started(test, guest)
    journal.reported(test, Phase("call", outcome, message=f"E   {test} is {outcome}"))
    journal.reported(test, Phase("teardown", Outcome.PASS))


def test_nothing_is_known_before_there_is_a_journal(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    assert tally.news() == []
    assert (tally.done, tally.total, tally.counts, tally.running) == (0, 0, {}, {})


def test_it_counts_what_is_done_and_knows_who_is_at_what(tmp_path: Path, journal: Journal) -> None:
    tally = Tally(tmp_path)
    journal.collected(["a", "b", "c", "d"])
    ended(journal, "a", "guest0")
    journal.started("b", "guest0")
    journal.started("c", "guest1")
    assert tally.news() == []
    assert (tally.done, tally.total) == (1, 4)
    assert {guest: test for guest, (test, _) in tally.running.items()} == {
        "guest0": "b",
        "guest1": "c",
    }
    assert all(began > 0 for _, began in tally.running.values())
    journal.reported("c", Phase("teardown", Outcome.PASS))
    tally.news()
    assert list(tally.running) == ["guest0"]


def test_what_is_bad_is_told_once(tmp_path: Path, journal: Journal) -> None:
    tally = Tally(tmp_path)
    ended(journal, "a", "guest0", Outcome.FAIL)
    assert [(test.id, test.headline) for test in tally.news()] == [("a", "a is fail")]
    assert tally.news() == []
    assert tally.counts == {Outcome.FAIL: 1}


def test_a_crash_that_passes_alone_turns_flaky(tmp_path: Path, journal: Journal) -> None:
    tally = Tally(tmp_path)
    journal.started("a", "guest0")
    journal.reported("a", Phase("crash", Outcome.CRASH, message="panic"))
    assert [test.outcome for test in tally.news()] == [Outcome.CRASH]
    journal.attempt("a", Outcome.PASS, tmp_path / "retries/0", "")
    assert [test.outcome for test in tally.news()] == [Outcome.FLAKY]
    assert tally.counts == {Outcome.FLAKY: 1}


def test_a_splat_after_a_test_makes_it_bad_later(tmp_path: Path, journal: Journal) -> None:
    tally = Tally(tmp_path)
    ended(journal, "a", "guest0")
    assert tally.news() == []
    journal.reported("a", Phase("after", Outcome.ERROR, message="WARNING in f"))
    assert [test.outcome for test in tally.news()] == [Outcome.ERROR]
    assert tally.done == 1


def test_a_lost_guest_is_at_no_test(tmp_path: Path, journal: Journal) -> None:
    tally = Tally(tmp_path)
    journal.collected(["a"])
    journal.started("a", "guest0")
    journal.lost("a", "guest0", "QEMU was killed")
    tally.news()
    assert (tally.running, tally.done) == ({}, 0)


def test_a_line_half_written_is_for_the_next_time(tmp_path: Path, journal: Journal) -> None:
    tally = Tally(tmp_path)
    journal.collected(["a"])
    with (tmp_path / NAME).open("a") as file:
        file.write('{"event": "star')
        file.flush()
        assert tally.news() == []
        file.write('ted", "id": "a", "guest": "guest3"}\n')
    tally.news()
    assert tally.running == {"guest3": ("a", 0.0)}
