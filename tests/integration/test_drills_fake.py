# SPDX-License-Identifier: GPL-2.0-only
"""Drills without kernels: whatever is killed, cut, flooded or full, what is known is kept.

Sessions of the plugin with fake guests.  Random moments come from seeds, so each drill is the same
every time, as far as a busy machine allows.
"""

from __future__ import annotations

import contextlib
import os
import random
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
from fakesession import Session, own_base  # noqa: F401 - a fixture for all tests here
from patience import PATIENCE

from harness.guest.console import KEPT, TAIL
from harness.results import journal

SUITE = """
import os, pathlib, time, pytest

@pytest.mark.parametrize("n", range(12))
def test_quick(n):
    time.sleep(0.05)

def test_waits():
    if "FAKE_CUT" in os.environ:
        pathlib.Path(os.environ["FAKE_CUT"]).touch()
    time.sleep(float(os.environ.get("WAIT", "0")))
"""
HOURS = "36000"  # seconds of a test that does not end by itself
# A moment of each in CI, more of them where there is time.
SEEDS = (0, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in (1, 2)))


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path, SUITE)


KILL_THE_FIRST = """
killed = []

def pytest_xdist_node_collection_finished(node):
    if not killed:
        killed.append(node)
        node.gateway._io.popen.kill()
        node.gateway._io.popen.wait()
"""


def test_a_guest_dies_just_before_it_is_sent_its_tests(session: Session) -> None:
    """xdist does not know yet, and sends them."""
    (session.path / "conftest.py").write_text(KILL_THE_FIRST)
    _, said = session.run("--guests", "1")
    assert "INTERNALERROR" not in said
    assert "Traceback" not in said
    bad = [name for name, outcome in session.outcomes().items() if outcome != "pass"]
    assert len(bad) <= 1, said
    assert len(session.outcomes()) == 13
    session.gone()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("mark", ["--kimg", "harness.guest.keeper", "relay.py"])
def test_a_part_of_a_guest_is_killed_at_random_moments(
    session: Session, mark: str, seed: int
) -> None:
    chance = random.Random(f"{mark} {seed}")
    process = session.start("--guests", "2", WAIT="1")
    session.reach((session.out / "guests").exists)
    time.sleep(chance.uniform(0, 3))
    for pid in session.living(mark)[:1]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=PATIENCE)
    session.gone()
    bad = [name for name, outcome in session.outcomes().items() if outcome != "pass"]
    # Before its first test it may be nobody's, then it is the session that says so.
    assert len(bad) <= 1 or process.returncode not in (0, 1), said
    assert "INTERNALERROR" not in said
    assert "Traceback" not in said
    assert process.returncode == 0 or bad or "guest" in said


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_session_is_killed_at_random_moments(
    session: Session, number: signal.Signals, seed: int
) -> None:
    chance = random.Random(f"{number} {seed}")
    process = session.start("--guests", "2", WAIT=HOURS)
    session.reach(session.out.exists)  # before that nothing of it runs
    time.sleep(chance.uniform(0, 3))
    session.living()
    known = session.outcomes()
    if number is signal.SIGKILL:
        process.kill()
    else:
        os.killpg(process.pid, number)
    said, _ = process.communicate(timeout=PATIENCE)
    session.gone()
    assert process.returncode != 0, said
    passed = {name for name, outcome in known.items() if outcome == "pass"}
    assert passed <= {name for name, outcome in session.outcomes().items() if outcome == "pass"}
    assert "INTERNALERROR" not in said
    if number is signal.SIGINT:
        assert "Traceback" not in said


def test_two_guests_die_at_the_same_moment(session: Session) -> None:
    # Two tests wait in their first guest only: what the machine lost is run again.
    suite = "import pathlib, time, pytest\n@pytest.mark.parametrize('n', range(8))\n"
    suite += "def test_it(n):\n    been = pathlib.Path(f'been{n}')\n    if n in (0, 2) and not "
    suite += "been.exists():\n        been.touch()\n        time.sleep(36_000)\n"
    (session.path / "test_it.py").write_text(suite)
    process = session.start("--guests", "2")
    session.reach(lambda: len(list(session.path.glob("been*"))) == 2)
    for pid in session.living("--kimg"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert list(session.outcomes().values()) == ["pass"] * 8
    session.gone()
    session.complete()


def test_the_results_channel_is_cut(session: Session) -> None:
    status, said = session.run("--guests", "1", mode="cut", WAIT=HOURS)
    assert status == 1, said
    message = session.tests()["test_waits"].message
    assert "the pytest process in the guest ended with status 0" in message
    assert "INTERNALERROR" not in said
    assert session.outcomes()["test_quick[0]"] == "pass"
    assert session.outcomes()["test_waits"] == "crash"
    session.gone()


def test_a_guest_that_comes_up_and_says_nothing_more(session: Session) -> None:
    status, said = session.run(
        "--guests", "1", "--boot-timeout", "20", "--test-timeout", "1", mode="silent"
    )
    assert status == 1, said
    assert "guest0 died before its first test: collecting the tests ran over its deadline" in said
    assert "INTERNALERROR" not in said
    assert "Traceback" not in said
    session.gone()


def test_a_shutdown_that_never_ends_is_cut_short(session: Session) -> None:
    status, said = session.run("--guests", "1", mode="stuck")
    assert status == 0, said
    assert set(session.outcomes().values()) == {"pass"}
    session.gone()
    session.complete()


# More than is kept, but of garbage: that is a question of what is in it.  How much of it is read
# before the session ends is the machine's matter; unit/test_guest.py shows what is left out.
@pytest.mark.parametrize(
    ("mode", "size"), [("garbage", 2 << 20), ("flood", 25 << 20), ("one long line", 40 << 20)]
)
def test_a_console_that_floods(session: Session, mode: str, size: int) -> None:
    status, said = session.run("--guests", "1", mode=mode, FAKE_FLOOD=str(size), WAIT="1")
    assert status == 0, said
    assert set(session.outcomes().values()) == {"pass"}
    session.gone()
    console = (session.out / "guests" / "0" / "console.log").read_bytes()
    assert b"Linux version" in console
    assert len(console) < KEPT + 3 * TAIL


def test_the_evidence_folder_fills_up(session: Session) -> None:
    words = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--mount", "sh", "-c"]
    if subprocess.run([*words, "mount -t tmpfs none /mnt"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    suite = SUITE.replace("time.sleep(0.05)", "print('x' * 100_000)")
    (session.path / "test_it.py").write_text(suite)
    session.out.mkdir()
    mount = f"mount -t tmpfs -o size=400k none {shlex.quote(str(session.out))}"
    before = (*words, f'{mount}; "$@"; s=$?; cp {session.out}/tests.jsonl kept; exit $s', "sh")
    process = session.start("--guests", "1", before=before)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode not in (0, 1), said
    assert "No space left" in said
    assert "Traceback" not in said
    assert "INTERNALERROR" not in said
    kept = session.path / "again"
    kept.mkdir()
    (session.path / "kept").rename(kept / journal.NAME)
    assert "pass" in {str(test.outcome) for test in journal.read(kept)}
    session.gone()
