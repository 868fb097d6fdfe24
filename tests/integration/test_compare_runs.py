# SPDX-License-Identifier: GPL-2.0-only
"""``harness compare`` on runs of fake guests: what it calls a regression, and what not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fakeproject import Patched

# What a test does may change between the run and the time it is run again.
SUITE = """
import os, pathlib

PATCHED = b"fixed by the series" in pathlib.Path(os.environ["FAKE_IMAGE"]).read_bytes()
HERE = pathlib.Path(os.environ["FAKE_STATE"])

def test_same():
    pass

def test_fixed():
    assert PATCHED

def test_broken():
    assert not PATCHED

def test_once():
    assert not PATCHED or (HERE / "again").exists()
"""


class Compared(Patched):
    """A project whose series fixes a test, breaks one, and one only the first time."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, SUITE)

    def compare(self, *words: str | Path) -> tuple[int, dict[str, Any], str]:
        done = self.harness("compare", "--json", *words)
        return done.returncode, json.loads(done.stdout or "{}"), done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Compared:
    one = Compared(tmp_path)
    code, _, err = one.run()
    assert code == 1, err
    return one


def kinds(table: dict[str, Any]) -> dict[str, str]:
    return {one["test"].split("::")[1]: one["kind"] for one in table["tests"]}


def test_what_fails_again_is_a_regression_and_what_does_not_is_flaky(project: Compared) -> None:
    (project.path / "again").touch()
    out = project.path / "compared"
    sides = (project.out / "base", project.out / "patched")
    before = [(file, file.read_bytes()) for file in project.out.rglob("*.json*")]
    code, table, err = project.compare(*sides, "--rerun", "2", "--out", out)
    assert code == 1, err
    found = {"test_broken": "regression", "test_once": "flaky", "test_fixed": "fix"}
    assert kinds(table) == found
    (broken,) = [one for one in table["tests"] if one["kind"] == "regression"]
    assert broken["again"] == [["pass", "pass"], ["fail", "fail"]]
    assert table["same"] == 1
    assert (out / "compare.json").is_file()
    assert list((out / "patched").rglob("pytest.log"))
    assert [(file, file.read_bytes()) for file, _ in before] == before  # evidence stays as it was


def test_without_a_rerun_the_word_is_not_used(project: Compared) -> None:
    code, table, err = project.compare(project.out / "base", project.out, "--rerun", "0")
    assert code == 1, err
    assert kinds(table)["test_broken"] == "suspect"
    assert "rerun" not in err


def test_a_comparison_has_a_folder_of_its_own(project: Compared) -> None:
    code, _, err = project.compare(project.out, project.out)
    assert code == 0, err
    (command,) = (project.path / "state").glob("runs/*-compare/command")
    assert command.read_text().startswith("harness compare")
    code, _, err = project.compare(project.out, project.out, "--out", project.out)
    assert code == 128, err
    assert "already holds a run" in err


def test_a_kernel_that_is_gone_leaves_a_suspicion(project: Compared) -> None:
    for image in (project.cache / "kernels").glob("*/image"):
        image.unlink()
    code, table, err = project.compare(project.out / "base", project.out)
    assert code == 1, err
    assert kinds(table)["test_broken"] == "suspect"


def test_a_run_is_like_itself(project: Compared) -> None:
    code, table, err = project.compare(project.out, project.out)
    assert code == 0, err
    assert table["tests"] == []
    assert table["same"] == 4


def test_what_is_no_run_is_usage(project: Compared) -> None:
    code, _, err = project.compare(project.out, project.path)
    assert code == 129, err
    assert "not a run's folder" in err


def test_workers_build_the_kernels_again_and_rerun(project: Compared) -> None:
    """The kernels are gone here, so only workers can tell a regression from a flaky test."""
    (project.path / "again").touch()
    sides = (project.out / "base", project.out / "patched")
    shutil.rmtree(project.cache / "kernels")
    code, table, err = project.compare(*sides)
    assert (code, kinds(table)["test_broken"]) == (1, "suspect"), err
    out = project.path / "compared"
    code, table, err = project.compare(*sides, "--on", "local:2", "--out", out)
    assert code == 1, err
    found = {"test_broken": "regression", "test_once": "flaky", "test_fixed": "fix"}
    assert kinds(table) == found
    assert list((out / "patched").rglob("pytest.log"))


def test_results_of_another_kernel_settle_nothing(project: Compared) -> None:
    """The series was changed after the run."""
    patch = next(project.series.glob("*.patch"))
    patch.write_text(patch.read_text().replace("fixed by the series", "fixed by the serious"))
    code, table, err = project.compare(project.out / "base", project.out, "--on", "local:1")
    assert code == 1, err
    assert kinds(table)["test_broken"] == "suspect"
    assert "workers build another kernel" in err
