# SPDX-License-Identifier: GPL-2.0-only
"""The bugs that the boot tests plant: always the same, and in files the series does not touch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
SERIES = TOP / "patches" / "configfs-ns"
sys.path.append(str(TOP / "tests" / "data" / "bisect"))
import plant  # noqa: E402 - it is in the folder of the bugs


@pytest.mark.parametrize("bug", plant.BUGS.values(), ids=lambda bug: bug.name)
def test_a_bug_is_in_one_patch(bug: plant.Bug, tmp_path: Path) -> None:
    folder = plant.series(SERIES, bug, 5, tmp_path / "copy")
    differ = [
        file.name
        for file in folder.glob("*.patch")
        if file.read_bytes() != (SERIES / file.name).read_bytes()
    ]
    assert len(differ) == 1
    assert differ[0].startswith("0005-")
    assert f"+++ b/{bug.file}\n" in (folder / differ[0]).read_text()


@pytest.mark.parametrize("file", sorted({bug.file for bug in plant.BUGS.values()}))
def test_the_series_does_not_touch_the_file(file: str) -> None:
    assert not [f for f in SERIES.glob("*.patch") if f"+++ b/{file}\n" in f.read_text()]


def tree(folder: Path) -> str:
    """Make a repository with the files that the planted histories change."""
    for name in (*plant.CODE, *plant.TEXTS):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"/* {name} */\n")
    before = [line[1:] for line in plant.BUGS["errno"].diff.splitlines()[4:] if line[0] in " -"]
    (folder / plant.FILE).write_text("\n" * 328 + "\n".join(before) + "\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "start"]):
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
        subprocess.run(["git", *identity, *words], cwd=folder, check=True)
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_planted_history_is_always_the_same(tmp_path: Path) -> None:
    start, bug = tree(tmp_path), plant.BUGS["errno"]
    commits = plant.history(tmp_path, start, bug, 37)
    assert len(set(commits)) == plant.LENGTH
    assert plant.history(tmp_path, start, bug, 37) == commits
    other = plant.history(tmp_path, start, bug, 50)
    assert [a == b for a, b in zip(commits, other, strict=True)].count(True) == 36
    ended = plant.history(tmp_path, start, bug, 3, length=8, until=6)
    words = ["git", "log", "--format=%s", "--reverse", f"{start}..{ended[-1]}", "--", plant.FILE]
    said = subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert said.splitlines() == ["fs/configfs: rework files", "fs/configfs: mend files"]
