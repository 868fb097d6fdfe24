# SPDX-License-Identifier: GPL-2.0-only
"""`harness bisect` on a fake tree: in a series, in history, with everything that can go wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import faketree
import pytest
from fakeproject import Project

SUITE = """
import os, pathlib

IMAGE = pathlib.Path(os.environ["FAKE_IMAGE"]).read_bytes()
KMSG = os.environ["FAKE_KMSG"]

def test_whole():
    assert b"other bug" not in IMAGE
    assert b"planted bug" not in IMAGE, "the planted bug"

def test_other():
    assert b"other bug" not in IMAGE, "another one"

def test_splat():
    if b"planted bug" in IMAGE:
        with open(KMSG, "a") as log:
            log.write("[    5.0] WARNING: fs/configfs/dir.c:1 at configfs_rmdir+0x1/0x2\\n")

def test_number():
    print("took", 90 if b"planted bug" in IMAGE else 10, "ms")

def test_flaky():
    if b"planted bug" in IMAGE:
        seen = pathlib.Path(os.environ["FAKE_COUNT"])
        count = len(seen.read_text()) if seen.exists() else 0
        seen.write_text("x" * (count + 1))
        assert count % 3, "one time of three"
"""

BUG = 'const char *bug = "planted bug";'


class Bisect(Project):
    """A project with a history in its tree; ``commits`` are those after the tag."""

    def __init__(self, path: Path, texts: list[str]) -> None:
        super().__init__(path)
        (self.path / "suite" / "test_it.py").write_text(SUITE)
        self.before = (self.tree / "init/main.c").read_text()
        self.commits = [
            faketree.commit(self.tree, f"commit {number}", {"init/main.c": self.text(text)})
            for number, text in enumerate(texts, 1)
        ]

    def text(self, more: str) -> str:
        return f"{self.before}\n{more}\n"

    @property
    def argv(self) -> list[str]:
        argv = [sys.executable, "-m", "harness", "bisect", "--json", "--kconfig", "base"]
        argv += ["--accel", "tcg", "--guests", "2", "--out", str(self.out)]
        return argv

    def history(self, *words: str, good: str = faketree.TAG, bad: str = "HEAD") -> list[str]:
        return ["--tree", str(self.tree), "--good", good, "--bad", bad, *words]

    def environment(self, mode: str = "up", **more: str) -> dict[str, str]:
        return super().environment(mode, FAKE_COUNT=str(self.path / "count"), **more)

    @property
    def state(self) -> dict:
        return json.loads((self.out / "state.json").read_text())


def plain(count: int, bug: int, **odd: str) -> list[str]:
    """Give texts of commits of which those from ``bug`` on are bad; ``odd`` are others' texts."""
    texts = [f"int n{n};" + (f"\n{BUG}" if n >= bug else "") for n in range(1, count + 1)]
    for name, text in odd.items():
        texts[int(name[1:]) - 1] += f"\n{text}"
    return texts


def test_history(tmp_path: Path) -> None:
    project = Bisect(tmp_path, plain(12, 8))
    code, found, err = project.run(*project.history("--test", "suite/test_it.py::test_whole"))
    assert code == 0, err
    assert found["culprit"]["id"] == project.commits[7]
    assert found["culprit"]["files"] == ["init/main.c"]
    assert {one["what"]: one["found"] for one in found["proofs"]} == {
        "the culprit": "bad",
        "its parent": "good",
        "reverted": None,
    }
    assert f'Fixes: {project.commits[7][:12]} ("commit 8")' in found["mail"]
    assert "Reported-by:" in found["mail"]
    assert found["confidence"] > 0.99
    assert "the planted bug" in str(found["differences"])
    for name in ("bisect.json", "bisect.txt", "bisect.log", "mail.txt", "state.json"):
        assert (project.out / name).is_file()
