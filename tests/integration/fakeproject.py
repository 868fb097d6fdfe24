# SPDX-License-Identifier: GPL-2.0-only
"""A person's project for tests of the whole pipeline: a fake tree, a series, a suite, a cache."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faketree
import seeds
import warm
from patience import PATIENCE

HERE = Path(__file__).parent
LOG = HERE.parent / "data" / "boot.log"

# The image says which kernel it is: the series adds a word to it.
SUITE = """
import os, pathlib, time, pytest

PATCHED = b"fixed by the series" in pathlib.Path(os.environ["FAKE_IMAGE"]).read_bytes()

def say(text):
    with open(os.environ["FAKE_KMSG"], "a") as log:
        log.write(text + "\\n")

def test_same():
    pass

def test_fixed():
    assert PATCHED

def test_broken():
    assert not PATCHED or "BREAK" not in os.environ

def test_splat():
    if PATCHED and "SPLAT" in os.environ:
        say("[    5.0] WARNING: fs/configfs/dir.c:1 at configfs_rmdir+0x1/0x2")

def test_dies():
    if PATCHED and "DIE" in os.environ:
        os._exit(1)

def test_waits():
    time.sleep(float(os.environ.get("WAIT", "0")))

@pytest.mark.skip(reason="needs a disk")
def test_skipped():
    pass
"""


class Project:
    """A folder as a person has it: a tree, a series, a suite; and a cache of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path / "prójekt one"
        self.tree = faketree.make(self.path / "linux")
        self.series = self.path / "patches" / "demo"
        self.series.mkdir(parents=True)
        (self.series / "series.toml").write_text('title = "A demo"\nkconfig = ["base"]\n')
        (self.path / "suite").mkdir()
        (self.path / "suite" / "test_it.py").write_text(SUITE)
        (self.path / "pyproject.toml").write_text('[tool.harness]\nsuites = ["suite"]\n')
        self.out = self.path / "out"
        self.cache = path / "cache-ü"

    def patch(self, name: str, text: str) -> None:
        """Make the series one patch that adds ``text`` to the file ``name``."""
        before = (self.tree / name).read_text()
        faketree.commit(self.tree, f"{name}: say more", {name: before + text})
        words = ("format-patch", "--quiet", "-1", "--output-directory", str(self.series))
        faketree.git(self.tree, *words)
        faketree.git(self.tree, "reset", "--quiet", "--hard", faketree.TAG)

    @property
    def argv(self) -> list[str]:
        """The command line of a run."""
        argv = [sys.executable, "-m", "harness", "run", "--tree", str(self.tree), "--json"]
        argv += ["--base", faketree.TAG, "--accel", "tcg", "--guests", "1"]
        return [*argv, "--out", str(self.out)]

    def environment(self, mode: str = "up", **more: str) -> dict[str, str]:
        """Begin the cache, and give what a run finds in its environment.

        ``mode`` is what fake guests do.
        """
        seeds.cache(self.cache)
        booter = shlex.join([sys.executable, str(HERE / "fake_vng.py"), mode, str(LOG)])
        return {
            **os.environ,
            "HARNESS_CACHE": str(self.cache),
            "HARNESS_STATE": str(self.path / "state"),
            "FAKE_KMSG": str(self.path / "kmsg"),
            "PYTEST_ADDOPTS": f"--guest-booter {shlex.quote(booter)}",
            **more,
        }

    def start(
        self, *words: str, before: Sequence[str] = (), mode: str = "up", **more: str
    ) -> subprocess.Popen[str]:
        """Start a run; ``before`` are words in front of it, such as those of unshare."""
        return warm.Popen(
            [*before, *self.argv, *words],
            cwd=self.path,
            env=self.environment(mode, **more),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(
        self, *words: str, before: Sequence[str] = (), mode: str = "up", **more: str
    ) -> tuple[int, dict[str, Any], str]:
        """Run to the end: exit code, what --json printed, and what was said."""
        process = self.start(*words, before=before, mode=mode, **more)
        out, err = ended(process)
        return process.returncode, json.loads(out or "{}"), err

    def harness(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run another command of the harness to its end."""
        done = warm.run(
            [sys.executable, "-m", "harness", *map(str, words)],
            cwd=self.path,
            env=self.environment(),
            text=True,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done


class Patched(Project):
    """A project whose series the image tells of, with a suite that keeps files in FAKE_STATE."""

    def __init__(self, path: Path, suite: str) -> None:
        super().__init__(path)
        (self.path / "suite" / "test_it.py").write_text(suite)
        self.patch("fs/configfs/dir.c", '\nconst char *harness_word = "fixed by the series";\n')

    def environment(self, mode: str = "up", **more: str) -> dict[str, str]:
        return super().environment(mode, FAKE_STATE=str(self.path), **more)


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for the end; return what was printed and what was said.

    A process that does not end fails the test with the stacks of its threads.
    """
    try:
        return process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler's
        raise AssertionError("it does not end:\n" + process.communicate()[1]) from None


def outcomes(run: dict[str, Any], side: int = -1) -> dict[str, str]:
    return {test["id"].split("::")[1]: test["outcome"] for test in run["sides"][side]["tests"]}
