# SPDX-License-Identifier: GPL-2.0-only
"""What the outputs say about lines that tests execute, and about those that none does."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from xml.etree import ElementTree

import outputruns
import pytest

from harness.cli import main, run_summary
from harness.model import (
    ChangedFile,
    ChangedLine,
    CheckMatrix,
    Coverage,
    FileCoverage,
    FunctionCount,
    LineCount,
    LineState,
    Run,
    SeriesLines,
)
from harness.publish import code_annotations, junit, lcov, markdown, reply, sentences
from harness.publish.html import check_page, diffs
from harness.results import store

FILE = "fs/configfs/dir.c"
YES = LineState.COMPILED
PLACE = "an error path of f()"
LINES = SeriesLines(
    (
        ChangedFile(
            FILE,
            (
                ChangedLine(1, YES, tests=12, ways=4, untaken=1, patch=1, patch_line=1),
                ChangedLine(2, LineState.NO_CODE, "blank"),
                ChangedLine(3, YES, PLACE, tests=0, patch=2, patch_line=1),
                ChangedLine(4, LineState.NO_CODE, "a comment"),
                ChangedLine(5, YES, PLACE, tests=0),
                ChangedLine(6, YES, "it has no code of its own"),
                ChangedLine(7, YES, "g()", tests=0),
                ChangedLine(8, YES, tests=0, boot=True),
            ),
        ),
    )
)
COUNTED = (
    "the tests execute 1 of 6 compiled lines, 1 more is executed at boot, 1 has no counter, "
    "1 always goes the same way"
)
MISSED = [
    f"never executed: {FILE}:3-5, {PLACE}",
    f"never executed: {FILE}:7, g()",
]
COVERAGE = Coverage(
    "c0ffee",
    ("t.py::a", "t.py::b"),
    (
        FileCoverage(
            FILE,
            (
                LineCount(1, 2, ((0, 2), (1, 3)), boot=1),
                LineCount(5, 5, ((0, 2),), branches=(2, 0)),
                LineCount(7, 7, branches=(0, 0)),
            ),
            (FunctionCount("f", 1, 9, ((0, 2),)), FunctionCount("g", 10, 12)),
        ),
    ),
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return dataclasses.replace(outputruns.good(tmp_path / "run"), lines=LINES)


def test_the_sentence_and_the_parts_that_nothing_executes() -> None:
    assert sentences.executed(LINES) == COUNTED
    assert list(sentences.unexecuted(LINES, 5)) == MISSED
    assert list(sentences.unexecuted(LINES, 1)) == [MISSED[0], "never executed: 1 more part"]


def test_without_counters_nothing_is_said() -> None:
    lines = SeriesLines((ChangedFile(FILE, (ChangedLine(1, YES),)),))
    for given in (None, lines):
        assert sentences.executed(given) == ""
        assert list(sentences.unexecuted(given, 5)) == []


def test_the_terminal_says_it(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run_summary.show(run)
    text = capsys.readouterr().out
    assert COUNTED in text
    assert all(line in text for line in MISSED)


def test_the_mail_and_the_summary_of_a_job_say_it(run: Run) -> None:
    mail = reply.text(run)
    assert "The tests execute 1 of 6 compiled" in mail
    assert f"Lines of the series that no test executes:\n  {FILE}:3-5, {PLACE}" in mail
    assert "The tests execute 1 of 6 compiled" in markdown.of_run(run)


def test_junit_has_properties_of_the_judged_kernel_only(run: Run, tmp_path: Path) -> None:
    suites = ElementTree.parse(junit.write(tmp_path / "junit.xml", run)).getroot()
    found = {
        suite.get("name", "").split()[0]: {
            each.get("name"): each.get("value") for each in suite.iter("property")
        }
        for suite in suites.iter("testsuite")
    }
    patched = found["patched"]
    assert patched["lines.compiled"] == "6"
    assert patched["lines.counted"] == "5"
    assert patched["lines.executed"] == "2"
    assert patched["lines.never_executed"] == f"{FILE}:3-5, {FILE}:7"
    assert "lines.executed" not in found["base"]


def test_annotations_stand_at_the_first_line_of_each_part(run: Run) -> None:
    notes = [note for note in code_annotations.of_run(run) if note.rule == "coverage"]
    assert [(note.level, note.file, note.line) for note in notes] == [
        ("notice", FILE, 3),
        ("notice", FILE, 7),
    ]
    assert f"::notice file={FILE},line=3,title=no test executes" in "\n".join(
        code_annotations.github(notes)
    )
    assert len(json.loads(code_annotations.gitlab(notes))) == 2


def test_a_check_says_it_too() -> None:
    matrix = CheckMatrix("name", "v7.2", (), ("tests",), (), lines=LINES)
    assert [note.line for note in code_annotations.of_check(matrix)] == [3, 7]
    assert any(text.startswith("The tests execute 1 of 6") for text in check_page._lead(matrix, ()))


def test_the_diff_shows_what_executes_each_line(run: Run) -> None:
    counted = diffs.counted_lines(LINES)
    patches = outputruns.series_of(run).patches
    shown = [
        diffs.show(p.number, p.subject, "", p.path, counted=counted.get(p.number, {}))
        for p in patches
    ]
    marks = [
        [(line.executed, line.level) for line in patch.files[0].lines if line.kind == "+"]
        for patch in shown
    ]
    assert marks == [[("12 tests, 3 of 4 ways", "hit")], [("never", "never")]]
    plain = diffs.show(1, "subject", "", patches[0].path)
    assert not plain.files[0].counted


def test_the_report_has_the_diff_with_its_tests(run: Run, tmp_path: Path) -> None:
    folder = store.save_run(run).parent
    assert main(["report", str(folder)]) == 0
    page = (folder / "report.html").read_text()
    assert '<td class="ran hit">12 tests, 3 of 4 ways</td>' in page
    assert '<td class="ran never">never</td>' in page
    assert "The tests execute 1 of 6 compiled lines" in page


TRACE = f"""\
TN:configfs__make_it_better
SF:{FILE}
FN:1,f
FN:10,g
FNDA:2,f
FNDA:0,g
FNF:2
FNH:1
BRDA:5,0,0,2
BRDA:5,0,1,0
BRDA:7,0,0,-
BRDA:7,0,1,-
BRF:4
BRH:1
DA:1,6
DA:2,6
DA:5,2
DA:7,0
LF:4
LH:3
end_of_record
"""


def test_the_tracefile_of_lcov(run: Run, tmp_path: Path) -> None:
    assert lcov.tracefile(COVERAGE, "configfs: make it better") == TRACE
    folder, file = store.save_run(run).parent, tmp_path / "coverage.info"
    (folder / "patched").mkdir()
    store.save_coverage(folder / "patched", COVERAGE)
    assert main(["report", str(folder), "--lcov", str(file)]) == 0
    assert file.read_text() == TRACE


def test_a_run_that_counted_nothing_has_no_tracefile(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = store.save_run(run).parent
    assert main(["report", str(folder), "--lcov", "-"]) == 129
    assert "did not count what its tests execute" in capsys.readouterr().err
