# SPDX-License-Identifier: GPL-2.0-only
"""What all real boots share: the main job, done once, and the kernels it made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
Job = tuple[int, dict, str]


def harness(*words: str, cwd: Path = TOP) -> Job:
    argv = [sys.executable, "-m", "harness", *words]
    done = subprocess.run(argv, cwd=cwd, text=True, capture_output=True, check=False)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


@pytest.fixture(scope="session")
def main_job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return harness("run", "--json", "--out", str(tmp_path_factory.mktemp("run") / "first"))


@pytest.fixture(scope="session")
def debug_job(main_job: Job, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A chosen part on the debug kernel, which has crash points too: building it takes longest."""
    words = ["--patched-only", "--kconfig", "debug", "--kconfig", "lkdtm"]
    for suite in ("configfs/test_instances.py", "nvmet/test_loop.py"):
        words += ["--suite", f"tests/guest/{suite}"]
    return harness("run", "--json", *words, "--out", str(tmp_path_factory.mktemp("run") / "debug"))


@pytest.fixture(scope="session")
def image(main_job: Job) -> Path:
    """The patched kernel."""
    return Path(main_job[1]["sides"][-1]["kernel"]["image"])
