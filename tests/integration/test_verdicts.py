# SPDX-License-Identifier: GPL-2.0-only
"""One verdict about the series, and one word for it in every output."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from fakeproject import Patched

from harness.model import Verdict
from harness.publish import html as report
from harness.publish import markdown, reply, tap
from harness.results import store

SUITE = """
import os, pathlib

PATCHED = b"fixed by the series" in pathlib.Path(os.environ["FAKE_IMAGE"]).read_bytes()
HERE = pathlib.Path(os.environ["FAKE_STATE"])

def say(text):
    with open(os.environ["FAKE_KMSG"], "a") as log:
        log.write(text + "\\n")

def test_same():
    pass

def test_fixed():
    assert PATCHED

def test_old():
    assert False

def test_once():
    first = HERE / "first"
    if PATCHED and not first.exists():
        first.touch()
        assert False

def test_broken():
    assert not PATCHED or "BREAK" not in os.environ

def test_worse():
    if PATCHED and "SPLAT" in os.environ:
        say("[    5.0] WARNING: fs/configfs/dir.c:1 at configfs_rmdir+0x1/0x2")
    assert False
"""
OLD = ("test_old", "test_worse")


class Judged(Patched):
    """A project whose tests fail on both kernels, on one, now and then."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, SUITE)

    def said(self, *words: str | Path) -> str:
        """Give what a command of the harness prints."""
        return self.harness(*words).stdout


@pytest.fixture
def project(tmp_path: Path) -> Judged:
    return Judged(tmp_path)


def kinds(table: dict[str, Any]) -> dict[str, str]:
    return {one["test"].rpartition("::")[2]: one["kind"] for one in table["changes"]}


def agree(project: Judged, verdict: Verdict, code: int) -> None:
    """Hold every output of the run against its verdict."""
    assert code == verdict.exit_code
    run = store.load_run(project.out)
    assert run.verdict is verdict
    assert json.loads((project.out / store.RUN).read_text())["verdict"] == verdict
    assert verdict.upper() in project.said("show", project.out)
    assert report.page(project.out).word == verdict.upper()
    assert markdown.of_run(run).splitlines()[0].split(": ")[0].endswith(verdict.upper())
    assert run.verdict in json.loads(project.said("runs", "--json"))["runs"][0]["verdict"]
    good = verdict is Verdict.GOOD
    suites = ET.parse(project.out / "junit.xml").getroot().findall("testsuite")
    wrong = sum(int(one.get("failures", 0)) + int(one.get("errors", 0)) for one in suites)
    assert (wrong == 0) is good
    for form in (tap.tap(run), tap.ktap(run)):
        points = [line for line in form.splitlines() if line.strip().startswith(("ok", "not ok"))]
        assert (
            all(one.strip().startswith("ok") or f" # {tap.EXPECTED}" in one for one in points)
            is good
        )
    words = reply.compose(run, lambda: ((), ()), reply.person("J D <j@example.org>")).decode()
    assert "Tested-by" not in words  # each of these runs has a flaky test, or is bad


def test_what_fails_without_the_series_too_is_no_fault_of_it(project: Judged) -> None:
    code, table, err = project.run()
    assert code == 0, err
    # The one that failed by accident was run again, and the base need not be asked.
    assert kinds(table) == {"test_fixed": "fix", "test_once": "flaky"}
    (once,) = [one for one in table["changes"] if one["kind"] == "flaky"]
    assert once["again"] == [[], ["pass"]]
    agree(project, Verdict.GOOD, code)
    said = project.said("show", project.out)
    assert "2 also failing without the series:" in said
    assert "1 flaky:" in said
    assert "(rerun: pass)" in said
    page = project.said("report", project.out, "--output", "-")
    assert "2 are also failing without the series; 1 is flaky" in page


def test_strict_counts_them(project: Judged) -> None:
    code, _, err = project.run("--strict")
    assert code == 1, err
    agree(project, Verdict.BAD, code)


def test_what_is_broken_was_run_again_on_both_kernels(project: Judged) -> None:
    code, table, err = project.run(BREAK="1")
    assert kinds(table)["test_broken"] == "regression", err
    (broken,) = [one for one in table["changes"] if one["kind"] == "regression"]
    assert broken["again"] == [["pass", "pass"], ["fail", "fail"]]
    assert list((project.out / "rerun" / "patched").rglob("pytest.log"))
    agree(project, Verdict.BAD, code)


def test_without_a_rerun_a_suspicion_is_bad(project: Judged) -> None:
    code, table, err = project.run("--rerun", "0", BREAK="1")
    assert kinds(table)["test_broken"] == "suspect", err
    assert not (project.out / "rerun").exists()
    agree(project, Verdict.BAD, code)
    assert "(not rerun)" in project.said("show", project.out)


def test_a_new_splat_is_bad_though_its_test_failed_before(project: Judged) -> None:
    code, table, err = project.run(SPLAT="1")
    assert [one["title"] for one in table["splats"]] == ["WARNING in configfs_rmdir"], err
    agree(project, Verdict.BAD, code)


def test_without_a_base_every_failure_is_bad(project: Judged) -> None:
    code, table, err = project.run("--patched-only")
    assert (code, table["changes"]) == (1, []), err
    agree(project, Verdict.BAD, code)


IMPORTS = """
import os, pathlib

PATCHED = b"fixed by the series" in pathlib.Path(os.environ["FAKE_IMAGE"]).read_bytes()
if PATCHED:
    raise RuntimeError("it has no such thing any more")

def test_imported():
    pass
"""


def test_a_file_that_cannot_be_imported_with_the_series_is_bad(project: Judged) -> None:
    (project.path / "suite" / "test_imports.py").write_text(IMPORTS)
    code, table, err = project.run()
    assert kinds(table)["test_imported"] == "gone", err
    (file,) = [one for one in table["sides"][1]["tests"] if one["id"] == "suite/test_imports.py"]
    assert (file["outcome"], "no such thing" in file["message"]) == ("error", True)
    agree(project, Verdict.BAD, code)
    said = project.said("show", project.out)
    assert "error    suite/test_imports.py  RuntimeError: it has no such thing any more" in said
    assert "1 test of the base did not exist on the patched kernel" in said
    # Alone it is the whole suite, which the base can import.
    project.out = project.path / "alone"
    code, _, err = project.run("--suite", "suite/test_imports.py")
    assert code == 1, err
    agree(project, Verdict.BAD, code)


def test_what_neither_kernel_ran_is_no_verdict(project: Judged) -> None:
    (project.path / "suite" / "test_it.py").write_text(
        "def test_old():\n    assert False\n\ndef test_more():\n    pass\n"
    )
    code, _, err = project.run("--", "-x")
    assert code == 128, err
    agree(project, Verdict.NONE, code)
    assert "1 of 2 tests was not run." in project.said("show", project.out)


def test_names_of_tests_do_not_depend_on_where_the_kernel_is(project: Judged) -> None:
    """pytest takes the image for a place of tests, and what both have in common for the root."""
    (project.path / "pyproject.toml").unlink()
    code, table, err = project.run(str(project.series), "--suite", str(project.path / "suite"))
    assert code == 0, err
    assert {one["id"].partition("::")[0] for one in table["sides"][1]["tests"]} == {
        "suite/test_it.py"
    }


def test_a_series_that_breaks_the_build_is_bad(tmp_path: Path) -> None:
    project = Judged(tmp_path / "two")
    project.patch("fs/configfs/mount.c", "\nint broken = no_such_word;\n")
    code, table, err = project.run()
    assert (code, table["exit_code"]) == (1, 1), err
    assert "BAD: the series breaks the build" in table["error"]["what"]
    assert "no_such_word" in table["error"]["details"]
    (last, *_) = json.loads(project.said("runs", "--json"))["runs"]
    assert (last["verdict"], last["code"]) == ("bad", 1)
    assert " bad " in project.said("runs")
    # Without a base it is not known whose fault that is.
    code, _, err = project.run("--patched-only")
    assert code == 125, err
