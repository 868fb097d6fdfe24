# SPDX-License-Identifier: GPL-2.0-only
"""Runs with fake trees and guests are recorded, queried, shown and removed."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rich.console
from fakeproject import Project
from pastruns import CRASH, facts, put, side, story
from patience import PATIENCE

from harness import cli, history, paths
from harness.history import lookup, waiting
from harness.history.run_facts import Ended


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose state and cache this process uses as well."""
    one = Project(tmp_path)
    one.patch("fs/configfs/dir.c", '\nconst char *harness_word = "fixed by the series";\n')
    for name, value in one.environment().items():
        if name.startswith("HARNESS_"):
            monkeypatch.setenv(name, value)
    monkeypatch.delenv("HARNESS_DB", raising=False)
    monkeypatch.chdir(one.path)
    return one


Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    def verb(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return verb


@pytest.fixture
def past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A made-up history."""
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HARNESS_DB", str(tmp_path / "history.db"))
    monkeypatch.chdir(tmp_path)
    story(f"sqlite:///{tmp_path}/history.db")
    return str(tmp_path / "history.db")


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that makes standard output a terminal of this width."""
    real = rich.console.Console

    def wide(columns: int) -> None:
        def console(**words: Any) -> rich.console.Console:
            return real(**words, force_terminal=True, width=columns, color_system=None)

        monkeypatch.setattr(rich.console, "Console", console)

    return wide


def listed(ask: Ask, *words: str) -> list[dict[str, Any]]:
    code, out, err = ask("runs", "--json", *words)
    assert code == 0, err
    runs: list[dict[str, Any]] = json.loads(out)["runs"]
    return runs


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_runs_are_recorded_and_shown(project: Project, ask: Ask) -> None:
    assert project.run()[0] == 0
    first, project.out = project.out, project.path / "again"
    assert project.run(SPLAT="1")[0] == 1
    again, one = listed(ask)
    assert (one["ended"], one["verdict"], one["code"], one["verb"]) == ("done", "good", 0, "run")
    assert (again["verdict"], again["series"], again["version"]) == ("bad", "A demo", 1)
    assert (one["folder"], one["there"]) == (str(first), True)
    assert one["source"].startswith("v7.2.13")
    assert (again["counts"]["pass"], again["counts"]["error"]) == (5, 1)
    assert listed(ask, "--bad") == [again]

    code, out, _ = ask("show", one["id"][:5])
    assert code == 0
    assert f"run {one['id']}" in out
    assert "GOOD A demo on v7.2.13" in out
    assert str(first / "junit.xml") in out
    assert json.loads(ask("show", str(first), "--json")[1])["folder"] == str(first)
    assert "BAD A demo" in ask("show", "last")[1]

    code, out, _ = ask("history", "test_fixed")
    assert code == 0
    assert "3 runs" in out  # the base was tested once
    assert re.search(r"first failed .*base 7.2.13, v7.2.13 .*, commit [0-9a-f]{12}", out), out
    code, out, _ = ask("history", "--kind", "splat", "WARNING", "--json")
    assert json.loads(out)["splat"]["runs"] == 1
    code, out, _ = ask("history", "A demo")
    assert re.search(r"v1 .* 2 .*bad", out), out
    assert re.search(r"error +\S+::test_splat", out), out


def test_an_untestable_run_is_recorded(project: Project, ask: Ask) -> None:
    (project.series / "0002-bad.patch").write_text(
        (next(project.series.glob("0001*"))).read_text().replace("dir.c", "nowhere.c")
    )
    code, _, err = project.run()
    assert code == 125, err
    (one,) = listed(ask)
    assert (one["ended"], one["verdict"], one["code"]) == ("error", "untestable", 125)
    assert "nowhere.c" in one["error"]
    assert one["folder"] == ""
    assert "UNTESTABLE" in ask("show", "last")[1]


def test_a_usage_error_is_not_recorded(project: Project, ask: Ask) -> None:
    assert project.run("--suite", "nowhere")[0] == 129
    assert listed(ask) == []
    assert list(waiting.folder("x").parent.glob("*/*")) == []


def test_the_results_of_a_killed_run_are_kept(project: Project, ask: Ask) -> None:
    running = project.start("--patched-only", WAIT="600")
    journal = project.out / "patched" / "tests.jsonl"
    until(lambda: journal.is_file() and 'test_waits", "guest"' in journal.read_text())
    (one,) = listed(ask)
    assert (one["ended"], one["there"]) == ("running", True)
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    (one,) = listed(ask)
    assert (one["ended"], one["verdict"], one["code"]) == ("killed", "no verdict", None)
    assert one["counts"]["pass"] == 5
    assert one["counts"].get("crash") is None  # the running test did not crash
    assert one["source"].startswith("v7.2.13")
    out = ask("show", "last")[1]
    assert "KILLED A demo on v7.2.13" in out
    assert str(project.out) in out
    found = history.of_test(next(iter(known(ask, "test_same"))))
    assert found is not None
    assert found.seen[0].where.run == one["id"]
    assert known(ask, "test_waits") == []
    assert waiting.running() == ()


def known(ask: Ask, word: str) -> list[str]:
    _, out, _ = ask("history", "--json", "--kind", "test", word)
    table = json.loads(out)
    return [table["test"]["id"]] if "test" in table else []


def said(err: str) -> list[str]:
    return [line for line in err.splitlines() if "history" in line]


def test_a_broken_database_costs_one_line(project: Project, ask: Ask) -> None:
    file = project.path / "mine.db"
    file.write_bytes(b"no database " * 1000)
    code, _, err = project.run("--patched-only", "--db", str(file))
    assert code == 0
    (line,) = said(err)
    assert "not a database" in line
    assert "try: move that file away" in line
    file.unlink()
    (one,) = listed(ask, "--db", str(file))  # it waited
    assert (one["verdict"], one["counts"]["pass"]) == ("good", 6)


def test_a_locked_database_does_not_delay_a_run(
    project: Project, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project.path / "mine.db"
    with monkeypatch.context() as environment:  # HARNESS_DB may name a file that does not exist yet
        environment.setenv("HARNESS_DB", str(file))
        assert ask("runs")[:2] == (0, "no runs yet; `harness run` makes one\n")
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    code, _, err = project.run("--patched-only", HARNESS_DB=str(file))
    holder.close()
    assert code == 0
    (line,) = said(err)
    assert "locked" in line
    assert len(listed(ask, "--db", str(file))) == 1


def test_an_unwritable_state_costs_one_line(project: Project) -> None:
    place = project.path / "state" / "history"
    place.parent.mkdir(parents=True)
    place.write_text("in the way")
    code, _, err = project.run("--patched-only")
    assert code == 0, err
    (line,) = said(err)
    assert "try: " in line


def test_check_and_compare_are_recorded(project: Project, ask: Ask) -> None:
    words = ("--tree", str(project.tree), "--base", "v7.2.13", "--only", "form")
    code, _, err = ask("check", *words, "--out", str(project.path / "checked"))
    assert code in (0, 1), err
    (one,) = listed(ask)
    assert (one["verb"], one["code"], one["series"]) == ("check", code, "A demo")
    assert "A demo" in ask("show", "last")[1]
    project.run()
    sides = [str(project.out / side) for side in ("base", "patched")]
    code, _, err = ask("compare", "--rerun", "0", *sides, "--out", str(project.path / "compared"))
    assert code == 0, err
    one = listed(ask)[0]
    assert (one["verb"], one["verdict"]) == ("compare", "good")
    assert "GOOD" in ask("show", "last")[1]


def test_a_run_without_its_folder_is_still_shown(past: str, ask: Ask) -> None:
    code, out, err = ask("show", "run00003")
    assert code == 0, err
    assert "broken is not well" in out
    assert "BAD [PATCH v1] demo" in out
    assert "evidence none" in out
    table = json.loads(ask("show", "run00003", "--json")[1])
    assert [side["name"] for side in table["sides"]] == ["base", "patched"]


@pytest.mark.parametrize(
    "word",
    ["last", "run00003", "run0", "run00004x", "here", "./here", "ere", "\udcff", "a\0b", "", "%"],
)
def test_the_short_way_to_a_run_finds_the_same(past: str, tmp_path: Path, word: str) -> None:
    folder = tmp_path / "state" / "runs" / "here"
    folder.mkdir(parents=True)
    (tmp_path / "here").symlink_to(folder)
    put(f"sqlite:///{past}", facts(3, folder=tmp_path / "here"))
    put(f"sqlite:///{past}", facts(9, folder=folder), facts(5, folder=Path("/x/there")))
    known = history.named(word)
    found = lookup.past_run(word)
    assert found is None if len(known) != 1 else found is not None and found.id == known[0].id


def test_the_short_way_leaves_odd_cases_alone(past: str, tmp_path: Path) -> None:
    put(f"sqlite:///{past}", facts(9, ended=Ended.RUNNING))
    assert lookup.past_run("last") is None
    assert lookup.past_run("run00004") is not None
    assert lookup.past_run("run00004", str(tmp_path / "other.db")) is None
    assert not (tmp_path / "other.db").exists()
    assert lookup.past_run("run00004", "postgresql://nowhere/x") is None
    (tmp_path / "damaged.db").write_text("no database")
    assert lookup.past_run("run00004", str(tmp_path / "damaged.db")) is None
    record = waiting.begin(f"sqlite:///{past}", facts(10))
    assert lookup.past_run("run0001") is None
    record.close(taken=True)


def test_an_ambiguous_id_lists_the_runs(past: str, ask: Ask) -> None:
    code, _, err = ask("show", "run")
    assert code == 129
    assert all(f"run0000{number}" in err for number in (2, 3, 4))


def test_ambiguous_words_list_the_matches(past: str, ask: Ask) -> None:
    code, out, _ = ask("history", "test_it.py")
    assert code == 0
    assert "3 things" in out
    assert "bad in 2 of 3 runs" in out
    assert len(json.loads(ask("history", "test_it.py", "--json")[1])["matches"]) == 3


@pytest.mark.parametrize("words", [("history", "nothing"), ("show", "nothing"), ("show", "/none")])
def test_an_unknown_name_is_an_error_with_a_hint(past: str, ask: Ask, words: list[str]) -> None:
    code, out, err = ask(*words)
    assert (code, out) == (129, "")
    assert "try: " in err
    assert "exit_code" in ask(*words, "--json")[1]


def test_a_history_of_one_side_can_be_empty(past: str, ask: Ask) -> None:
    code, out, _ = ask("history", "fixed", "--on", "base")
    assert code == 0
    assert "last passed   never" in out
    assert ask("history", "broken", "--on", "base")[0] == 129


@pytest.mark.parametrize(
    "words",
    [
        ("history", "?"),
        ("history", "--kind", "test", "?"),
        ("show", "?"),
        ("show", "/?"),
        ("report", "?"),
        ("runs", "--pin", "?"),
    ],
)
@pytest.mark.parametrize("odd", ["\udcff", "\x1b[31m", "%", "\\", "~nobody-knows-them/x"])
def test_any_character_may_be_searched_for(past: str, ask: Ask, words: list[str], odd: str) -> None:
    code, out, err = ask(*(word.replace("?", odd) for word in words))
    assert (code, out) == (129, ""), err
    assert "try: " in err


def test_no_matching_runs_is_not_the_same_as_no_runs(past: str, ask: Ask, tmp_path: Path) -> None:
    for words in (("--series", "\udcff"), ("--series", "other"), ("--verb", "bisect")):
        assert ask("runs", *words)[:2] == (0, "no matching runs\n")
    assert ask("runs", "--verb", "bisct")[0] == 129


@pytest.mark.parametrize(
    "name", ["hsitory.db", "new\udcff.db", "no/such/folder.db", "x" * 300, "~not-known/x"]
)
@pytest.mark.parametrize(
    "words", [["runs"], ["history", "x"], ["show", "last"], ["report", "last"]]
)
def test_a_misspelt_database_is_not_created(
    past: str, ask: Ask, tmp_path: Path, words: list[str], name: str
) -> None:
    code, out, err = ask(*words, "--db", name)
    assert (code, out) == (129, "")
    assert "there is no history in" in err
    assert "try: the default (without --db) is " in err
    assert "history.db" in err
    assert (
        not list(tmp_path.glob("hsi*")) + list(tmp_path.glob("new*")) + list(tmp_path.glob("no*"))
    )


def test_gc_refuses_a_misspelt_database(past: str, ask: Ask, tmp_path: Path) -> None:
    code, _, err = ask("gc", "--db", str(tmp_path / "hsitory.db"), "--max-size", "0")
    assert code == 129, err
    assert not list(tmp_path.glob("hsitory*"))


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("words", ["runs", "history broken", "history demo"])
def test_a_row_is_a_line_on_a_terminal(
    past: str, ask: Ask, screen: Callable[[int], None], columns: int, words: str
) -> None:
    screen(columns)
    many = [side("patched", f"k{n}", f"long-{n:03}", broken=CRASH) for n in range(5, 15)]
    title = "a series whose title is as long as titles of series in the kernel are"
    for n, one in enumerate(many, 5):
        run = facts(n, one, version=n)
        assert run.series is not None
        named = dataclasses.replace(run, series=dataclasses.replace(run.series, title=title))
        put(f"sqlite:///{past}", named)
    code, out, err = ask(*words.split())
    assert code == 0, err
    lines = out.splitlines()
    assert max(map(len, lines)) <= max(columns, len(max(lines[:8], key=len)))
    rows = [line for line in lines if re.match(r"run000\d\d|v\d+ ", line)]
    assert len(rows) >= 10
    if words == "history demo":
        assert "suite/test_it.py::test" not in out  # names are shown in full
        assert any(line.rstrip().endswith("suite/test_it.py::broken") for line in lines)
        assert ("not shown: " in out) is (columns < 200)
    else:
        assert all(len(line) <= columns for line in rows)


# gc


def test_gc_keeps_what_kept_and_pinned_runs_need(project: Project, ask: Ask) -> None:
    runs = paths.state("runs")
    project.out = runs / "old"
    assert project.run()[0] == 0
    project.patch("fs/configfs/dir.c", '\nconst char *other_word = "fixed by the series";\n')
    project.out = runs / "new"
    assert project.run("--patched-only")[0] == 0
    kernels = {one.name for one in paths.cache("kernels").iterdir() if len(one.name) == 20}
    assert len(kernels) == 3
    new, old = listed(ask)
    assert json.loads(ask("gc", "--json")[1])["goes"] == []
    for folder in (
        runs / "old",
        *paths.cache("kernels").iterdir(),
        *paths.cache("builds").iterdir(),
    ):
        os.utime(folder, (1, 1))

    table = json.loads(ask("gc", "--keep-days", "10", "--dry-run", "--json")[1])
    kinds = [one["kind"] for one in table["goes"]]
    assert (kinds.count("runs"), kinds.count("kernels"), table["removed"]) == (1, 2, [])
    assert "pinned" in ask("runs", "--pin", old["id"])[1]
    table = json.loads(ask("gc", "--keep-days", "10", "--dry-run", "--json")[1])
    assert {one["kind"] for one in table["goes"]} == {"builds"}
    ask("runs", "--unpin", old["id"])

    with paths.in_use():  # another process uses the cache
        code, _, err = ask("gc", "--keep-days", "10")
    assert code == 0
    assert "a run is using the cache" in err
    assert not (runs / "old").exists()
    code, out, err = ask("gc", "--keep-days", "10")
    assert (code, "freed" in out) == (0, True), err
    left = {one.name for one in paths.cache("kernels").iterdir() if len(one.name) == 20}
    assert len(left) == 1
    assert left <= kernels
    assert [one["there"] for one in listed(ask)] == [True, False]
    assert ask("show", old["id"])[0] == 0  # its results stay in the history
    assert json.loads(ask("gc", "--max-size", "0", "--json")[1])["over"] == 0
    assert not (runs / "new").exists()
    assert new["id"] != old["id"]


def test_gc_does_not_touch_a_running_run(project: Project, ask: Ask) -> None:
    project.out = place = paths.state("runs") / "mine"
    running = project.start("--patched-only", WAIT="600")
    journal = place / "patched" / "tests.jsonl"
    until(lambda: journal.is_file() and 'test_waits", "guest"' in journal.read_text())
    os.utime(place, (1, 1))
    table = json.loads(ask("gc", "--max-size", "0", "--json")[1])
    assert {one["path"]: one["why"] for one in table["stays"]}[str(place)] == "in use by a run"
    assert (place / "patched" / "tests.jsonl").exists()
    running.send_signal(signal.SIGINT)
    running.communicate()
    (one,) = listed(ask)
    assert (one["ended"], one["code"], one["counts"]["pass"]) == ("interrupted", 130, 5)


@pytest.mark.parametrize(
    "words", [("--keep-days", "-1"), ("--keep-days", "nan"), ("--max-size", "lots")]
)
def test_invalid_limits_are_refused(past: str, ask: Ask, words: list[str]) -> None:
    assert ask("gc", *words)[0] == 129


def test_gc_removes_nothing_without_knowing_the_pinned_runs(
    past: str, ask: Ask, tmp_path: Path
) -> None:
    (paths.state("runs") / "old").mkdir()
    Path(past).write_bytes(b"broken " * 1000)
    code, _, err = ask("gc", "--max-size", "0")
    assert code == 128, err
    assert (paths.state("runs") / "old").is_dir()


def test_gc_keeps_files_that_are_not_runs(past: str, ask: Ask) -> None:
    runs = paths.state("runs")
    mine, note = runs / "thesis", runs / "notes.txt"
    mine.mkdir()
    (mine / "chapter").write_text("years of work")
    note.write_text("do not forget")
    ours = runs / "20260101-000000-demo"
    ours.mkdir()
    left = runs / ".removed.77.20260101-000000-demo"
    left.mkdir()
    for one in (mine, note, ours, left):
        os.utime(one, (1, 1))
    for words in (("--keep-days", "1"), ("--max-size", "0")):
        code, out, err = ask("gc", *words)
        assert code == 0, err
        assert "not a run folder" in out
    assert sorted(runs.iterdir()) == [note, mine]
