# SPDX-License-Identifier: GPL-2.0-only
"""Copies of a saved guest: they share nothing that they must not; a bad snapshot costs a boot."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness import serial
from harness.guest import snapshot
from harness.guest.snapshot import Snapshot
from harness.model import GuestRecord
from harness.results import journal

LOOK = """
import json, os, random, socket, time, uuid, pytest

@pytest.mark.parametrize("n", range({count}))
def test_look(n):
    print("FACTS", json.dumps({{
        "boot": open("/proc/sys/kernel/random/boot_id").read(),
        "random": os.urandom(8).hex(),
        "python": random.random(),
        "uuid": uuid.uuid4().hex,
        "time": time.time(),
        "cards": [name for name in os.listdir("/sys/class/net")
                  if os.path.exists(f"/sys/class/net/{{name}}/device")],
        "name": socket.gethostname(),
        "mounts": sorted(line.split()[1] for line in open("/proc/mounts")),
        "old": os.path.exists("/harness.json"),
    }}))
"""
PANIC = """
import pathlib

def test_panics():
    pathlib.Path("/proc/sysrq-trigger").write_text("c")

def test_after():
    assert True
"""


@dataclasses.dataclass(frozen=True)
class Runs:
    """Sessions on one kernel, with a cache of their own."""

    image: Path
    top: Path

    @property
    def snapshots(self) -> list[Path]:
        """The snapshots in the cache."""
        return sorted((self.top / "cache" / snapshot.KIND).glob("*/snapshot.json"))

    def run(self, name: str, suite: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a suite with ``pytest --kernel``; its evidence goes to the folder ``name``."""
        file = self.top / f"test_{name}.py"
        file.write_text(suite)
        argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", "-rA"]
        argv += ["--kernel", str(self.image), "--guest-folder", str(self.top / name)]
        argv += ["--boot-timeout", "60", *words]  # a snapshot may take half of it to be made
        env = {**os.environ, "HARNESS_CACHE": str(self.top / "cache")}
        return subprocess.run(
            [*argv, str(file)], cwd=self.top, env=env, text=True, capture_output=True, check=False
        )

    def records(self, name: str) -> list[GuestRecord]:
        """Give the records of a session's guests."""
        folders = sorted((self.top / name / "guests").glob("*/guest.json"))
        return [serial.read(path, GuestRecord) for path in folders]

    def facts(self, name: str) -> list[dict[str, Any]]:
        """Give what the tests of LOOK printed."""
        tests = journal.read(self.top / name)
        return [json.loads(test.output.partition("FACTS ")[2].splitlines()[0]) for test in tests]


@pytest.fixture(scope="module")
def runs(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(image, tmp_path_factory.mktemp("snapshots"))


def test_copies_have_nothing_in_common_that_they_must_not(runs: Runs) -> None:
    begin = time.time()
    first = runs.run("first", LOOK.format(count=1), "--guests", "1")
    second = runs.run("second", LOOK.format(count=2), "--guests", "2")
    assert (first.returncode, second.returncode) == (0, 0), first.stdout + second.stdout
    records = runs.records("first") + runs.records("second")
    assert len(records) == 3
    assert all(record.copied for record in records)
    assert len(runs.snapshots) == 1, "saved more than once"
    facts = runs.facts("first") + runs.facts("second")
    assert len(facts) == 3
    for name in ("boot", "random", "python", "uuid", "name"):
        few = 2 if name == "name" else 3  # the first guests of both sessions have one name
        assert len({fact[name] for fact in facts}) == few, name
    for fact in facts:
        assert begin - 1 < fact["time"] < time.time() + 1
        assert fact["cards"] == [], "its address would be the same in all copies"
        assert {"/", "/proc", "/sys", "/dev", "/run", "/tmp"} <= set(fact["mounts"])
        assert len(set(fact["mounts"])) == len(fact["mounts"]), "something of the image is left"
        assert not fact["old"]


def test_an_edited_test_is_seen(runs: Runs) -> None:
    suite = "def test_edited():\n    assert {}\n"
    assert runs.run("edited", suite.format("True")).returncode == 0
    assert runs.run("edited", suite.format("False"), "--retry", "0").returncode == 1
    assert len(runs.snapshots) == 1


def test_a_replacement_is_a_copy_and_its_console_has_the_boot(runs: Runs) -> None:
    done = runs.run("panic", PANIC, "--guests", "1", "--retry", "0")
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed" in done.stdout
    records = runs.records("panic")
    assert [(record.ended, record.copied) for record in records] == [
        ("panic", True),
        ("done", True),
    ]
    console = Path(records[0].console).read_text()
    assert console.index("Linux version") < console.index("sysrq triggered crash")


def test_no_snapshot_boots(runs: Runs) -> None:
    assert runs.run("boots", LOOK.format(count=1), "--no-snapshot", "--guests", "1").returncode == 0
    assert [record.copied for record in runs.records("boots")] == [False]
    assert (
        runs.run("repeats", LOOK.format(count=1), "--repeat", "2", "--guests", "1").returncode == 0
    )
    assert [record.copied for record in runs.records("repeats")] == [False]


@pytest.mark.parametrize(
    "file",
    # A copy without its memory does nothing until its time is over.
    [snapshot.STATE, pytest.param(snapshot.RAM, marks=pytest.mark.nightly)],
)
def test_a_damaged_snapshot_is_told_once_and_costs_a_boot(runs: Runs, file: str) -> None:
    assert runs.run("before", LOOK.format(count=1), "--guests", "1").returncode == 0
    (table,) = runs.snapshots
    damaged = table.with_name(file)
    if file == snapshot.RAM:  # as if the disk had lost it: nothing shows that by its looks
        written = damaged.stat().st_mtime_ns
        with damaged.open("r+b") as memory:
            memory.truncate(0)
            memory.truncate(1 << 30)
        os.utime(damaged, ns=(written, written))
    else:
        damaged.write_bytes(damaged.read_bytes()[: 1 << 16])
        saved = serial.read(table, Snapshot)
        digest = snapshot._digest(damaged.read_bytes())
        serial.write(table, dataclasses.replace(saved, state=digest))
    done = runs.run(f"damaged-{file}", LOOK.format(count=2), "--guests", "2")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("guests boot without a snapshot: ") == 1
    assert not any(record.copied for record in runs.records(f"damaged-{file}"))
    assert not table.exists()
    shutil.rmtree(runs.top / f"damaged-{file}")
