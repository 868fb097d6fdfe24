# SPDX-License-Identifier: GPL-2.0-only
"""Tests that run before all others, or alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakesession import Session, own_base  # noqa: F401 - a fixture for all tests here
from patience import PATIENCE

from harness.model import Outcome
from harness.results import counters, journal

SUITE = """
import pytest

@pytest.mark.parametrize("x", "abc")
def test_many(x):
    pass

def test_last():
    pass
"""
FIRST = "test_it.py::test_last\ntest_it.py::test_gone\ntest_it.py::test_many[b]\n"


def run(session: Session, *words: str) -> list[str]:
    """Run one guest; return the tests in the order in which they ran."""
    file = session.path / "first"
    file.write_text(FIRST)
    status, said = session.run("--run-first", str(file), "--guests", "1", *words)
    assert status == 0, said
    ran = sorted(journal.read(session.out), key=lambda test: test.began)
    return [test.id.partition("::")[2] for test in ran]


def test_they_run_first_in_their_own_order(tmp_path: Path) -> None:
    order = ["test_last", "test_many[b]", "test_many[a]", "test_many[c]"]
    assert run(Session(tmp_path, SUITE)) == order


def test_they_run_alone(tmp_path: Path) -> None:
    assert run(Session(tmp_path, SUITE), "--only-first") == ["test_last", "test_many[b]"]


@pytest.mark.parametrize("option", ["--run-first", "--deadlines"])
def test_a_file_that_is_missing_is_named(option: str, tmp_path: Path) -> None:
    status, said = Session(tmp_path, SUITE).run(option, "/gone/first")
    assert status == pytest.ExitCode.USAGE_ERROR
    assert f"{option} /gone/first: " in said


def test_a_deadline_for_one_test(tmp_path: Path) -> None:
    session = Session(tmp_path, f"import time\n\ndef test_it():\n    time.sleep({PATIENCE})\n")
    file = tmp_path / "deadlines.json"
    file.write_text(json.dumps({"test_it.py::test_it": 1}))
    status, said = session.run("--deadlines", str(file), "--guests", "1", "--retry", "0")
    assert status == 1, said
    (test,) = journal.read(session.out)
    assert test.outcome is Outcome.TIMEOUT
    assert "ran over its deadline of 1 s" in test.message


@pytest.mark.parametrize("seconds", ["1", "12"])  # during the boot, and during a test
def test_a_deadline_for_all_tests(seconds: str, tmp_path: Path) -> None:
    """Healthy guests are ended, too; the tests that were running have no result."""
    suite = f"import time\n\ndef test_a():\n    time.sleep({PATIENCE})\n\ntest_b = test_a\n"
    session = Session(tmp_path, suite)
    status, said = session.run("--run-timeout", seconds, "--guests", "2", "--retry", "0")
    assert status == 1, said
    assert f"the run is over its deadline of {seconds} s" in said
    assert {test.outcome for test in journal.read(session.out)} <= {Outcome.NOTRUN}


def test_a_guest_without_counters_runs_its_tests_all_the_same(tmp_path: Path) -> None:
    session = Session(tmp_path, SUITE)
    notes = tmp_path / "gcno" / "build"
    notes.mkdir(parents=True)
    (notes / "a.gcno").touch()
    status, said = session.run("--guests", "1")
    assert status == 0, said
    assert list(counters.readings(session.out)) == []


def test_the_command_for_one_test_has_flags_without_a_value(tmp_path: Path) -> None:
    session = Session(tmp_path, "def test_it():\n    assert not 1\n")
    status, _ = session.run("--guests", "1", "--no-snapshot", "--retry", "1")
    assert status == 1
    (test,) = journal.read(session.out)
    assert " --no-snapshot --" in test.reproduce
    assert test.attempts == (Outcome.FAIL, Outcome.FAIL)
