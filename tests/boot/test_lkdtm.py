# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own crash points: each is detected, named, and blamed on the test that did it.

tests/data/lkdtm/points.py says what is to be detected.  A choice is run in CI, all of it nightly.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Job

from harness.model import Outcome, Test
from harness.results import journal
from harness.results.journal import Started, events

SUITE = Path(__file__).parents[1] / "data" / "lkdtm" / "test_points.py"
sys.path.append(str(SUITE.parent))
import points  # noqa: E402 - it stands with the suite, which runs elsewhere

# Lockups are noticed in seconds, so that a test's deadline can be short.  Two processors: one
# that hangs is noticed by the other.  The rest turns on what the configuration only offers.
QUICK = "watchdog_thresh=3 sysctl.kernel.hung_task_timeout_secs=5"
# KFENCE samples rarely, or it would see now and then what is KASAN's.
CHECKS = "hardened_usercopy=on slab_debug=F,lkdtm-heap-b kfence.sample_interval=1000"


class Session:
    """One session over the suite; ``words`` choose among its points."""

    def __init__(self, image: Path, folder: Path, *words: str) -> None:
        self.folder = folder
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        argv += ["--kernel", str(image), "--guest-folder", str(folder), "--retry", "0"]
        argv += ["--guests", "2", "--guest-cpus", "2", "--guest-append", f"{QUICK} {CHECKS}"]
        argv += ["--test-timeout", "15", *words, str(SUITE)]
        done = subprocess.run(argv, text=True, capture_output=True, check=False)
        self.status, self.said = done.returncode, done.stdout + done.stderr
        self.tests = {test.id.split("::")[1]: test for test in journal.read(folder)}

    def holds(self, wanted: tuple[points.Point, ...]) -> list[str]:
        """Say what differs from the table."""
        return [
            f"{point.name}: {test.outcome} {[splat.title for splat in test.splats]}, {test.message}"
            for point in wanted
            if not _right(point, test := self.tests[f"test_point[{point.name}]"])
        ]

    def bad_neighbours(self) -> dict[str, str]:
        """Give the tests that did nothing and were blamed for something."""
        others = {name: test for name, test in self.tests.items() if "test_point" not in name}
        return {name: test.message for name, test in others.items() if test.outcome.bad}

    def living(self) -> list[bytes]:
        """Give the commands that still name the session's folder."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                found.append((entry / "cmdline").read_bytes())
            except OSError:
                continue
        return [words for words in found if os.fsencode(self.folder) in words]


def _right(point: points.Point, test: Test) -> bool:
    if str(test.outcome) != point.outcome:
        return False
    if not point.kind:
        return not test.splats
    first = test.splats[0] if test.splats else None
    return (
        first is not None
        and re.fullmatch(point.kind, first.kind) is not None
        and re.search(point.title, first.title) is not None
    )


@pytest.fixture(scope="module")
def debug_image(debug_job: Job) -> Path:
    return Path(debug_job[1]["sides"][-1]["kernel"]["image"])


@pytest.fixture(scope="module", params=["chosen", pytest.param("all", marks=pytest.mark.nightly)])
def session(
    request: pytest.FixtureRequest, debug_image: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Session, tuple[points.Point, ...]]:
    folder = tmp_path_factory.mktemp("lkdtm") / "out"
    if request.param == "all":
        return Session(debug_image, folder), points.ALL
    chosen = tuple(point for point in points.ALL if point.chosen)
    return Session(debug_image, folder, "-m", "not nightly"), chosen


Both = tuple[Session, tuple[points.Point, ...]]


def test_each_point_is_detected_and_blamed_on_its_test(session: Both) -> None:
    one, wanted = session
    assert len(wanted) >= 12
    assert one.holds(wanted) == []


def test_neighbours_are_unharmed(session: Both) -> None:
    assert session[0].bad_neighbours() == {}


def test_a_guest_without_lockdep_runs_nothing_more(session: Both) -> None:
    began = [one for one in events(session[0].folder) if isinstance(one, Started)]
    last = {one.guest: one.id for one in began}
    # KASAN's report turns lockdep off for good.
    at = next(one for one in began if one.id.endswith("test_point[WRITE_AFTER_FREE]"))
    assert last[at.guest] == at.id


def test_results_are_complete(session: Both) -> None:
    one, wanted = session
    assert one.status == 1, one.said
    assert "INTERNALERROR" not in one.said
    assert len(one.tests) == 2 * len(wanted) + 1
    assert Outcome.NOTRUN not in {test.outcome for test in one.tests.values()}


def test_nothing_is_left_running(session: Both) -> None:
    one, _ = session
    records = list((one.folder / "guests").glob("[0-9]*/guest.json"))
    assert records
    assert all(json.loads(record.read_text())["ended"] for record in records)
    assert one.living() == []
