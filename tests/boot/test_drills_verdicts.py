# SPDX-License-Identifier: GPL-2.0-only
"""Expected splats, crashes that come again and crashes that do not: the verdicts, for real."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.model import Test
from harness.results import journal

SUITE = """
import os
from pathlib import Path
import pytest

def crash():
    Path("/proc/sysrq-trigger").write_text("c")

def eat():
    pid = os.fork()
    if pid == 0:
        Path("/proc/self/oom_score_adj").write_text("1000")
        held = []
        while True:
            held.append(b"x" * (16 << 20))
    os.waitpid(pid, 0)

@pytest.mark.expects_splat("sysrq triggered crash", kind="panic", panic=True)
def test_expected_panic():
    crash()

@pytest.mark.expects_splat("python[0-9.]* invoked oom-killer", kind="oom", count=1)
def test_expected_splat():
    eat()

@pytest.mark.expects_splat("slab-use-after-free")
def test_another_splat_than_expected():
    eat()

@pytest.mark.expects_splat("slab-use-after-free")
def test_expected_in_vain():
    pass

def test_crashes_in_company(request):
    if len(request.session.items) > 1:
        crash()

def test_crashes_always():
    crash()

def test_quiet():
    pass
"""
Verdicts = tuple[int, str, dict[str, Test]]


@pytest.fixture(scope="module")
def verdicts(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    folder = tmp_path_factory.mktemp("verdicts")
    (folder / "test_verdicts.py").write_text(SUITE)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--kernel", str(image)]
    argv += ["--guest-folder", "out", "--guests", "2", "--guest-memory", "512", "test_verdicts.py"]
    done = subprocess.run(argv, cwd=folder, text=True, capture_output=True, check=False)
    tests = {test.id.split("::")[1]: test for test in journal.read(folder / "out")}
    return done.returncode, done.stdout + done.stderr, tests


def test_what_was_expected_is_no_failure(verdicts: Verdicts) -> None:
    _, said, tests = verdicts
    for name in ("test_expected_panic", "test_expected_splat", "test_quiet"):
        assert tests[name].outcome == "pass", f"{tests[name].message}\n{said}"


def test_what_was_expected_and_did_not_come_is_one(verdicts: Verdicts) -> None:
    _, _, tests = verdicts
    assert tests["test_expected_in_vain"].outcome == "fail"
    assert "reported no such splat" in tests["test_expected_in_vain"].message
    other = tests["test_another_splat_than_expected"]
    assert other.outcome == "error"
    assert "invoked oom-killer" in other.message


def test_a_crash_is_tried_again_alone(verdicts: Verdicts) -> None:
    status, said, tests = verdicts
    assert status == 1, said
    flaky, sure = tests["test_crashes_in_company"], tests["test_crashes_always"]
    assert (flaky.outcome, sure.outcome) == ("flaky", "crash")
    assert [len(flaky.attempts), len(sure.attempts)] == [2, 2]
    assert "kernel panic: sysrq triggered crash" in sure.message
    assert f"reproduce: {sure.reproduce}" in said
