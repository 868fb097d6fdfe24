# SPDX-License-Identifier: GPL-2.0-only
"""A session of the plugin with fake guests, in a folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import seeds
from patience import PATIENCE

from harness.model import Test
from harness.results import journal

HERE = Path(__file__).parent
LOG = HERE.parent / "data" / "boot.log"
LONG = str(PATIENCE)  # a deadline that a healthy guest keeps on a slow machine too


class Session:
    """A pytest with fake guests, in a folder of its own."""

    def __init__(self, path: Path, suite: str) -> None:
        self.path, self.out = path, path / "out"
        self.image = path / "image"
        self.image.touch()
        (path / "test_it.py").write_text(suite)
        self.seen: set[str] = set()

    def start(
        self,
        *words: str,
        mode: str = "up",
        before: tuple[str, ...] = (),
        **more: str,
    ) -> subprocess.Popen[str]:
        """Start it in a process group of its own, as a terminal does."""
        booter = shlex.join([sys.executable, str(HERE / "fake_vng.py"), mode, str(LOG)])
        argv = [*before, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        argv += ["--kernel", str(self.image), "--accel", "tcg", "--guest-scale", "0.25"]
        argv += ["--boot-timeout", LONG, "--test-timeout", LONG]
        argv += ["--guest-folder", str(self.out), "--guest-booter", booter]
        argv += ["-c", os.devnull, "--rootdir", str(self.path), *words, "test_it.py"]
        place = {"FAKE_KMSG": str(self.path / "kmsg"), "TMPDIR": os.environ["TMPDIR"]}
        return subprocess.Popen(
            argv,
            cwd=self.path,
            env={**os.environ, **place, **more},
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )

    def run(self, *words: str, **more: str) -> tuple[int, str]:
        """Run it to the end: status, and what was said."""
        process = self.start(*words, **more)  # type: ignore[arg-type]
        said, _ = process.communicate(timeout=PATIENCE)
        return process.returncode, said

    def tests(self) -> dict[str, Test]:
        return {test.id.split("::")[1]: test for test in journal.read(self.out)}

    def outcomes(self) -> dict[str, str]:
        return {name: str(test.outcome) for name, test in self.tests().items()}

    def testing(self) -> bool:
        """Whether a guest is at the test that waits."""
        return any(test.id.endswith("test_waits") and test.guest for test in journal.read(self.out))

    def reach(self, there: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE
        while not there():
            assert time.monotonic() < end
            time.sleep(0.02)

    def living(self, mark: str = "") -> list[int]:
        """Give the processes that name our folder, or a guest's private one, and ``mark``."""
        self.seen |= {str(run.readlink()) for run in self.out.rglob("run") if run.is_symlink()}
        names = [os.fsencode(name) for name in (str(self.path), *self.seen)]
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes()
                if any(name in words for name in names) and mark.encode() in words:
                    found.append(int(entry.name))
        return found

    def gone(self) -> None:
        """See that no process is left."""
        end = time.monotonic() + PATIENCE
        while self.living() and time.monotonic() < end:
            time.sleep(0.05)
        assert not [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in self.living()]

    def complete(self) -> None:
        """See that every guest's record has its last word."""
        records = list((self.out / "guests").glob("[0-9]*/guest.json"))
        assert records
        assert all(json.loads(record.read_text())["ended"] for record in records)


@pytest.fixture(autouse=True)
def own_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Private folders of guests are ours to look through, and nobody else's are swept.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        seeds.own_cache(tmp_path, monkeypatch)
        monkeypatch.setenv("TMPDIR", folder)
        yield
