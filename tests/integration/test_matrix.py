# SPDX-License-Identifier: GPL-2.0-only
"""``harness matrix``: cells are runs, here with a fake tree and fake guests."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import faketree
import pytest
import warm
from fakeproject import Project
from patience import PATIENCE

TOML = """
series = ["patches/demo", "no series"]
kernels = ["v7.2.13"]
suites = ["suite/test_it.py::test_same", "suite/test_it.py::test_broken"]
"""


class Matrix(Project):
    """A project with a matrix of two series and two suites."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.patch("fs/configfs/dir.c", '\nconst char *harness_word = "fixed by the series";\n')
        (self.path / "nightly.toml").write_text(TOML)

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        return warm.Popen(
            [sys.executable, "-m", "harness", "matrix", *words],
            cwd=self.path,
            env=self.environment(**more),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def matrix(self, *words: str, **more: str) -> tuple[int, dict[str, Any], str]:
        """Run cells: exit code, what --json printed, and what was said."""
        own = ("nightly.toml", "--tree", str(self.tree), "--accel", "tcg", "--guests", "1")
        words = (*own, "--out", str(self.out), *words)
        return self.result(self.start(*words, "--json", **more))

    @staticmethod
    def result(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
        out, err = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in err, err
        return process.returncode, json.loads(out or "{}"), err


@pytest.fixture
def project(tmp_path: Path) -> Matrix:
    return Matrix(tmp_path)


def verdicts(table: dict[str, Any]) -> list[str | None]:
    return [cell["verdict"] for cell in table["cells"]]


def test_every_cell_is_a_run(project: Matrix) -> None:
    code, table, err = project.matrix(BREAK="1")
    assert code == 1, err
    assert verdicts(table) == ["good", "bad", "good", "good"], err
    names = [cell["name"] for cell in table["cells"]]
    assert names[1] == "2-demo-test_it.py-test_broken"
    for cell in table["cells"]:
        folder = project.out / cell["folder"]
        run = json.loads((folder / "run.json").read_text())
        assert run["verdict"] == cell["verdict"]
        assert [name for name, _ in run["stages"]].count("source") <= 1, "times are its own"
        assert run["command"][:2] == ["harness", "run"]
        assert (folder / "report.html").is_file()
        assert (folder / "junit.xml").is_file()
    assert table["cells"][1]["tests"] == "1 fail"
    page = (project.out / "report.html").read_text()
    assert all(f'href="{name}/report.html"' in page for name in names)
    stored = json.loads((project.out / "matrix.json").read_text())
    assert stored == table

    shown = project.harness("show", str(project.out)).stdout
    assert names[1] in shown
    assert "BAD nightly" in shown
    rows = json.loads(project.harness("runs", "--json").stdout)["runs"]
    assert sorted(row["verb"] for row in rows) == ["matrix", *["run"] * 4]
    assert {row["verdict"] for row in rows if row["verb"] == "matrix"} == {"bad"}
    assert str(project.out / "report.html") in project.harness("report", str(project.out)).stdout


def test_the_list_shows_cells_and_runs_none(project: Matrix) -> None:
    code, table, err = project.matrix("--list", "--only", "*broken*")
    assert code == 0, err
    assert [cell["name"][:6] for cell in table["cells"]] == ["2-demo", "4-no-s"]
    assert not project.out.exists()


def test_a_cell_that_cannot_run_does_not_stop_the_others(project: Matrix) -> None:
    """A patch that does not apply makes its cells untestable."""
    other = project.path / "patches" / "other"
    other.mkdir()
    (other / "series.toml").write_text('title = "Other"\n')
    faketree.commit(project.tree, "one", {"fs/new.c": "int one;\n"})
    faketree.commit(project.tree, "fs/new.c: two", {"fs/new.c": "int two;\n"})
    faketree.git(project.tree, "format-patch", "-q", "-1", "--output-directory", str(other))
    faketree.git(project.tree, "reset", "--quiet", "--hard", faketree.TAG)
    (project.path / "nightly.toml").write_text(
        'series = ["patches/other", "no series"]\nkernels = ["v7.2.13"]\n'
        'suites = ["suite/test_it.py::test_same"]\n'
    )
    code, table, err = project.matrix()
    assert code == 125, err
    assert verdicts(table) == ["untestable", "good"], err
    assert "does not apply" in table["cells"][0]["text"]


def test_resuming_runs_what_has_no_verdict(project: Matrix) -> None:
    code, table, err = project.matrix("--only", "1")
    assert code == 128, err
    assert verdicts(table) == ["good", None, None, None]
    code, table, err = project.result(
        project.start("--resume", str(project.out), "--only", "*same*", "--json")
    )
    assert code == 128, err
    assert verdicts(table) == ["good", None, "good", None]
    code, table, err = project.result(project.start("--resume", str(project.out), "--json"))
    assert code == 0, err
    assert verdicts(table) == ["good"] * 4
    folders = sorted(path.name for path in project.out.iterdir() if path.is_dir())
    assert folders == sorted(cell["folder"] for cell in table["cells"])


@pytest.mark.parametrize("on", [(), ("--on", "local:2")], ids=["here", "workers"])
@pytest.mark.parametrize("end_by", [signal.SIGINT, signal.SIGKILL])
def test_what_has_ended_is_kept(
    project: Matrix, on: tuple[str, ...], end_by: signal.Signals
) -> None:
    (project.path / "nightly.toml").write_text(
        'series = ["no series"]\nkernels = ["v7.2.13"]\n'
        'suites = ["suite/test_it.py::test_same", "suite/test_it.py::test_waits"]\n'
    )
    words = ("nightly.toml", "--tree", str(project.tree), "--accel", "tcg", "--guests", "1")
    process = project.start(*words, *on, "--out", str(project.out), WAIT="36000")
    end = time.monotonic() + PATIENCE
    waiting = project.out / "2-test_it.py-test_waits" / "base" / "tests.jsonl"

    def begun() -> bool:
        stored = project.out / "matrix.json"
        ended = stored.exists() and json.loads(stored.read_text())["cells"][0]["code"] == 0
        return ended and waiting.exists() and '"started"' in waiting.read_text()

    while not begun():
        assert time.monotonic() < end
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(end_by)
    _, err = process.communicate(timeout=PATIENCE)
    if end_by is signal.SIGINT:
        assert process.returncode == 130, err
        assert "1 of 2 cells have a verdict" in err
    code, table, err = project.result(project.start("--resume", str(project.out), "--json"))
    assert code == 0, err
    assert verdicts(table) == ["good", "good"]
    assert table["cells"][1]["folder"] == "2-test_it.py-test_waits.2"


def test_cells_on_workers_are_those_of_this_machine(project: Matrix) -> None:
    code, table, err = project.matrix("--on", "local:2", BREAK="1")
    assert code == 1, err
    assert verdicts(table) == ["good", "bad", "good", "good"], err
    assert {"(local-1)", "(local-2)"} <= set(err.replace("\n", " ").split(" "))
    for cell in table["cells"]:
        run = json.loads((project.out / cell["folder"] / "run.json").read_text())
        assert run["verdict"] == cell["verdict"]
        assert "--on" not in run["command"]


@pytest.mark.parametrize(
    ("series", "what"),
    [
        ("patches/absent", "cell 2-absent: "),
        ("demo", "cells 1-demo and 2-demo are the same"),  # by its name below patches/
    ],
)
def test_a_wrong_matrix_is_refused_at_once(project: Matrix, series: str, what: str) -> None:
    (project.path / "nightly.toml").write_text(f'series = ["patches/demo", "{series}"]\n')
    code, table, _ = project.matrix()
    assert code == 129
    assert what in table["error"]["what"]
    assert not project.out.exists()
