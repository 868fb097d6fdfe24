# SPDX-License-Identifier: GPL-2.0-only
"""What runs again when a guest is gone: nothing is lost, and nothing is tried for ever."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.adaptors import kunit_symbols
from harness.model import GuestRecord, Outcome
from harness.plugin.crashes import Crashes, Death
from harness.plugin.reports import Reports
from harness.plugin.retries import Retries
from harness.results.journal import Journal, read


class Scheduler:
    def __init__(self) -> None:
        self.pending: list[str] = []

    def mark_test_pending(self, item: str) -> None:
        self.pending.append(item)


@pytest.fixture
def crashes(monkeypatch: pytest.MonkeyPatch) -> Crashes:
    journal = SimpleNamespace(guest=lambda *_: None)
    spent = {"spoilt": "/usr changed during test_a"}
    reports: Any = SimpleNamespace(journal=journal, spent=spent, broken={}, titles={})
    watch: Any = SimpleNamespace(at=lambda _: "", before={}, late={})
    made = Crashes(SimpleNamespace(), reports, watch)  # type: ignore[arg-type]
    # The others die before their first test.
    record = GuestRecord("other", "panic", "tcg", 3.5, "console.log")
    monkeypatch.setattr(made, "_death", lambda *_, **__: Death("", record, Path("out"), "", ()))
    return made


def put_back(crashes: Crashes, guest: str) -> tuple[bool, str]:
    sched, report = Scheduler(), SimpleNamespace(outcome="failed")
    crashes.died(guest)
    crashes.explain("test_b", report, sched)
    return sched.pending == ["test_b"], report.outcome


def test_tests_that_a_spoilt_guest_left_run_however_often(crashes: Crashes) -> None:
    assert [put_back(crashes, "spoilt") for _ in range(3)] == [(True, "rerun")] * 3


def test_the_test_that_xdist_blames_runs_once_more(crashes: Crashes) -> None:
    found = [put_back(crashes, "other") for _ in range(2)]
    assert found == [(True, "rerun"), (False, "failed")]


def test_a_spoilt_guest_does_not_use_up_that_one_rerun(crashes: Crashes) -> None:
    guests = ("other", "spoilt", "spoilt", "other")
    assert [put_back(crashes, guest)[0] for guest in guests] == [True, True, True, False]


MESSAGES = """\
    12.000 | [   11.000000] harness: start kunit:*::things
    12.100 | [   11.100000]     KTAP version 1
    12.100 | [   11.100000]     # Subtest: things
    12.100 | [   11.100000]     1..3
    12.200 | [   11.200000]     ok 1 simple
"""


THINGS = "kunit:*::things"


def died_in_a_case(folder: Path, monkeypatch: pytest.MonkeyPatch, *named: str) -> Crashes:
    """Let a guest die in the second of three cases, in a session with these tests."""
    monkeypatch.setattr(kunit_symbols, "suites", lambda _: {"things": ["simple", "bad", "last"]})
    journal = Journal(folder)
    journal.collected([THINGS])
    journal.started(THINGS, "guest0")
    watch: Any = SimpleNamespace(at=lambda _: THINGS, before={}, late={})
    reports = Reports(journal, watch, lambda _: folder / "absent", ())
    fleet: Any = SimpleNamespace(spec=SimpleNamespace(vmlinux=folder / "vmlinux"))
    crashes = Crashes(fleet, reports, watch, named)
    record = GuestRecord("guest0", "panic", "tcg", 3.5, "console.log")
    death = Death(THINGS, record, folder, MESSAGES, ())
    monkeypatch.setattr(crashes, "_death", lambda *_, **__: death)
    crashes.died("guest0")
    return crashes


def test_the_subtest_during_which_a_guest_died_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes = died_in_a_case(tmp_path, monkeypatch)
    assert {t.id: str(t.outcome) for t in read(tmp_path)} == {
        THINGS: "pass",
        f"{THINGS}::simple": "pass",
        f"{THINGS}::bad": "crash",
        f"{THINGS}::last": "notrun",
    }
    left = crashes.left
    assert left == [f"{THINGS}::last"]
    retries = Retries(crashes.journal, [], tmp_path, None, lambda: False, lambda _: None, left)
    assert [retries.wanted(t) for t in read(tmp_path)] == [0, 0, 1, 1]


def test_only_the_named_subtest_is_run_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert died_in_a_case(tmp_path, monkeypatch, f"{THINGS}::bad").left == []


def test_a_case_with_parameters_is_replaced_by_their_results(tmp_path: Path) -> None:
    case = "kunit:*::things::last"
    journal = Journal(tmp_path / "first")
    journal.collected([case, "t.py::other"])
    alone = {f"{case}::one": Outcome.PASS, f"{case}::two": Outcome.FAIL}
    program = f"""
import sys
from pathlib import Path
from harness.model import Outcome
from harness.results.journal import Journal, Phase
journal = Journal(Path(sys.argv[sys.argv.index("--guest-folder") + 1]))
for test, outcome in { ({name: str(outcome) for name, outcome in alone.items()})!r}.items():
    journal.started(test, "guest0")
    journal.reported(test, Phase("call", Outcome(outcome)))
    journal.reported(test, Phase("teardown", Outcome.PASS))
"""
    command = [sys.executable, "-c", program]
    retries = Retries(journal, command, tmp_path, None, lambda: False, lambda _: None, [case])
    retries.run()
    found = {test.id: test.outcome for test in read(tmp_path / "first")}
    assert found == alone | {"t.py::other": Outcome.NOTRUN}
