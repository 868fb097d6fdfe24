# SPDX-License-Identifier: GPL-2.0-only
"""Tests that run more than once, or in more than one guest, around guests that are none."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import seeds
import warm

from harness.model import Kernel, Outcome, Run, Side, Source, Test, Trial
from harness.publish import junit
from harness.results import journal

HERE = Path(__file__).parent
LOG = HERE.parent / "data" / "boot.log"

# What a guest must remember is in files, for each guest is a process of its own.
TOP = """
import os, pathlib, pytest, signal

HERE = pathlib.Path(__file__).parent

def say(text):
    with open(os.environ["FAKE_KMSG"], "a") as log:
        log.write(text + "\\n")

def times(name):
    with (HERE / name).open("a") as file:
        file.write("x")
    return len((HERE / name).read_text())

WARNING = "[    5.000000] WARNING: fs/a.c:1 at configfs_rmdir+0x1/0x2"
"""


class Session:
    """A call of pytest, whose guests are processes of this machine."""

    def __init__(self, path: Path) -> None:
        self.path, self.out = path, path / "out"
        (path / "image").touch()
        self.log = LOG
        self.environment = {**os.environ, "FAKE_KMSG": str(path / "kmsg")}

    def run(self, suite: str, *words: str, mode: str = "up") -> tuple[int, str]:
        (self.path / "test_it.py").write_text(TOP + suite)
        booter = shlex.join([sys.executable, str(HERE / "fake_vng.py"), mode, str(self.log)])
        argv = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--guests", "1"]
        argv += ["--kernel", str(self.path / "image"), "--accel", "tcg", "--guest-booter", booter]
        argv += ["--guest-folder", str(self.out), "-c", os.devnull, "--rootdir", str(self.path)]
        done = warm.run(
            [*argv, *words, "test_it.py"],
            cwd=self.path,
            env=self.environment,
            text=True,
            capture_output=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def tests(self) -> dict[str, Test]:
        return {test.id.split("::")[1]: test for test in journal.read(self.out)}


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    seeds.own_cache(tmp_path, monkeypatch)
    return Session(tmp_path)


FLAKY = """
def test_flaky():
    assert times("flaky") != 1

def test_bad():
    assert 0, "always"

def test_good():
    pass
"""


def test_a_failure_is_rerun_alone(session: Session) -> None:
    code, said = session.run(FLAKY, "--retry", "3")
    tests = session.tests()
    assert code == 1, said
    assert tests["test_flaky"].outcome is Outcome.FLAKY
    assert tests["test_flaky"].attempts == (Outcome.FAIL, Outcome.PASS)
    assert tests["test_bad"].attempts == (Outcome.FAIL,) * 4
    assert tests["test_bad"].headline == "assert 0, 'always'" or "always" in said
    assert tests["test_good"].attempts == (Outcome.PASS,)
    assert "alone, 1 of 3: pass test_it.py::test_flaky" in said
    assert "confirmed: bad in all 4 runs" in said
    assert "good in 1 of 2 runs" in said
    assert (session.out / "retries" / "0" / "pytest.log").is_file()


def test_flaky_tests_can_be_allowed(session: Session) -> None:
    suite = FLAKY.replace("assert 0", "assert 1")
    assert session.run(suite, "--retry", "1", "--allow-flaky")[0] == 0
    assert session.tests()["test_flaky"].outcome is Outcome.FLAKY


def test_each_test_is_repeated(session: Session) -> None:
    code, said = session.run(
        "def test_third():\n    assert times('third') != 3\n"
        "@pytest.fixture(scope='module')\ndef once():\n    return times('once')\n"
        "def test_fixture(once, tmp_path):\n    assert tmp_path.exists()\n",
        *("--repeat", "4"),
    )
    assert code == 1, said
    third = session.tests()["test_third"]
    assert third.attempts == (Outcome.PASS, Outcome.PASS, Outcome.FAIL, Outcome.PASS)
    assert third.outcome is Outcome.FLAKY
    assert session.tests()["test_fixture"].attempts == (Outcome.PASS,) * 4


def test_a_crash_is_rerun_once_by_default(session: Session) -> None:
    code, said = session.run("def test_dies():\n    times('d') == 1 and os._exit(3)\n")
    assert code == 1, said
    (test,) = session.tests().values()
    assert test.attempts == (Outcome.CRASH, Outcome.PASS)
    assert "the pytest process in the guest ended with status 3" in test.message


def test_a_crash_ends_the_session_with_x(session: Session) -> None:
    code, said = session.run(
        "def test_dies():\n    os._exit(3)\ndef test_next():\n    pass\n", "-x", "--retry", "0"
    )
    assert code != 0, said
    assert "stopping after 1 failures" in said
    outcomes = {name: test.outcome for name, test in session.tests().items()}
    assert outcomes == {"test_dies": Outcome.CRASH, "test_next": Outcome.NOTRUN}
    assert not (session.out / "guests" / "1").exists(), "a guest was replaced for nothing"


def test_a_guest_lost_by_the_host_blames_no_test(session: Session) -> None:
    kill = "os.kill(int(os.environ['FAKE_BOOTER']), signal.SIGKILL); import time; time.sleep(60)"
    suite = f"def test_a():\n    if times('a') == 1:\n        {kill}\ndef test_b():\n    pass\n"
    code, said = session.run(suite)
    assert code == 0, said
    assert {name: test.attempts for name, test in session.tests().items()} == {
        "test_a": (Outcome.PASS,),
        "test_b": (Outcome.PASS,),
    }
    assert "lost due to a host fault: QEMU was killed by SIGKILL" in said


def test_a_guest_lost_twice_is_no_verdict(session: Session) -> None:
    kill = "os.kill(int(os.environ['FAKE_BOOTER']), signal.SIGKILL); import time; time.sleep(60)"
    code, said = session.run(f"def test_a():\n    {kill}\ndef test_b():\n    pass\n")
    assert code == pytest.ExitCode.INTERNAL_ERROR, said
    tests = session.tests()
    assert tests["test_a"].outcome is Outcome.NOTRUN
    assert "SIGKILL" in tests["test_a"].message
    assert tests["test_b"].outcome is Outcome.PASS


BETWEEN = """
def test_first():
    pass

def pytest_runtest_logfinish(nodeid):
    if "test_first" in nodeid and "FAKE_BOOTER" in os.environ:  # in the guest, not on the host too
        say(WARNING)

def test_second():
    pass
"""


def test_a_splat_between_two_tests_belongs_to_the_first(session: Session) -> None:
    hooks = "import test_it\npytest_runtest_logfinish = test_it.pytest_runtest_logfinish\n"
    (session.path / "conftest.py").write_text(hooks)
    code, said = session.run(BETWEEN)
    assert code == 1, said
    assert "WARNING in configfs_rmdir (after the test had ended)" in said
    outcomes = {name: test.outcome for name, test in session.tests().items()}
    assert outcomes == {"test_first": Outcome.ERROR, "test_second": Outcome.PASS}


def test_a_splat_after_the_last_test_belongs_to_it(session: Session) -> None:
    hooks = "import test_it\npytest_runtest_logfinish = test_it.pytest_runtest_logfinish\n"
    (session.path / "conftest.py").write_text(hooks)
    code, said = session.run(BETWEEN, "-k", "first")
    assert code == 1, said
    assert session.tests()["test_first"].outcome is Outcome.ERROR


def test_a_splat_at_boot_fails_the_run_and_no_test(session: Session) -> None:
    session.log = session.path / "boot.log"
    words = "[    1.500000] WARNING: fs/a.c:1 at early_thing+0x1/0x2\n"
    session.log.write_text(LOG.read_text() + words)
    code, said = session.run("def test_a():\n    pass\n")
    assert code == 1, said
    assert "guest0: splat at boot: WARNING in early_thing" in said
    assert session.tests()["test_a"].outcome is Outcome.PASS


def test_a_splat_can_be_expected(session: Session) -> None:
    mark = "@pytest.mark.expects_splat"
    code, said = session.run(
        f"{mark}('configfs_rmdir', count=1)\ndef test_comes():\n    say(WARNING)\n"
        f"{mark}('KASAN')\ndef test_another():\n    say(WARNING)\n"
        f"{mark}('WARNING')\ndef test_none():\n    pass\n"
        f"{mark}('configfs_rmdir', maybe=True)\ndef test_maybe():\n    say(WARNING)\n"
        f"{mark}('configfs_rmdir', maybe=True)\ndef test_maybe_not():\n    pass\n"
        f"{mark}('KASAN', maybe=True)\ndef test_maybe_another():\n    say(WARNING)\n"
        f"{mark}('(')\ndef test_senseless():\n    say(WARNING)\n"
    )
    assert code == 1, said
    outcomes = {name: test.outcome for name, test in session.tests().items()}
    assert outcomes == {
        "test_comes": Outcome.PASS,
        "test_another": Outcome.ERROR,
        "test_none": Outcome.FAIL,
        "test_maybe": Outcome.PASS,
        "test_maybe_not": Outcome.PASS,
        "test_maybe_another": Outcome.ERROR,
        "test_senseless": Outcome.ERROR,
    }
    assert "expected a splat like 'WARNING': the kernel reported no such splat" in said


def test_the_mark_is_known_without_guests(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n@pytest.mark.expects_splat('x')\ndef test_a():\n    pass\n"
    )
    argv = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider"]
    done = warm.run([*argv, "test_it.py"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_failure_says_how_to_reproduce_it(session: Session) -> None:
    suite = "@pytest.mark.parametrize('n', ['a b', '$HOME'])\ndef test_a(n):\n    assert 0\n"
    code, said = session.run(suite, "--test-timeout", "7")
    assert code == 1
    (line,) = [one for one in said.splitlines() if "reproduce:" in one and "a b" in one]
    again = subprocess.run(
        f"{line.partition('reproduce: ')[2]} -p no:cacheprovider -v",
        shell=True,
        cwd="/",
        env={**session.environment, "HARNESS_STATE": str(session.path / "state")},
        text=True,
        capture_output=True,
        check=False,
    )
    assert "test_it.py::test_a[a b]" in again.stdout, again.stdout + again.stderr
    assert "test_a[$HOME]" not in again.stdout
    assert "1 failed" in again.stdout


def test_junit_has_the_attempts(tmp_path: Path) -> None:
    attempts = (Outcome.FAIL, Outcome.PASS)
    flaky = Test("t.py::a", Outcome.FLAKY, message="x\nflaky: good in 1 of 2", attempts=attempts)
    bad = Test("t.py::b", Outcome.FAIL, attempts=(Outcome.FAIL,) * 2, reproduce="pytest x")
    kernel = Kernel("key", tmp_path, tmp_path, tmp_path, "7.2", "commit", "x86_64")
    source = Source(tmp_path, "commit", "v7.2")
    for allowed in (False, True):
        side = Trial(Side.PATCHED, kernel, (flaky, bad), allow_flaky=allowed)
        run = Run(None, source, tmp_path, "2026-01-01", 1.0, "tcg", (side,))
        text = junit.write(tmp_path / "junit.xml", run).read_text()
        assert text.count("<flakyFailure") == text.count("<rerunFailure") == 1
        assert text.count("<failure") == (1 if allowed else 2)
        assert "reproduce: pytest x" in text
