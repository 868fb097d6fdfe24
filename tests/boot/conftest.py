# SPDX-License-Identifier: GPL-2.0-only
"""What all real boots share: the main job, done once, and the kernels it made."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import pytest

TOP = Path(__file__).parents[2]
Job = tuple[int, dict[str, Any], str]
Once = Callable[..., Job]

# The configuration of the default series: a planted series then recompiles only what it changes.
KCONFIG = ("--kconfig", "base", "--kconfig", "nvmet", "--kconfig", "modules")

# One file or more of each kind of suite.  All of them are the README's first command, and nightly.
SUITES = (
    "test_guard.py",
    "configfs/test_mount.py",
    "configfs/test_instances.py",
    "mountapi/test_statmount.py",
    "vfs/test_newns.py",
    "sysfs/test_class_net.py",
    "teardown/test_lifetime.py",
    "nvmet/test_loop.py",
    "nvmet/test_tcp.py",
)
DEBUG_SUITES = ("configfs/test_mount.py", "nvmet/test_loop.py")


def harness(*words: str, cwd: Path = TOP) -> Job:
    argv = [sys.executable, "-m", "harness", *words]
    done = subprocess.run(argv, cwd=cwd, text=True, capture_output=True, check=False)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def suites(names: tuple[str, ...]) -> list[str]:
    return [word for name in names for word in ("--suite", f"tests/guest/{name}")]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Once:
    """Run the harness once for all workers of pytest-xdist: who comes first does, others wait."""
    top = tmp_path_factory.getbasetemp()
    top = top if worker_id == "master" else top.parent

    def job(name: str, *words: str) -> Job:
        kept = top / f"{name}.json"
        with filelock.FileLock(kept.with_suffix(".lock")):
            if not kept.exists():
                done = harness(*words, "--json", "--out", str(top / f"run-{name}"))
                kept.write_text(json.dumps(done))
            code, run, said = json.loads(kept.read_text())
        return code, run, said

    return job


@pytest.fixture(scope="session")
def main_job(once: Once) -> Job:
    """The main job with a chosen part of its suites, on both kernels."""
    return once("main", "run", *suites(SUITES))


@pytest.fixture(scope="session")
def debug_job(main_job: Job, once: Once) -> Job:
    """A smaller part on the debug kernel, which has crash points too: building it takes longest."""
    words = ("--patched-only", "--kconfig", "debug", "--kconfig", "lkdtm")
    return once("debug", "run", *words, *suites(DEBUG_SUITES))


@pytest.fixture(scope="session")
def image(main_job: Job) -> Path:
    """The patched kernel."""
    return Path(main_job[1]["sides"][-1]["kernel"]["image"])
