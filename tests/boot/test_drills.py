# SPDX-License-Identifier: GPL-2.0-only
"""Killed in the middle, with real guests: nothing is left, and what was found is kept."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Job
from patience import PATIENCE

from harness.results import journal

# In a second guest, which takes over from one that was killed, nothing waits.
SUITE = """
import os, time

def test_quick():
    pass

def test_waits():
    time.sleep(1000 if os.uname().nodename == "guest0" else 0)
"""


class Drill:
    """A run of the main job, and the processes that belong to it."""

    def __init__(self, job: Job, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        (folder / "test_drill.py").write_text(SUITE)
        source = job[1]["source"]
        self.words = ["run", "--tree", source["repo"], "--base", source["commit"], "--json"]
        self.words += ["--patched-only", "--suite", str(folder / "test_drill.py"), "--guests", "1"]
        self.env = dict(os.environ)
        self.process: subprocess.Popen[str] | None = None

    def start(self, *more: str) -> subprocess.Popen[str]:
        """Start it as a terminal does: a process group of its own."""
        argv = [sys.executable, "-m", "harness", *self.words, "--out", str(self.out), *more]
        self.process = subprocess.Popen(
            argv,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        return self.process

    def end(self) -> tuple[int, dict[str, Any], str]:
        assert self.process is not None
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, json.loads(out or "{}"), err

    def reach(self, there: Callable[[], object]) -> None:
        """Wait until something is so."""
        end = time.monotonic() + PATIENCE
        while not there():
            assert self.process is None or self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end
            time.sleep(0.05)

    def booting(self) -> bool:
        return any(console.stat().st_size for console in self.out.rglob("console.log"))

    def testing(self) -> bool:
        file = self.out / "patched" / journal.NAME
        lines = file.read_text().splitlines() if file.exists() else []
        return any('"started"' in line and "test_waits" in line for line in lines)

    def living(self, *marks: str) -> list[int]:
        """Give the processes that name our folder or a guest's private one, and all ``marks``."""
        names = [os.fsencode(self.folder), *map(os.fsencode, self.private())]
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes()
                ours = any(name in words for name in names)
                if ours and all(mark.encode() in words for mark in marks):
                    found.append(int(entry.name))
        return [pid for pid in found if pid != os.getpid()]

    def private(self) -> list[Path]:
        """Give the private folders of guests that are ours."""
        with contextlib.suppress(OSError):
            links = [link.readlink() for link in self.out.rglob("run") if link.is_symlink()]
            self._seen = sorted({*getattr(self, "_seen", []), *links})
        return list(getattr(self, "_seen", []))

    def dies(self, seconds: float = 5) -> bool:
        """Whether the run ends by itself within some seconds."""
        assert self.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.returncode is not None

    def gone(self, *, swept: bool = True) -> None:
        """See that nothing of it is left."""
        end = time.monotonic() + PATIENCE
        while self.living() and time.monotonic() < end:
            time.sleep(0.1)
        assert not [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in self.living()]
        assert not swept or not [place for place in self.private() if place.exists()]
        assert str(self.folder) not in Path("/proc/mounts").read_text()

    def outcomes(self) -> dict[str, str]:
        tests = journal.read(self.out / "patched")
        return {test.id.split("::")[1]: str(test.outcome) for test in tests}

    def works_again(self) -> None:
        """See that the next run works at once, and clears away what was left."""
        self.out = self.folder / "again"
        self.start("-k", "test_quick")
        code, _, err = self.end()
        assert code == 0, err
        assert "waiting" not in err
        self.gone()


@pytest.fixture
def drill(main_job: Job, tmp_path: Path) -> Iterator[Drill]:
    one = Drill(main_job, tmp_path)
    yield one
    if one.process is not None and one.process.poll() is None:
        one.process.kill()
        one.process.wait()


NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize(
    "number", [NUMBERS[0], *(pytest.param(one, marks=pytest.mark.nightly) for one in NUMBERS[1:])]
)
def test_stopped_during_a_test(drill: Drill, number: signal.Signals) -> None:
    process = drill.start()
    drill.reach(drill.testing)
    assert drill.living("qemu-system")
    os.killpg(process.pid, number)
    code, said, err = drill.end()
    assert (code, said["exit_code"]) == (130, 130), err
    drill.gone()
    assert json.loads((drill.out / "run.json").read_text())["interrupted"]
    assert drill.outcomes() == {"test_quick": "pass", "test_waits": "crash"}


@pytest.mark.parametrize(
    "number", [NUMBERS[1], *(pytest.param(NUMBERS[n], marks=pytest.mark.nightly) for n in (0, 2))]
)
def test_stopped_during_boot(drill: Drill, number: signal.Signals) -> None:
    process = drill.start()
    drill.reach(drill.booting)
    os.killpg(process.pid, number)
    code, _, err = drill.end()
    assert code == 130, err
    drill.gone()


def test_killed_during_a_test(drill: Drill) -> None:
    process = drill.start()
    drill.reach(drill.testing)
    drill.private()
    process.kill()
    drill.end()
    drill.gone(swept=False)
    assert drill.outcomes() == {"test_quick": "pass", "test_waits": "crash"}
    left = drill.private()
    drill.works_again()
    assert not [place for place in left if place.exists()]


@pytest.mark.nightly
def test_killed_during_boot(drill: Drill) -> None:
    process = drill.start()
    drill.reach(drill.booting)
    drill.private()
    process.kill()
    drill.end()
    drill.gone(swept=False)
    drill.works_again()


def test_a_killed_pytest_is_no_verdict(drill: Drill) -> None:
    drill.start()
    drill.reach(drill.testing)
    (controller,) = drill.living("--guest-folder")
    os.kill(controller, signal.SIGKILL)
    code, said, err = drill.end()
    assert code == 128, err
    assert "killed by SIGKILL" in said["error"]["what"]
    assert json.loads((drill.out / "run.json").read_text())["interrupted"]
    drill.gone(swept=False)
    assert drill.outcomes() == {"test_quick": "pass", "test_waits": "crash"}


@pytest.mark.parametrize(
    "mark",
    [
        "qemu-system",
        pytest.param("harness.guest.keeper", marks=pytest.mark.nightly),
        pytest.param("relay.py", marks=pytest.mark.nightly),
    ],
)
def test_a_guest_that_is_killed_costs_nothing(drill: Drill, mark: str) -> None:
    drill.start()
    drill.reach(drill.testing)
    for pid in drill.living(mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    code, _, err = drill.end()
    assert code == 0, err  # no fault of the test, which was run again
    assert drill.outcomes() == {"test_quick": "pass", "test_waits": "pass"}
    drill.gone(swept=False)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(6))
def test_anything_killed_at_a_random_moment(drill: Drill, seed: int) -> None:
    chance = random.Random(seed)
    process = drill.start()
    time.sleep(chance.uniform(1, 25))
    drill.private()
    victims = drill.living(chance.choice(["", "qemu-system", "harness.guest.keeper", "relay.py"]))
    known = drill.outcomes()
    with contextlib.suppress(ProcessLookupError):
        os.kill(chance.choice([process.pid, *victims]), signal.SIGKILL)
    if process.poll() is None and not drill.dies():
        os.killpg(process.pid, signal.SIGINT)
    drill.process = None
    process.communicate(timeout=PATIENCE)
    drill.gone(swept=False)
    better = {name for name, outcome in known.items() if outcome == "pass"}
    assert better <= {name for name, outcome in drill.outcomes().items() if outcome == "pass"}
    drill.works_again()


def test_no_file_of_ours_stays_in_the_temporary_folder(drill: Drill) -> None:
    # A folder of its own: other guests of this machine come and go in the common one.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        drill.env["TMPDIR"] = folder
        drill.works_again()
        ours = [path for path in Path(folder).iterdir() if path.name.startswith("harness-")]
        assert [path.name for path in ours] == [f"harness-{os.geteuid()}"]
        assert not list(ours[0].iterdir())
