# SPDX-License-Identifier: GPL-2.0-only
"""`harness mutate` on a fake tree: real sources, objects and links, with guests that are fake.

Fake kernels have no counters, so what the test executes is written down here.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import warm
from fakeproject import Project
from patience import PATIENCE

from harness.model import Coverage, FileCoverage, LineCount
from harness.results import store

# The test links a program with the kernel's code and runs it.
SUITE = """
import os, pathlib, subprocess

SOURCE = "int harness_limit(int); int main(void) { return harness_limit(%d) != %d; }"

def limit(tmp_path, number, expected):
    program = tmp_path / "program"
    (tmp_path / "program.c").write_text(SOURCE % (number, expected))
    image = tmp_path / "image.o"
    image.write_bytes(pathlib.Path(os.environ["FAKE_IMAGE"]).read_bytes())
    ignored = "-Wl,--unresolved-symbols=ignore-all"
    argv = ["gcc", ignored, "-no-pie", "-o", program, tmp_path / "program.c", image]
    subprocess.run(argv, check=True)
    assert subprocess.run([program]).returncode == 0

def test_small(tmp_path):
    limit(tmp_path, 1, 42)

def test_nothing():
    pass
"""
ADDED = """
int harness_limit(int number);
int harness_limit(int number)
{
	if (number > 7)
		return 7;
	return number + 41;
}
"""
FILE = "fs/configfs/dir.c"
SMALL, NOTHING = (f"suite/test_it.py::{name}" for name in ("test_small", "test_nothing"))


class Mutated(Project):
    """A project with a series of one function, and a run with coverage."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        (self.path / "suite" / "test_it.py").write_text(SUITE)
        self.line = (self.tree / FILE).read_text().count("\n") + 5  # of the if
        self.patch(FILE, ADDED)

    def covered_run(self) -> Path:
        """Make a run, and write down which lines its tests execute: not the return of 7."""
        code, run, said = self.run("--coverage", "--patched-only")
        assert code == 0, (run, said)
        lines = (
            LineCount(self.line, self.line, tests=((0, 1),)),
            LineCount(self.line + 1, self.line + 1),
            LineCount(self.line + 2, self.line + 2, tests=((0, 1),)),
        )
        file = FileCoverage(FILE, lines)
        coverage = Coverage(tests=(SMALL, NOTHING), files=(file,))
        store.save_coverage(self.out / "patched", coverage)
        return self.out

    def begin(self, *words: str, out: str = "mutants") -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "harness", "mutate", "--json"]
        if "--resume" not in words:
            argv += ["--tree", str(self.tree), "--base", "v7.2.13", "--accel", "tcg"]
            argv += ["--run", str(self.out), "--out", str(self.path / out)]
        argv += words
        return self.launch(*argv)

    def launch(self, *argv: str) -> subprocess.Popen[str]:
        return warm.Popen(
            argv,
            cwd=self.path,
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def mutate(self, *words: str, out: str = "mutants") -> tuple[int, dict[str, Any], str]:
        process = self.begin(*words, out=out)
        printed, said = process.communicate(timeout=PATIENCE)
        return process.returncode, json.loads(printed or "{}"), said


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Mutated:
    made = Mutated(tmp_path_factory.mktemp("mutated"))
    made.covered_run()
    return made


def of(found: dict[str, Any]) -> dict[tuple[str, str], str]:
    """Give the state of each mutant, by its kind and its line afterwards."""
    return {
        (one["mutant"]["kind"], one["mutant"]["after"].strip()): one["state"]
        for one in found["results"]
    }


@pytest.fixture(scope="module")
def tried(project: Mutated) -> dict[str, Any]:
    code, found, said = project.mutate()
    assert code == 0, said
    return found


def test_mutants_are_tried_and_the_survivors_named(project: Mutated, tried: dict[str, Any]) -> None:
    found = tried
    assert of(found) == {
        ("condition", "if (!(number > 7))"): "killed",
        ("bound", "if (number >= 7)"): "survived",
        ("constant", "if (number > 8)"): "survived",
        ("constant", "return 8;"): "not executed",
        ("constant", "return number + 42;"): "killed",
    }
    assert found["score"] == {"killed": 2, "survived": 2, "not_executed": 1, "percent": 40.0}
    (killer,) = {one["test"] for one in found["results"] if one["state"] == "killed"}
    assert killer == SMALL
    assert "survived" in (project.path / "mutants/mutate.txt").read_text()
    tree = next((project.cache / "trees").glob("*/linux"))
    assert ADDED in (tree / FILE).read_text()


def test_a_budget_and_going_on(project: Mutated) -> None:
    code, found, said = project.mutate("--most", "2", "--at-least", "90", out="some")
    assert (code, len(found["results"])) in ((0, 2), (1, 2)), said
    folder = str(project.path / "some")
    code, again, said = project.mutate("--resume", folder)
    assert code == 1, said  # 40 % is less than the 90 % that were asked for
    assert len(again["results"]) == 5
    assert again["results"][:2] == found["results"]
    assert again["seconds"] >= found["seconds"]


def test_workers_find_what_this_machine_finds(project: Mutated, tried: dict[str, Any]) -> None:
    """A sample first, then the others; the evidence of each trial is here."""
    code, found, said = project.mutate("--on", "local:2", "--most", "2", out="workers")
    assert (code, len(found["results"])) == (0, 2), said
    folder = project.path / "workers"
    code, found, said = project.mutate("--resume", str(folder))
    assert code == 0, said
    assert of(found) == of(tried)
    for key in ("killer", "test", "ran", "executed_by"):
        by_name = [{str(r["mutant"]): r[key] for r in one["results"]} for one in (found, tried)]
        assert by_name[0] == by_name[1], key
    for one in found["results"]:
        if one["folder"]:
            assert Path(one["folder"]).parent == folder
            assert "/trials/" not in (Path(one["folder"]) / "tests.jsonl").read_text()
            assert (Path(one["folder"]) / "guests/0/console.log").is_file()
    assert "2 on local:2" in said
    assert not (folder / "batches").exists()
    assert not list((project.cache / "mutants").glob("*"))
    tree = next((project.cache / "trees").glob("*/linux"))
    assert ADDED in (tree / FILE).read_text()


def test_workers_run_the_suites_without_a_mutant(project: Mutated) -> None:
    """Fake kernels have no counters, so the mutation ends where it needs them."""
    argv = [sys.executable, "-m", "harness", "mutate", "--tree", str(project.tree), "--json"]
    argv += ["--base", "v7.2.13", "--accel", "tcg", "--on", "local:1"]
    process = project.launch(*argv, "--out", str(project.path / "whole"))
    printed, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128, said
    assert "which test executes which line" in json.loads(printed)["error"]["what"]
    assert "(local-1)" in said
    assert (project.path / "whole/unchanged/tests.jsonl").is_file()


def test_after_ctrl_c_it_goes_on(project: Mutated) -> None:
    process, folder = project.begin(out="stopped"), project.path / "stopped"
    end = time.monotonic() + PATIENCE
    while not (folder / "mutate.json").exists() and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, said
    assert f"harness mutate --resume {shlex.quote(str(folder))}" in said
    assert 0 < len(store.load_mutation(folder).results) < 5
    tree = next((project.cache / "trees").glob("*/linux"))
    assert ADDED in (tree / FILE).read_text()
    code, found, said = project.mutate("--resume", str(folder))
    assert code == 0, said
    assert found["score"]["percent"] == 40


@pytest.mark.usefixtures("tried")
def test_the_report_and_show_know_the_folder(project: Mutated) -> None:
    folder = str(project.path / "mutants")
    for verb, expected in (("report", "report.html"), ("show", "40 %: 2 of 5 mutants killed")):
        process = project.launch(sys.executable, "-m", "harness", verb, folder)
        printed, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
        assert expected in printed
    page = (project.path / "mutants/report.html").read_text()
    assert "Not noticed" in page
    assert "survived: bound: if (number &gt;= 7)" in page
    assert "killed by suite/test_it.py::test_small" in page


def test_only_one_kind(project: Mutated) -> None:
    code, found, said = project.mutate("--only", "bound", out="kind")
    assert code == 0, said
    assert list(of(found)) == [("bound", "if (number >= 7)")]


def test_a_run_of_another_kernel_is_refused(project: Mutated) -> None:
    run = store.load_run(project.out)
    judged = dataclasses.replace(run.judged, kernel=dataclasses.replace(run.judged.kernel, key="x"))
    other = project.path / "other"
    (other / "patched").mkdir(parents=True)
    store.save_run(dataclasses.replace(run, folder=other, sides=(judged,)))
    code, _, said = project.mutate("--run", str(other), out="refused")
    assert code == 129
    assert "is not about this kernel with counters" in said
