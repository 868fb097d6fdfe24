# SPDX-License-Identifier: GPL-2.0-only
"""`git bisect run harness run` on a tree with a few commits: the exit codes lead to the culprit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import faketree
from fakeproject import Project

SUITE = """
import os, pathlib

def test_the_kernel_is_whole():
    image = pathlib.Path(os.environ["FAKE_IMAGE"]).read_bytes()
    assert b"planted bug" not in image
"""


def test_git_bisect_finds_the_commit(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (project.path / "suite" / "test_it.py").write_text(SUITE)
    bug = 'const char *bug = "planted bug";'
    texts = [
        "int one;\n",
        "int broken = no_such_word;\n",  # does not build: untestable, and passed over
        "int three;\n",
        f"{bug}\n",
        f"{bug}\nint five;\n",
        f"{bug}\nint six;\n",
    ]
    before = (project.tree / "init/main.c").read_text()
    commits = [
        faketree.commit(project.tree, f"commit {number}", {"init/main.c": f"{before}\n{text}"})
        for number, text in enumerate(texts, 1)
    ]
    faketree.git(project.tree, "bisect", "start", commits[-1], faketree.TAG)
    words = ["--no-series", "--tree", ".", "--kconfig", "base", "--accel", "tcg", "--guests", "1"]
    words += ["--suite", str(project.path / "suite"), "-q"]
    done = subprocess.run(
        ["git", "bisect", "run", sys.executable, "-m", "harness", "run", *words],
        cwd=project.tree,
        env=project.environment(),
        text=True,
        capture_output=True,
        check=False,
    )
    log = faketree.git(project.tree, "bisect", "log")
    said = done.stdout + done.stderr + log
    assert "Traceback" not in said
    assert f"{commits[3]} is the first bad commit" in done.stdout, said
    assert done.returncode == 0, said
    assert f"# good: [{commits[2]}]" in log, said


def test_a_commit_that_does_not_build_is_untestable(tmp_path: Path) -> None:
    project = Project(tmp_path)
    text = (project.tree / "init/main.c").read_text() + "\nint broken = no_such_word;\n"
    faketree.commit(project.tree, "broken", {"init/main.c": text})
    code, _, err = project.run("--no-series", "--kconfig", "base", "--base", "HEAD")
    assert code == 125, err  # git bisect's word for it
