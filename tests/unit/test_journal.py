# SPDX-License-Identifier: GPL-2.0-only
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.model import Outcome, Splat
from harness.results.journal import NAME, Journal, Phase, read
from harness.results.statistics import interval


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    one = Journal(tmp_path)
    yield one
    one.close()


def passed(journal: Journal, test: str, guest: str = "guest0") -> None:
    journal.started(test, guest)
    for when in ("setup", "call", "teardown"):
        journal.reported(test, Phase(when, Outcome.PASS, 0.5))


def outcome(folder: Path, test: str) -> Outcome:
    return next(one.outcome for one in read(folder) if one.id == test)


def test_a_collected_test_has_not_run(journal: Journal, tmp_path: Path) -> None:
    journal.collected(["a", "b"])
    assert [(t.id, t.outcome) for t in read(tmp_path)] == [("a", "notrun"), ("b", "notrun")]


def test_a_started_test_has_crashed_until_its_last_report(journal: Journal, tmp_path: Path) -> None:
    journal.started("a", "guest0")
    journal.reported("a", Phase("setup", Outcome.PASS))
    journal.reported("a", Phase("call", Outcome.PASS))
    assert outcome(tmp_path, "a") is Outcome.CRASH
    journal.reported("a", Phase("teardown", Outcome.PASS))
    assert outcome(tmp_path, "a") is Outcome.PASS


def test_times_of_all_phases_add_up(journal: Journal, tmp_path: Path) -> None:
    passed(journal, "a")
    assert read(tmp_path)[0].seconds == 1.5


@pytest.mark.parametrize(
    ("when", "reported", "expected"),
    [
        ("setup", Outcome.ERROR, Outcome.ERROR),
        ("call", Outcome.FAIL, Outcome.FAIL),
        ("teardown", Outcome.ERROR, Outcome.ERROR),
        ("setup", Outcome.SKIP, Outcome.SKIP),
        ("call", Outcome.XFAIL, Outcome.XFAIL),
        ("crash", Outcome.TIMEOUT, Outcome.TIMEOUT),
    ],
)
def test_the_phase_that_is_not_a_pass_decides(
    journal: Journal, tmp_path: Path, when: str, reported: Any, expected: Any
) -> None:
    journal.started("a", "guest0")
    journal.reported("a", Phase(when, reported, message="why"))
    if when != "teardown":
        journal.reported("a", Phase("teardown", Outcome.PASS))
    (test,) = read(tmp_path)
    assert (test.outcome, test.message) == (expected, "why")


def test_a_crash_after_a_pass_is_a_crash(journal: Journal, tmp_path: Path) -> None:
    passed(journal, "a")
    journal.reported("a", Phase("crash", Outcome.CRASH, message="panic"))
    assert outcome(tmp_path, "a") is Outcome.CRASH


def test_a_test_that_fails_once_and_passes_once_is_flaky(journal: Journal, tmp_path: Path) -> None:
    journal.started("a", "guest0")
    journal.reported("a", Phase("call", Outcome.FAIL, message="E   boom"))
    journal.reported("a", Phase("teardown", Outcome.PASS))
    passed(journal, "a", "guest1")
    (test,) = read(tmp_path)
    assert (test.outcome, test.guest) == (Outcome.FLAKY, "guest0")
    assert test.attempts == (Outcome.FAIL, Outcome.PASS)
    assert test.headline.startswith("flaky: good in 1 of 2 runs")
    assert "boom" in test.message


def test_an_attempt_alone_counts(journal: Journal, tmp_path: Path) -> None:
    journal.started("a", "guest0")
    journal.reported("a", Phase("crash", Outcome.CRASH, message="the kernel panicked"))
    journal.attempt("a", Outcome.CRASH, tmp_path, "the kernel panicked")
    (test,) = read(tmp_path)
    assert test.outcome is Outcome.CRASH
    assert test.message == "the kernel panicked\nconfirmed: bad in all 2 runs"
    journal.attempt("a", Outcome.PASS, tmp_path, "")
    assert outcome(tmp_path, "a") is Outcome.FLAKY


def test_a_lost_guest_is_no_attempt(journal: Journal, tmp_path: Path) -> None:
    journal.collected(["a"])
    journal.started("a", "guest0")
    journal.reported("a", Phase("setup", Outcome.PASS))
    journal.lost("a", "guest0", "QEMU was killed by SIGKILL")
    (test,) = read(tmp_path)
    assert (test.outcome, test.message) == (Outcome.NOTRUN, "QEMU was killed by SIGKILL")
    passed(journal, "a", "guest1")
    (test,) = read(tmp_path)
    assert (test.outcome, test.attempts) == (Outcome.PASS, (Outcome.PASS,))


def test_a_test_whose_guest_died_as_it_expected_has_passed(
    journal: Journal, tmp_path: Path
) -> None:
    journal.started("a", "guest0")
    journal.reported("a", Phase("setup", Outcome.PASS))
    journal.reported("a", Phase("crash", Outcome.PASS))
    assert outcome(tmp_path, "a") is Outcome.PASS


def test_a_failure_says_how_to_reproduce_it(journal: Journal, tmp_path: Path) -> None:
    journal.session(["python3", "-m", "pytest", "--kernel", "an image"], Path("/top"))
    journal.started("t.py::a[x y]", "guest0")
    passed(journal, "t.py::b")
    bad, good = read(tmp_path)
    assert bad.reproduce == "python3 -m pytest --kernel 'an image' '/top/t.py::a[x y]'"
    assert good.reproduce == ""


def test_taint_is_that_of_the_whole_test(journal: Journal, tmp_path: Path) -> None:
    journal.started("a", "guest0")
    for when, after in (("setup", 0), ("call", 512), ("teardown", 512)):
        journal.reported("a", Phase(when, Outcome.PASS, taint=(0, after)))
    assert read(tmp_path)[0].taint == (0, 512)


@pytest.mark.parametrize(
    ("good", "runs", "low", "high"),
    [(0, 0, 0, 1), (0, 10, 0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1)],
)
def test_wilsons_interval(good: Any, runs: Any, low: Any, high: Any) -> None:
    assert interval(good, runs) == pytest.approx((low, high), abs=1e-4)


def test_splats_and_kernel_log_are_kept(journal: Journal, tmp_path: Path) -> None:
    splat = Splat("kasan", "BUG: KASAN: x", ("one", "two"))
    journal.started("a", "guest0")
    journal.reported("a", Phase("call", Outcome.ERROR, log="said", splats=(splat,)))
    journal.reported("a", Phase("teardown", Outcome.PASS))
    (test,) = read(tmp_path)
    assert (test.splats, test.kernel_log) == ((splat,), "said")


def test_a_last_line_cut_off_by_a_kill_is_left_out(journal: Journal, tmp_path: Path) -> None:
    passed(journal, "a")
    with (tmp_path / NAME).open("a") as file:
        file.write('{"event": "star')
    assert [t.outcome for t in read(tmp_path)] == [Outcome.PASS]


def test_no_journal_is_no_tests(tmp_path: Path) -> None:
    assert read(tmp_path) == ()


def test_a_test_knows_when_it_began(journal: Journal, tmp_path: Path) -> None:
    before = time.time()
    passed(journal, "a")
    (test,) = read(tmp_path)
    assert before - 1 <= test.began <= test.ended <= time.time() + 1


def test_a_crash_took_until_its_guest_was_gone(journal: Journal, tmp_path: Path) -> None:
    journal.started("a", "guest0")
    journal.reported("a", Phase("crash", Outcome.TIMEOUT))
    journal.close()
    events = [json.loads(line) for line in (tmp_path / NAME).read_text().splitlines()]
    events[1]["at"] = events[0]["at"] + 60
    (tmp_path / NAME).write_text("\n".join(map(json.dumps, events)))
    assert read(tmp_path)[0].seconds == pytest.approx(60)


def test_a_journal_without_times_is_read(journal: Journal, tmp_path: Path) -> None:
    passed(journal, "a")
    journal.close()
    events = [json.loads(line) for line in (tmp_path / NAME).read_text().splitlines()]
    lines = [json.dumps({k: v for k, v in one.items() if k != "at"}) for one in events]
    (tmp_path / NAME).write_text("\n".join(lines))
    (test,) = read(tmp_path)
    assert (test.began, test.seconds) == (0.0, 1.5)


def test_a_headline_that_announces_what_follows_takes_it_along(
    journal: Journal, tmp_path: Path
) -> None:
    journal.started("a", "guest0")
    leak = "E   AssertionError: the test leaked:\nE       slab object: 1 more\nE       mount: y"
    journal.reported("a", Phase("teardown", Outcome.ERROR, message=leak))
    (test,) = read(tmp_path)
    assert test.headline == "AssertionError: the test leaked: slab object: 1 more"


def test_what_was_under_way_when_a_run_was_stopped_is_no_crash(
    journal: Journal, tmp_path: Path
) -> None:
    journal.collected(["a", "b"])
    journal.started("a", "guest0")
    journal.reported("a", Phase("setup", Outcome.PASS))
    assert [one.outcome for one in read(tmp_path)] == [Outcome.CRASH, Outcome.NOTRUN]
    first, _ = read(tmp_path, stopped=True)
    assert (first.outcome, first.attempts, first.guest) == (Outcome.NOTRUN, (), "guest0")
    assert first.began


@pytest.mark.parametrize("before", [Outcome.PASS, Outcome.FAIL])
def test_a_repeat_that_was_under_way_is_no_attempt(
    journal: Journal, tmp_path: Path, before: Any
) -> None:
    journal.started("a", "guest0")
    journal.reported("a", Phase("call", before, message="why"))
    journal.reported("a", Phase("teardown", Outcome.PASS))
    journal.started("a", "guest0")
    (test,) = read(tmp_path, stopped=True)
    assert (test.outcome, test.attempts) == (before, (before,))


@pytest.mark.parametrize("when", ["call", "crash"])
def test_what_was_found_before_a_run_was_stopped_stays(
    journal: Journal, tmp_path: Path, when: str
) -> None:
    found = Outcome.CRASH if when == "crash" else Outcome.FAIL
    journal.started("a", "guest0")
    journal.reported("a", Phase(when, found, message="why"))
    assert [one.outcome for one in read(tmp_path, stopped=True)] == [found]
