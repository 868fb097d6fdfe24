# SPDX-License-Identifier: GPL-2.0-only
import pytest

from harness.model import Outcome, Splat
from harness.results.journal import NAME, Journal, Phase, Tally, read


@pytest.fixture
def journal(tmp_path):
    one = Journal(tmp_path)
    yield one
    one.close()


def passed(journal, test, guest="guest0"):
    journal.started(test, guest)
    for when in ("setup", "call", "teardown"):
        journal.reported(test, Phase(when, Outcome.PASS, 0.5))


def outcome(folder, test):
    return next(one.outcome for one in read(folder) if one.id == test)


def test_a_collected_test_has_not_run(journal, tmp_path):
    journal.collected(["a", "b"])
    assert [(t.id, t.outcome) for t in read(tmp_path)] == [("a", "notrun"), ("b", "notrun")]


def test_a_started_test_has_crashed_until_its_last_report(journal, tmp_path):
    journal.started("a", "guest0")
    journal.reported("a", Phase("setup", Outcome.PASS))
    journal.reported("a", Phase("call", Outcome.PASS))
    assert outcome(tmp_path, "a") is Outcome.CRASH
    journal.reported("a", Phase("teardown", Outcome.PASS))
    assert outcome(tmp_path, "a") is Outcome.PASS


def test_times_of_all_phases_add_up(journal, tmp_path):
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
def test_the_phase_that_is_not_a_pass_decides(journal, tmp_path, when, reported, expected):
    journal.started("a", "guest0")
    journal.reported("a", Phase(when, reported, message="why"))
    if when != "teardown":
        journal.reported("a", Phase("teardown", Outcome.PASS))
    (test,) = read(tmp_path)
    assert (test.outcome, test.message) == (expected, "why")


def test_a_crash_after_a_pass_is_a_crash(journal, tmp_path):
    passed(journal, "a")
    journal.reported("a", Phase("crash", Outcome.CRASH, message="panic"))
    assert outcome(tmp_path, "a") is Outcome.CRASH


def test_a_test_run_again_counts_by_its_last_run(journal, tmp_path):
    journal.started("a", "guest0")
    journal.reported("a", Phase("call", Outcome.FAIL))
    passed(journal, "a", "guest1")
    (test,) = read(tmp_path)
    assert (test.outcome, test.guest) == (Outcome.PASS, "guest1")


def test_splats_and_kernel_log_are_kept(journal, tmp_path):
    splat = Splat("kasan", "BUG: KASAN: x", ("one", "two"))
    journal.started("a", "guest0")
    journal.reported("a", Phase("call", Outcome.ERROR, log="said", splats=(splat,)))
    journal.reported("a", Phase("teardown", Outcome.PASS))
    (test,) = read(tmp_path)
    assert (test.splats, test.kernel_log) == ((splat,), "said")


def test_a_last_line_cut_off_by_a_kill_is_left_out(journal, tmp_path):
    passed(journal, "a")
    with (tmp_path / NAME).open("a") as file:
        file.write('{"event": "star')
    assert [t.outcome for t in read(tmp_path)] == [Outcome.PASS]


def test_no_journal_is_no_tests(tmp_path):
    assert read(tmp_path) == ()


def test_tally_counts_what_is_done(journal, tmp_path):
    journal.collected(["a", "b", "c"])
    passed(journal, "a")
    tally = Tally(tmp_path)
    assert tally.now() == (1, 3, "a")
    journal.started("b", "guest0")
    assert tally.now() == (1, 3, "b")
    with (tmp_path / NAME).open("a") as file:
        file.write('{"event": "star')
    assert tally.now() == (1, 3, "b")
