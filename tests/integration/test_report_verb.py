# SPDX-License-Identifier: GPL-2.0-only
"""``harness report`` on folders of runs, checks and bisections, also hostile and damaged ones."""

from __future__ import annotations

import dataclasses
import html.parser
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import fakerun
import pytest
from patience import PATIENCE

from harness.cli import main
from harness.model import Outcome
from harness.publish import html as report
from harness.results import store
from harness.results.journal import Journal, Phase
from harness.results.regression import compared


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))


class Read(html.parser.HTMLParser):
    """The elements, attributes and words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def made(folder: Path, **more: Any) -> Read:
    fakerun.make(folder, **more)
    report.write(report.page(folder), folder / "report.html")
    return Read((folder / "report.html").read_text())


def test_nothing_hostile_becomes_markup(tmp_path: Path) -> None:
    page = made(tmp_path / "run")
    assert page.elements.count("script") == 1
    assert "img" not in page.elements
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not [value for name, value in page.attributes if name == "src"]
    words = "".join(page.words)
    assert words.count("<script>window.stolen") > 5
    assert "{{ 7 * 7 }}" in words
    assert "\x00" not in words
    assert "\u202e" not in words


def test_the_page_fetches_nothing(tmp_path: Path) -> None:
    page = made(tmp_path / "run")
    links = [value or "" for name, value in page.attributes if name in ("href", "src", "srcset")]
    assert links
    assert not [link for link in links if not link.startswith(("#", "data:"))]
    policy = [value or "" for name, value in page.attributes if name == "content"]
    assert any("default-src 'none'" in value for value in policy)


def test_anchors_are_the_same_in_each_report(tmp_path: Path) -> None:
    one, other = made(tmp_path / "a"), made(tmp_path / "b", number=10)
    found = [
        {
            value
            for name, value in page.attributes
            if name == "id" and (value or "").startswith("f-")
        }
        for page in (one, other)
    ]
    assert found[0] == found[1] != set()


def test_a_splat_is_shown_at_the_line_of_its_patch(tmp_path: Path) -> None:
    fakerun.make(tmp_path / "run")
    page = report.page(tmp_path / "run")
    (patch,) = page.patches
    noted = {line.text.strip(): line.remarks for line in patch.files[0].lines if line.remarks}
    assert set(noted) == {"kfree(it);", next(key for key in noted if key.startswith("int unused"))}
    (note,) = noted["kfree(it);"]
    assert note.link == next(one.anchor for one in page.failures if one.test.outcome == "crash")


def test_an_old_run_without_times_still_shows_its_stages(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fakerun.make(folder)
    table = json.loads((folder / "run.json").read_text())
    for name in ("timeline", "about"):
        del table[name]
    for side in table["sides"]:
        for one in side["tests"]:
            del one["began"], one["ended"]
        for one in side["guests"]:
            del one["began"], one["seconds"]
    (folder / "run.json").write_text(json.dumps(table))
    page = report.page(folder)
    assert page.timeline is not None
    assert [lane.name for lane in page.timeline.lanes] == ["host"]


def test_a_folder_that_moved_still_has_its_evidence(tmp_path: Path) -> None:
    fakerun.make(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    page = report.page(tmp_path / "elsewhere")
    crash = next(one for one in page.failures if one.test.outcome == "crash")
    assert "KASAN" in crash.console.head
    assert crash.splats[0].decoded
    assert page.patches[0].files


def test_the_evidence_of_many_failures_has_a_bound(tmp_path: Path) -> None:
    fakerun.make(tmp_path / "run", bad=fakerun.failing(500, 300))
    page = report.page(tmp_path / "run")
    assert len(page.failures) == 400
    assert page.hidden == 102
    assert page.failures[10].message
    assert not page.failures[-1].whole
    assert page.failures[-1].test.headline
    assert report.write(page, tmp_path / "page.html") < 25_000_000


MEASURE = r"""
import re, sys
from pathlib import Path
from harness.publish import html as report
report.write(report.page(Path(sys.argv[1])), Path(sys.argv[2]))
# ru_maxrss would begin with what this process was before exec: a copy of all of pytest.
print(int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def test_a_console_of_a_hundred_megabytes_is_not_held_in_memory(tmp_path: Path) -> None:
    fakerun.make(tmp_path / "run", number=10_000, console_size=100_000_000)
    place = tmp_path / "page.html"
    argv = [sys.executable, "-c", MEASURE, str(tmp_path / "run"), str(place)]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert int(said.stdout) < 250  # MiB: the console alone has 95
    assert place.stat().st_size < 12_000_000


def test_a_check_has_a_page(tmp_path: Path) -> None:
    page = report.page(fakerun.check(tmp_path / "check"))
    assert (page.word, len(page.patches)) == ("BAD", 1)
    assert page.checks is not None
    cells = [page.checks.matrix.cell(1, check) for check in page.checks.matrix.made]
    assert [page.checks.text(cell) for cell in cells] == ["ok", "1"]
    assert page.patches[0].worst == "error"
    report.write(page, tmp_path / "page.html")
    assert Read((tmp_path / "page.html").read_text()).elements.count("script") == 1


def test_a_check_has_a_column_for_each_patch(tmp_path: Path) -> None:
    folder = fakerun.check(tmp_path / "check")
    table = {
        **fakerun.CHECK,
        "rows": [{"number": n, "commit": "", "subject": f"s{n}"} for n in (1, 2, 3)],
    }
    same = {"patch": 2, "check": "tests", "state": "same", "findings": [], "note": ""}
    (folder / "check.json").write_text(
        json.dumps({**table, "cells": [*fakerun.CHECK["cells"], same]})
    )
    for name, outcome in (("base", Outcome.PASS), ("1", Outcome.FAIL), ("3", Outcome.PASS)):
        journal = Journal(folder / name)
        journal.started("t.py::test_a", "guest0")
        journal.reported("t.py::test_a", Phase("call", outcome, 0.1, "E   it is wrong"))
        journal.reported("t.py::test_a", Phase("teardown", Outcome.PASS))
        journal.close()
    page = report.page(folder)
    assert [kernel.label for kernel in page.columns] == ["base", "1/3", "2/3", "3/3"]
    (row,) = page.groups[0].rows
    assert [test.outcome for test in row.cells if test] == ["pass", "fail", "fail", "pass"]
    assert row.change == "other"
    (failure,) = page.failures  # a hole for bisection, shown where it enters
    assert (failure.column, page.links["1/3", row.id]) == ("1/3", failure.anchor)


def test_a_check_can_be_on_the_page_of_a_run(tmp_path: Path) -> None:
    fakerun.make(tmp_path / "run")
    place = fakerun.check(tmp_path / "check")
    journal = Journal(place / "1")
    journal.started("tests/test_demo.py::test_same", "guest0")
    journal.reported("tests/test_demo.py::test_same", Phase("teardown", Outcome.FAIL))
    journal.close()
    page = report.page(tmp_path / "run", check=place)
    assert [kernel.label for kernel in page.columns] == ["base", "1/1", "patched"]
    cells = [[test.outcome if test else "" for test in row.cells] for row in page.groups[0].rows]
    assert cells == [["pass", "fail", "pass"], ["fail", "", "pass"], ["pass", "", "crash"]]
    assert [row.change for row in page.groups[0].rows] == ["other", "fixed", "broken"]
    report.write(page, tmp_path / "page.html")
    assert page.checks is not None
    assert page.word == "BAD"
    assert any("boom" in note.text for note in page.patches[0].remarks)


def test_the_verb_writes_into_the_runs_folder(tmp_path: Path, capsys: Any) -> None:
    fakerun.make(tmp_path / "run")
    assert main(["report", str(tmp_path / "run"), "-q"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "run" / "report.html")
    assert (tmp_path / "run" / "report.html").is_file()


def test_the_verb_finds_a_run_by_its_folders_name(tmp_path: Path, capsys: Any) -> None:
    fakerun.make(tmp_path / "state" / "runs" / "one")
    out = tmp_path / "x.html"
    assert main(["report", "one", "-o", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(out), "bytes": out.stat().st_size}


def test_the_page_is_written_where_asked(tmp_path: Path, capfdbinary: Any) -> None:
    fakerun.make(tmp_path / "run")
    (tmp_path / "here").mkdir()
    assert main(["report", str(tmp_path / "run"), "-q", "-o", str(tmp_path / "here")]) == 0
    out = capfdbinary.readouterr().out
    assert out.decode().strip() == str(tmp_path / "here" / "report.html")
    page = (tmp_path / "here" / "report.html").read_bytes()
    assert main(["report", str(tmp_path / "run"), "-q", "-o", "-"]) == 0
    assert capfdbinary.readouterr().out == page
    os.mkfifo(tmp_path / "pipe")  # as /dev/stdout may be
    with subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE) as reader:
        assert main(["report", str(tmp_path / "run"), "-q", "-o", str(tmp_path / "pipe")]) == 0
        assert reader.communicate()[0] == page
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("word", ["nothing", "last", "./nothing"])
def test_a_missing_run_is_reported(tmp_path: Path, capsys: Any, word: str) -> None:
    assert main(["report", word]) == 129
    assert "no run" in capsys.readouterr().err


def test_a_folder_without_a_run_is_reported(tmp_path: Path, capsys: Any) -> None:
    assert main(["report", str(tmp_path)]) == 129
    assert "run.json" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 1}', '{"schema": 1, "cells": [{}]}'])
def test_a_damaged_check_is_reported(tmp_path: Path, capsys: Any, text: str) -> None:
    (fakerun.check(tmp_path / "check") / "check.json").write_text(text)
    for form in ([], ["--summary", "-"], ["--github"], ["--gitlab", "-"]):
        assert main(["report", str(tmp_path / "check"), *form]) == 129
        assert "damaged" in capsys.readouterr().err


def test_other_forms_are_refused_where_there_is_only_a_page(tmp_path: Path, capsys: Any) -> None:
    journal = Journal(tmp_path / "killed" / "patched")
    journal.collected(["t.py::test_a"])
    journal.close()
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "bisect.json").write_text(json.dumps(BISECTION))
    for name, says in (("killed", "did not finish"), ("found", "a bisection")):
        assert main(["report", str(tmp_path / name), "--mail", "-"]) == 129
        assert says in (err := capsys.readouterr().err)
        assert f"try: harness report {tmp_path / name}" in err
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "compare.json").write_text("{}")
    for more in ([], ["--tap", "-"]):
        assert main(["report", str(tmp_path / "both"), *more]) == 129
        assert f"try: harness show {tmp_path / 'both'}" in capsys.readouterr().err
    assert main(["show", str(tmp_path / "killed")]) == 129
    assert f"try: harness report {tmp_path / 'killed'}" in capsys.readouterr().err


def test_an_unwritable_file_is_reported(tmp_path: Path, capsys: Any) -> None:
    fakerun.make(tmp_path / "run")
    assert main(["report", str(tmp_path / "run"), "-o", str(tmp_path / "no" / "x.html")]) == 128
    assert "-o FILE" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema": 1}', '{"schema": 1, "sides": [{}]}'])
def test_a_damaged_run_is_reported(tmp_path: Path, capsys: Any, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    assert main(["report", str(tmp_path)]) == 129
    assert "run.json" in capsys.readouterr().err


def test_a_killed_run_has_a_page(tmp_path: Path, capsys: Any) -> None:
    journal = Journal(tmp_path / "patched")
    journal.collected(["t.py::test_a", "t.py::test_b"])
    journal.started("t.py::test_a", "guest0")
    journal.close()
    fakerun.console(tmp_path / "patched" / "guests" / "0" / "console.log")
    page = report.page(tmp_path)
    assert page.word == "NO VERDICT"
    assert not page.failures  # the test was under way: that is no crash
    assert [row.judged.outcome for row in page.rows] == ["notrun", "notrun"]
    assert main(["report", str(tmp_path)]) == 0


BISECTION: dict[str, Any] = {
    "schema": 1, "mode": "series", "signature": f"it is bad {fakerun.EVIL}", "source": "v7.2",
    "good": "the base", "bad": "1/1 x", "total": 1, "reverse": False, "patch": 1, "folder": "/x",
    "culprit": {"id": "abc", "author": "me", "subject": fakerun.SUBJECT, "parents": ["abb"],
                "date": "2026-11-28", "files": ["a.c"]},
    "options": [], "remaining": [], "together": None, "notes": [], "commands": ["harness bisect"],
    "proofs": [{"what": "the culprit", "expected": "bad", "found": "bad", "why": fakerun.EVIL}],
    "steps": [{"name": "1/1 x", "call": "bad", "why": "boom", "phase": "search", "failures": 1,
               "runs": 1, "seconds": 2.0, "commit": "abc", "confidence": 1.0}],
    "differences": [{"what": "test", "before": "pass", "after": f"fail {fakerun.EVIL}"}],
    "confidence": 0.99, "built": 1, "booted": 2, "seconds": 9.0, "found": True, "proven": True,
    "mail": "bisected", "exit_code": 0,
}  # fmt: skip


def test_a_bisection_has_a_page(tmp_path: Path) -> None:
    folder = fakerun.check(tmp_path / "bisect")
    (folder / "check.json").unlink()
    (folder / "bisect.json").write_text(json.dumps(BISECTION))
    page = report.page(folder)
    assert page.word == "FOUND"
    assert page.bisection is not None
    assert [proof.holds for proof in page.bisection.proofs] == [True]
    assert [note.text for note in page.patches[0].remarks] == ["the first bad commit"]
    report.write(page, tmp_path / "page.html")
    assert Read((tmp_path / "page.html").read_text()).elements.count("script") == 1


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ("bad", "the culprit is bad, as expected"),
        ("good", "the culprit is good, but should be bad"),
        ("skip", "the culprit should be bad"),
        (None, "the culprit should be bad"),
    ],
)
def test_a_proof_is_shown_with_its_result(tmp_path: Path, found: str | None, says: str) -> None:
    proof = {**BISECTION["proofs"][0], "found": found}
    (tmp_path / "bisect.json").write_text(json.dumps({**BISECTION, "proofs": [proof]}))
    report.write(report.page(tmp_path), tmp_path / "page.html")
    assert f"<b>{says}</b>" in (tmp_path / "page.html").read_text()


def test_a_damaged_bisection_is_reported(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "bisect.json").write_text('{"schema": 1}')
    assert main(["report", str(tmp_path)]) == 129
    assert "bisect.json is damaged" in capsys.readouterr().err


def test_a_kernel_that_does_not_boot_shows_the_end_of_its_console(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fakerun.make(folder)
    table = json.loads((folder / "run.json").read_text())
    table["sides"][1] |= {"tests": [], "error": f"did not boot {fakerun.EVIL}"}
    (folder / "run.json").write_text(json.dumps(table))
    page = report.page(folder)
    ((label, why, console),) = page.not_booted
    assert (page.word, label) == ("BAD", "patched")
    assert why.startswith("did not boot")
    assert "Kernel panic" in console.head
    report.write(page, tmp_path / "page.html")


def test_a_test_that_fails_on_the_base_too_is_marked(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fakerun.make(folder)
    table = json.loads((folder / "run.json").read_text())
    (fixed,) = (t for t in table["sides"][1]["tests"] if t["id"].endswith("test_fixed"))
    fixed["outcome"] = "fail"
    table["changes"] = [c for c in table["changes"] if not c["test"].endswith("test_fixed")]
    (folder / "run.json").write_text(json.dumps(table))
    found = {one.test.id.rpartition("::")[2]: one.change for one in report.page(folder).failures}
    assert (found["test_fixed"], found["test_crash"]) == ("old", "broken")


def test_a_run_stopped_before_any_kernel_has_a_page(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fakerun.make(folder)
    table = json.loads((folder / "run.json").read_text())
    table |= {"sides": [], "changes": [], "interrupted": True}
    (folder / "run.json").write_text(json.dumps(table))
    page = report.page(folder)
    assert (page.word, page.groups, page.failures) == ("NO VERDICT", (), ())
    assert report.write(page, tmp_path / "page.html")


def test_a_run_of_one_kernel_has_a_page(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fakerun.make(folder)
    table = json.loads((folder / "run.json").read_text())
    table |= {"sides": table["sides"][:1], "changes": [], "series": None}
    (folder / "run.json").write_text(json.dumps(table))
    page = report.page(folder)
    assert (page.word, page.title, len(page.columns)) == ("BAD", "v7.2", 1)
    assert [one.test.id for one in page.failures] == ["tests/test_demo.py::test_fixed"]
    assert not [tile for tile in page.tiles if "series" in tile.label]
    report.write(page, tmp_path / "page.html")


def test_open_shows_the_file_in_the_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    fakerun.make(tmp_path / "run")
    shown: list[str] = []

    def opened(place: str) -> bool:
        shown.append(place)
        return True

    monkeypatch.setattr("webbrowser.open", opened)
    assert main(["report", str(tmp_path / "run"), "--open"]) == 0
    assert shown == [(tmp_path / "run" / "report.html").as_uri()]
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    assert main(["report", str(tmp_path / "run"), "--open"]) == 128
    assert "yourself" in capsys.readouterr().err


def test_an_unreadable_history_does_not_prevent_the_report(tmp_path: Path, capsys: Any) -> None:
    fakerun.make(tmp_path / "run")
    (tmp_path / "db").write_text("this is no database, and that is on purpose" * 100)
    assert main(["report", str(tmp_path / "run"), "--db", str(tmp_path / "db")]) == 0
    assert "no history" in capsys.readouterr().err
    assert (tmp_path / "run" / "report.html").is_file()


def test_tests_that_did_not_run_are_not_failures(tmp_path: Path) -> None:
    run = fakerun.make(tmp_path / "run", number=30)
    base, patched = run.sides
    stopped = tuple(
        dataclasses.replace(one, outcome=Outcome.NOTRUN, message="", guest="", began=0.0)
        if "/many/" in one.id
        else one
        for one in patched.tests
    )
    sides = (base, dataclasses.replace(patched, tests=stopped))
    run = compared(dataclasses.replace(run, sides=sides, interrupted=True))
    page = report.page(store.save_run(run).parent)
    tiles = {tile.label: tile.number for tile in page.tiles}
    assert (tiles["failed"], tiles["not run"], tiles["broken by the series"]) == ("2", "30", "2")
    assert page.hidden == 0
    assert [row.id for row in page.broken] == [one.test.id for one in page.failures]
    assert "The series fixes 1 test, breaks 2 tests and adds 1 new splat." in page.lead[0]


def test_a_test_interrupted_by_the_user_is_not_a_crash(tmp_path: Path, capsys: Any) -> None:
    run = fakerun.make(tmp_path / "run")
    base, patched = run.sides
    under_way = dataclasses.replace(
        patched.tests[0], outcome=Outcome.CRASH, message="", attempts=(Outcome.CRASH,)
    )
    sides = (base, dataclasses.replace(patched, tests=(under_way, *patched.tests[1:])))
    run = compared(dataclasses.replace(run, sides=sides, interrupted=True))
    folder = store.save_run(run).parent
    page = report.page(folder)
    assert under_way.id not in [failure.test.id for failure in page.failures]
    assert under_way.id not in [row.id for row in page.broken]
    assert {tile.label: tile.number for tile in page.tiles}["not run"] == "1"
    for words in (["show", str(folder)], ["report", str(folder), "--summary", "-"]):
        assert main(words) == 0
        out = capsys.readouterr().out
        assert "1 crash" in out
        assert "1 notrun" in out
        assert under_way.id not in out
    finished = dataclasses.replace(run, interrupted=False)
    store.save_run(finished)
    assert under_way.id in [one.test.id for one in report.page(folder).failures]
