# SPDX-License-Identifier: GPL-2.0-only
"""What tests may do to their guests: one session with all of it, and a harmless test behind each.

tests/data/drills/mischief.py lists what is done and what must become of it.  CI does the chosen
ones, the nightly run all.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.model import Outcome, Test
from harness.results import journal
from harness.results.journal import Started, events

SUITE = Path(__file__).parents[1] / "data" / "drills" / "test_mischief.py"
sys.path.append(str(SUITE.parent))
import mischief  # noqa: E402 - it stands with the suite, which runs elsewhere

#: Tests that hang in their fixtures, beside those of the table.
HANGS = {"test_hangs_in_setup", "test_hangs_in_teardown"}
#: After these a guest's files, or its worker, are not what a test can count on.
SPOIL = {
    *("fills_tmp", "fills_run", "mounts_over_its_libraries", "unmounts_proc", "changes_root"),
    *("goes_away", "leaves_a_limit", "leaves_a_variable", "leaves_its_network"),
}


@dataclasses.dataclass(frozen=True)
class Session:
    """What is left of the session: pytest's status and words, its seconds, and the journal."""

    status: int
    seconds: float
    said: str
    folder: Path
    tests: dict[str, Test]
    whole: bool

    @property
    def done(self) -> set[str]:
        """What was done, by its name."""
        return {one.name for one in mischief.ALL if self.whole or one.name in mischief.CHOSEN}

    @property
    def hangs(self) -> set[str]:
        """The tests of HANGS that ran."""
        return HANGS if self.whole else {"test_hangs_in_teardown"}


@pytest.fixture(scope="module")
def session(
    request: pytest.FixtureRequest, image: Path, tmp_path_factory: pytest.TempPathFactory
) -> Session:
    folder = tmp_path_factory.mktemp("mischief") / "out"
    ours = [item for item in request.session.items if item.path == request.path]
    whole = any(item.get_closest_marker("nightly") for item in ours)
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--kernel", str(image)]
    argv += ["--guest-folder", str(folder), "--guests", "2", "--guest-memory", "512"]
    argv += ["--test-timeout", "15", "--retry", "0", str(SUITE)]
    argv += [] if whole else ["-m", "not nightly"]
    begin = time.monotonic()
    done = subprocess.run(argv, text=True, capture_output=True, check=False)
    seconds = time.monotonic() - begin
    tests = {test.id.split("::")[1]: test for test in journal.read(folder)}
    return Session(done.returncode, seconds, done.stdout + done.stderr, folder, tests, whole)


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(one, marks=() if one.name in mischief.CHOSEN else pytest.mark.nightly)
        for one in mischief.ALL
    ],
    ids=lambda one: one.name,
)
def test_each_costs_what_it_must(session: Session, one: mischief.Mischief) -> None:
    test = session.tests[f"test_it[{one.name}]"]
    assert re.fullmatch(one.outcome, test.outcome), f"{test.message}\n{one.why}"
    assert re.search(one.says, test.message)
    assert 0 <= test.seconds < session.seconds


def test_neighbours_are_unharmed(session: Session) -> None:
    table = {f"test_it[{one.name}]" for one in mischief.ALL} | HANGS
    bad = {n: t.message for n, t in session.tests.items() if t.outcome.bad and n not in table}
    assert not bad


def test_results_are_complete(session: Session) -> None:
    assert session.status != 0, session.said
    assert len(session.tests) == 2 * len(session.done) + len(session.hangs) + 1
    ran = {name for name, test in session.tests.items() if test.outcome is not Outcome.NOTRUN}
    assert len(ran) == len(session.tests)
    assert "INTERNALERROR" not in session.said


def test_a_guest_that_was_spoilt_runs_nothing_more(session: Session) -> None:
    spoilt: set[str] = set()
    for event in events(session.folder):
        if isinstance(event, Started):
            assert event.guest not in spoilt, event.id
            if event.id.partition("::test_it[")[2].rstrip("]") in SPOIL:
                spoilt.add(event.guest)
    assert len(spoilt) >= len(SPOIL & session.done)


def test_a_hang_in_a_fixture_is_that_tests(session: Session) -> None:
    assert {session.tests[name].outcome for name in session.hangs} == {Outcome.TIMEOUT}


def test_nothing_is_left_running(session: Session) -> None:
    guests = sorted((session.folder / "guests").glob("[0-9]*/guest.json"))
    assert guests
    assert all(json.loads(guest.read_text())["ended"] for guest in guests)
    ours = os.fsencode(session.folder)
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            assert ours not in (entry / "cmdline").read_bytes()
        except OSError:
            continue
