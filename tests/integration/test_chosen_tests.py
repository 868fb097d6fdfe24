# SPDX-License-Identifier: GPL-2.0-only
"""Tests that run before all others, or alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakesession import Session, own_base  # noqa: F401 - a fixture for all tests here

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


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    status, said = Session(tmp_path, SUITE).run("--run-first", "/gone/first")
    assert status == pytest.ExitCode.USAGE_ERROR
    assert "--run-first /gone/first: " in said


def test_a_guest_without_counters_runs_its_tests_all_the_same(tmp_path: Path) -> None:
    session = Session(tmp_path, SUITE)
    notes = tmp_path / "gcno" / "build"
    notes.mkdir(parents=True)
    (notes / "a.gcno").touch()
    status, said = session.run("--guests", "1")
    assert status == 0, said
    assert list(counters.readings(session.out)) == []
