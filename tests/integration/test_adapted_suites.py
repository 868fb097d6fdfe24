# SPDX-License-Identifier: GPL-2.0-only
"""Suites that are not pytest's, in a session with fake guests."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakesession import Session, own_base  # noqa: F401 - a fixture for all tests here

from harness.adaptors import NO_SUBTEST
from harness.results import journal

TAP = """
echo TAP version 13
echo 1..3
echo ok 1 first
echo '# because of x'
echo not ok 2 second
echo 'ok 3 third # SKIP no device'
exit 1
"""
PROGRAMS = {
    "tap.sh": TAP,
    "good.sh": "exit 0",
    "skips.sh": "echo no such device; exit 4",
    "fails.sh": "echo oh dear; exit 3",
    "dies.sh": "kill -9 $PPID",
}


@pytest.fixture
def programs(tmp_path: Path) -> Session:
    made = Session(tmp_path, "def test_own():\n    pass\n")
    folder = made.path / "programs"
    folder.mkdir()
    for name, text in PROGRAMS.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return made


def outcomes(folder: Path) -> dict[str, str]:
    return {test.id: str(test.outcome) for test in journal.read(folder)}


def test_programs_run_beside_pytests_own_tests(programs: Session) -> None:
    status, printed = programs.run("program:programs", "--guests", "1")
    assert status == 1, printed
    suite = "program:programs::"
    assert outcomes(programs.out) == {
        "test_it.py::test_own": "pass",
        f"{suite}good.sh": "pass",
        f"{suite}skips.sh": "skip",
        f"{suite}fails.sh": "fail",
        f"{suite}dies.sh": "crash",
        f"{suite}tap.sh": "pass",  # its subtests are the whole reason
        f"{suite}tap.sh::first": "pass",
        f"{suite}tap.sh::second": "fail",
        f"{suite}tap.sh::third": "skip",
    }
    tests = {test.id: test for test in journal.read(programs.out)}
    assert tests[f"{suite}tap.sh::second"].headline == "because of x"
    assert tests[f"{suite}skips.sh"].message == "Skipped: no such device"
    assert "oh dear" in tests[f"{suite}fails.sh"].output
    assert tests[f"{suite}fails.sh"].reproduce.endswith(f"{suite}fails.sh")
    assert "1 of 3 subtests failed: second" in printed


def test_one_subtest_is_run_by_its_name(programs: Session) -> None:
    name = "program:programs::tap.sh"
    status, printed = programs.run(f"{name}::third", "--deselect", "test_it.py")
    assert status == 0, printed
    assert outcomes(programs.out) == {name: "pass", f"{name}::third": "skip"}


def test_a_subtest_that_does_not_exist_is_skipped(programs: Session) -> None:
    name = "program:programs::tap.sh"
    programs.run(f"{name}::fourth", "--deselect", "test_it.py")
    assert outcomes(programs.out) == {name: "skip"}
    (test,) = journal.read(programs.out)
    # A bisection takes it for good: some self-tests name a result only if it is a failure.
    assert test.headline == f"Skipped: {NO_SUBTEST} fourth"


def test_repeated_subtests_have_attempts(programs: Session) -> None:
    programs.run("program:programs::tap.sh", "--repeat", "3", "--deselect", "test_it.py")
    (second,) = (test for test in journal.read(programs.out) if test.id.endswith("::second"))
    assert [str(outcome) for outcome in second.attempts] == ["fail", "fail", "fail"]


def test_what_cannot_run_is_refused_before_a_boot(programs: Session) -> None:
    status, printed = programs.run("program:./absent.sh")
    assert status == 4
    assert "there is no program ./absent.sh" in printed
    assert not (programs.out / "guests").exists()
