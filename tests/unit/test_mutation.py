# SPDX-License-Identifier: GPL-2.0-only
"""A mutation: which tests run for a mutant, what kills it, the score, the budget, resuming."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HostFault
from harness.lab.kernels import Lab
from harness.lab.plan import BOOTS
from harness.model import (
    Accel,
    ChangedFile,
    ChangedLine,
    Checkout,
    Coverage,
    FileCoverage,
    FunctionCount,
    Kernel,
    Killer,
    LineCount,
    LineState,
    Mutant,
    MutantResult,
    MutantState,
    MutantTrial,
    Mutation,
    Outcome,
    Patch,
    Plan,
    Request,
    Series,
    SeriesLines,
    Side,
    Source,
    Splat,
    Test,
    Toolchain,
    Trial,
    Verdict,
)
from harness.mutate import engine, mutants, report, trials
from harness.mutate.prepare import MutationPlan, Prepared
from harness.mutate.switched import Switch
from harness.mutate.trials import Chosen, Reach, TestChooser, noticed
from harness.mutate.workshop import MutantBuild
from harness.progress import Progress
from harness.publish.html import page as html_page
from harness.results import store

KERNEL = Kernel("k", Path("/k"), Path("/k/image"), Path("/k/config"), "7.2", "c", "x86_64")
TESTS = ("t.py::a", "t.py::b", "t.py::c", "t.py::bad")
COVERAGE = Coverage(
    tests=TESTS,
    files=(
        FileCoverage(
            "a.c",
            (
                LineCount(10, 19, tests=((0, 1), (1, 5), (3, 1))),
                LineCount(20, 29, tests=((3, 1),)),
                LineCount(30, 39, boot=2),
                LineCount(40, 49),
            ),
            (
                FunctionCount("f", 10, 29, tests=((0, 1), (1, 1), (3, 1))),
                FunctionCount("g", 50, 59, boot=True),
            ),
        ),
    ),
)


def mutant(line: int, kind: str = "condition", patch: int = 1, function: str = "f") -> Mutant:
    diff = "--- a/a.c\n+++ b/a.c\n@@ -1 +1 @@\n-if (x)\n+if (!x)\n"
    place = ("a.c", line, line, kind, patch, function)
    return Mutant(*place, "\tif (x)", "\tif (!x)", diff, line, line + 1, "!x")


def unchanged() -> Trial:
    seconds = {"t.py::a": 2.0, "t.py::b": 1.0, "t.py::c": 0.5}
    good = tuple(Test(name, Outcome.PASS, took) for name, took in seconds.items())
    return Trial(Side.PATCHED, KERNEL, (*good, Test("t.py::bad", Outcome.FAIL)))


def prepared(folder: Path, **plan: Any) -> Prepared:
    patches = tuple(Patch(n, f"part {n}", "A", folder / f"{n}.patch") for n in (1, 2))
    series = Series("mine", folder, patches, "digest", title="my series")
    lab = Lab(
        Plan(series=series, **plan),
        Request(()),
        Toolchain("x86_64", "gcc", "12"),
        Accel.TCG,
        Progress(quiet=True),
    )
    tip = Checkout(folder, "tip", "tree", (("c1", "part 1"), ("c2", "part 2")))
    lines = SeriesLines((ChangedFile("a.c", (ChangedLine(10, LineState.COMPILED),)),))
    source = Source(folder, "base", "v7.2")
    base = Checkout(folder, "base", "tree")
    return Prepared(lab, source, base, tip, KERNEL, folder, lines, unchanged(), COVERAGE)


@pytest.mark.parametrize(
    ("line", "function", "reach", "tests"),
    [
        (12, "f", Reach.EXECUTED, ("t.py::b", "t.py::a")),  # the shortest first
        (22, "f", Reach.NOWHERE, ()),  # only by a test that fails without a mutant as well
        (32, "f", Reach.BOOT, ("t.py::b", "t.py::a")),
        (42, "f", Reach.NOWHERE, ()),
        (55, "g", Reach.BOOT, ("t.py::b", "t.py::a")),
        (99, "", Reach.DATA, ("t.py::b", "t.py::a")),
    ],
)
def test_the_tests_of_a_mutant(
    line: int, function: str, reach: Reach, tests: tuple[str, ...], tmp_path: Path
) -> None:
    chosen = TestChooser(prepared(tmp_path)).choose(mutant(line, function=function))
    assert chosen == Chosen(reach, tests)


def test_tests_that_killed_others_run_first(tmp_path: Path) -> None:
    chooser = TestChooser(prepared(tmp_path))
    chooser.killed(mutant(32), "t.py::a")
    assert chooser.choose(mutant(12)).tests == ("t.py::a", "t.py::b")
    # Those that killed others in the same function come before those of the same file.
    chooser.killed(mutant(55, function="g"), "t.py::b")
    chooser.killed(mutant(55, function="g"), "t.py::b")
    assert chooser.choose(mutant(12)).tests == ("t.py::a", "t.py::b")
    assert chooser.choose(mutant(55, function="g")).tests == ("t.py::b", "t.py::a")


def test_each_way_through_a_file_is_tried_before_one_is_tried_twice(tmp_path: Path) -> None:
    lines = (
        LineCount(10, 10, tests=((0, 1), (1, 1), (2, 1))),
        LineCount(11, 11, tests=((1, 1), (2, 9))),
    )
    ready = dataclasses.replace(
        prepared(tmp_path), coverage=Coverage("", TESTS, (FileCoverage("a.c", lines),))
    )
    assert TestChooser(ready).choose(mutant(10)).tests == ("t.py::c", "t.py::a", "t.py::b")


@pytest.mark.parametrize(
    ("seconds", "tests", "left_out"),
    [
        (0.0, ("t.py::b", "t.py::a"), ()),
        (3.0, ("t.py::b", "t.py::a"), ()),
        (2.5, ("t.py::b",), ("t.py::a",)),
        (0.1, ("t.py::b",), ("t.py::a",)),  # one test always runs
    ],
)
def test_a_mutant_gets_the_tests_that_fit_its_seconds(
    seconds: float, tests: tuple[str, ...], left_out: tuple[str, ...], tmp_path: Path
) -> None:
    chosen = TestChooser(prepared(tmp_path), seconds).choose(mutant(12))
    assert chosen == Chosen(Reach.EXECUTED, tests, left_out)


def test_a_test_is_ended_by_how_long_it_took_without_the_mutant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[Plan] = []

    def run(lab: Lab, *_: object, **__: object) -> Trial:
        plans.append(lab.plan)
        return _trial()

    monkeypatch.setattr("harness.lab.trial.run", run)
    ready = prepared(tmp_path)
    slow = dataclasses.replace(unchanged(), tests=(Test("t.py::a", Outcome.PASS, 20.0),))
    ready = dataclasses.replace(ready, unchanged=slow)
    wanted = MutantTrial("001", mutant(5), (("t.py::a", 20.0), ("t.py::b", 0.0)))
    trials.attempt(ready, wanted, MutantBuild(KERNEL, switch=SWITCH), tmp_path)
    words = plans[0].pytest_args
    file = Path(words[words.index("--deadlines") + 1])
    assert json.loads(file.read_text()) == {"t.py::a": 100.0, "t.py::b": 30.0}


SWITCH = Switch("harness_mutant_1", 7)


@pytest.mark.parametrize("at_boot", [False, True])
def test_a_kernel_with_many_mutants_is_told_which_one_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_boot: bool
) -> None:
    plans: list[Plan] = []

    def run(lab: Lab, *_: object, **__: object) -> Trial:
        plans.append(lab.plan)
        return _trial(Test("t.py::a", Outcome.PASS))

    monkeypatch.setattr("harness.lab.trial.run", run)
    wanted = MutantTrial("001", mutant(5), (("t.py::a", 1.0),), at_boot=at_boot)
    build = MutantBuild(KERNEL, switch=SWITCH)
    result = trials.attempt(prepared(tmp_path), wanted, build, tmp_path, set())
    assert (result.state, result.ran) == (MutantState.SURVIVED, 1)
    (plan,) = plans
    told = ("--guest-write", "/sys/module/kernel/parameters/harness_mutant_1=7")
    assert plan.pytest_args[-2:] == (("--guest-append", "harness_mutant_1=7") if at_boot else told)
    assert plan.no_snapshot == at_boot  # a copy of a saved guest has booted already


@pytest.mark.parametrize("good", [False, True])
def test_a_test_that_notices_a_mutant_must_pass_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: bool
) -> None:
    plans: list[Plan] = []

    def run(lab: Lab, *_: object, **__: object) -> Trial:
        plans.append(lab.plan)
        chosen = "--guest-write" in lab.plan.pytest_args
        outcome = Outcome.FAIL if chosen or not good else Outcome.PASS
        return _trial(Test("t.py::a", outcome))

    monkeypatch.setattr("harness.lab.trial.run", run)
    wanted = MutantTrial("001", mutant(5), (("t.py::a", 1.0),))
    build, proven = MutantBuild(KERNEL, switch=SWITCH), set[str]()
    ready = prepared(tmp_path)
    result = trials.attempt(ready, wanted, build, tmp_path, proven)
    assert result.state is (MutantState.KILLED if good else MutantState.UNDECIDED)
    assert "though none is chosen" in result.message or good
    assert len(plans) == 2
    if good:  # it is asked once
        assert trials.attempt(ready, wanted, build, tmp_path, proven).state is MutantState.KILLED
        assert len(plans) == 3


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.PASS, None])
def test_what_was_interrupted_says_nothing_and_runs_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome | None
) -> None:
    ran: list[Plan] = []

    def run(lab: Lab, *_: object, **__: object) -> Trial:
        ran.append(lab.plan)
        if outcome is None:
            raise HostFault("pytest was interrupted")
        return _trial(Test("t.py::a", outcome))

    monkeypatch.setattr("harness.lab.trial.run", run)
    wanted = MutantTrial("001", mutant(5), (("t.py::a", 1.0),))
    build, ready = MutantBuild(KERNEL, switch=SWITCH), prepared(tmp_path)
    result = trials.attempt(ready, wanted, build, tmp_path, set(), stop=lambda: bool(ran))
    assert result.state is MutantState.UNDECIDED
    assert len(ran) == 1


def test_data_of_a_file_that_no_test_executes_needs_a_boot(tmp_path: Path) -> None:
    other = dataclasses.replace(mutant(5, function=""), file="b.c")
    assert TestChooser(prepared(tmp_path)).choose(other) == Chosen(Reach.DATA, (str(BOOTS),))


def test_a_line_executed_at_boot_has_the_tests_that_call_something_of_its_file(
    tmp_path: Path,
) -> None:
    """Even if they execute no line that the series adds, as a test that mounts once more."""
    file = FileCoverage(
        "a.c",
        (LineCount(30, 39, boot=2),),
        (FunctionCount("f", 30, 39, boot=2), FunctionCount("get", 40, 49, tests=((1, 3),))),
    )
    ready = dataclasses.replace(prepared(tmp_path), coverage=Coverage(tests=TESTS, files=(file,)))
    chosen = TestChooser(ready).choose(mutant(32))
    assert chosen == Chosen(Reach.BOOT, (TESTS[1],))


def _trial(*tests: Test, error: str = "") -> Trial:
    return Trial(Side.PATCHED, KERNEL, tests, error=error)


SPLAT = Splat("oops", "BUG: kernel NULL pointer dereference")


@pytest.mark.parametrize(
    ("trial", "killer", "test"),
    [
        (_trial(error="did not boot (panic): BUG"), Killer.BOOT, ""),
        (_trial(Test("a", Outcome.FAIL, message="E  assert 0")), Killer.ASSERTION, "a"),
        (_trial(Test("a", Outcome.TIMEOUT, message="late")), Killer.HANG, "a"),
        (_trial(Test("a", Outcome.CRASH, message="panic")), Killer.CRASH, "a"),
        (_trial(Test("a", Outcome.ERROR, splats=(SPLAT,))), Killer.SPLAT, "a"),
        (_trial(Test("a", Outcome.ERROR, message="the test leaked:\n mount")), Killer.LEAK, "a"),
        (_trial(Test("a", Outcome.PASS), Test("b", Outcome.FAIL)), Killer.ASSERTION, "b"),
        (
            _trial(Test("a", Outcome.FAIL, began=2.0), Test("b", Outcome.CRASH, began=1.0)),
            *(Killer.CRASH, "b"),
        ),
    ],
)
def test_what_notices_a_mutant(trial: Trial, killer: Killer, test: str) -> None:
    found = noticed(trial)
    assert found is not None
    assert (found.killer, found.test) == (killer, test)


def test_passing_tests_notice_nothing() -> None:
    skipped = Test("b", Outcome.SKIP)
    left = Test("c", Outcome.NOTRUN)
    assert noticed(_trial(Test("a", Outcome.PASS), skipped, left)) is None


class FakeWorkshop:
    """Builds nothing: every tenth line has the same code, line 13 does not compile."""

    def __init__(self, given: Prepared, place: Path) -> None:
        self.place = place
        self.began: list[int] = []

    def begin(
        self, mutant: Mutant, name: str, *, link: bool
    ) -> concurrent.futures.Future[MutantBuild]:
        self.began.append(mutant.line)
        future: concurrent.futures.Future[MutantBuild] = concurrent.futures.Future()
        state = {10: MutantState.SAME_CODE, 13: MutantState.NOT_COMPILED}.get(mutant.line)
        state = state or (None if link else MutantState.NOT_EXECUTED)
        kernel = None if state else dataclasses.replace(KERNEL, folder=self.place / name)
        future.set_result(MutantBuild(kernel, state))
        return future

    def build_together(self, found: Iterable[Mutant]) -> int:
        return 0

    def close(self) -> None:
        pass


MUTANTS = tuple(mutant(line, patch=1 + line % 2) for line in (10, 11, 12, 13, 14, 42))


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., engine.Session]:
    """Return a function that makes a session whose tests notice mutants in even lines."""

    def run(*arguments: Any) -> Trial:
        *_, tests, folder = arguments
        line = int(folder.name.split("-")[2])
        bad = Test(tests[0], Outcome.FAIL, message="E   assert 1 == 2")
        return _trial(bad if line % 2 == 0 else Test(tests[0], Outcome.PASS))

    monkeypatch.setattr(engine, "Workshop", FakeWorkshop)
    monkeypatch.setattr(mutants, "of_series", lambda *_: MUTANTS)
    monkeypatch.setattr(trials, "run", run)

    def make(earlier: Mutation | None = None, **plan: Any) -> engine.Session:
        ready = prepared(tmp_path)
        wanted = MutationPlan(ready.lab.plan, **plan)
        return engine.Session(wanted, ready, tmp_path, Progress(quiet=True), earlier)

    return make


def test_a_session_tries_every_mutant(session: Callable[..., engine.Session]) -> None:
    made = session()
    made.run()
    states = {result.mutant.line: result.state for result in made.mutation().results}
    assert states == {
        10: MutantState.SAME_CODE,
        11: MutantState.SURVIVED,
        12: MutantState.KILLED,
        13: MutantState.NOT_COMPILED,
        14: MutantState.KILLED,
        42: MutantState.NOT_EXECUTED,
    }
    assert made.mutation().score.percent == 50
    assert made.mutation().verdict is Verdict.MEASURED
    assert store.load_mutation(made.folder).results == made.mutation().results


@pytest.mark.parametrize(
    ("wanted", "verdict"), [(0.0, Verdict.MEASURED), (50.0, Verdict.GOOD), (51.0, Verdict.BAD)]
)
def test_the_score_that_is_asked_for(
    wanted: float, verdict: Verdict, session: Callable[..., engine.Session]
) -> None:
    made = session(at_least=wanted)
    made.run()
    assert made.mutation().verdict is verdict
    assert verdict.exit_code == (1 if verdict is Verdict.BAD else 0)


def test_a_session_goes_on_where_it_was_stopped(session: Callable[..., engine.Session]) -> None:
    first = session(most=2)
    first.run()
    assert len(first.mutation().results) == 2
    second = session(store.load_mutation(first.folder))
    second.run()
    lines = [result.mutant.line for result in second.mutation().results]
    assert sorted(lines) == [10, 11, 12, 13, 14, 42]
    assert second.results[:2] == first.results


def test_the_time_is_over(session: Callable[..., engine.Session]) -> None:
    made = session(minutes=1e-9)
    made.run()
    assert not made.mutation().results
    assert "minutes were over" in made.mutation().stopped
    assert made.mutation().verdict is Verdict.UNTESTABLE


def test_a_fault_of_the_machine_decides_nothing(
    session: Callable[..., engine.Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: object) -> Trial:
        raise HostFault("the disk is full")

    made = session()
    monkeypatch.setattr(trials, "run", fault)
    made.run()
    undecided = made.mutation().of(MutantState.UNDECIDED)
    assert {result.mutant.line for result in undecided} == {11, 12, 14}
    assert {result.message for result in undecided} == {"the disk is full"}
    again = session(store.load_mutation(made.folder))
    assert len(again.results) == 3  # those are tried again


def test_only_those_that_were_not_killed_again(session: Callable[..., engine.Session]) -> None:
    first = session()
    first.run()
    again = session(again=first.folder)
    assert {mutant.line for mutant in again.order} == {11, 42}


def mutation(folder: Path) -> Mutation:
    killed = MutantResult(
        mutant(12), MutantState.KILLED, Killer.LEAK, TESTS[0], "the test leaked: x", TESTS[:2], 1
    )
    survived = MutantResult(mutant(11, "release", 2), MutantState.SURVIVED, executed_by=TESTS)
    unseen = MutantResult(mutant(42), MutantState.NOT_EXECUTED)
    results = (killed, survived, unseen, MutantResult(mutant(10), MutantState.SAME_CODE))
    patches = (("c1", "part 1"), ("c2", "part 2"), ("c3", "no code"))
    return Mutation("my series", "v7.2", folder, patches, 9, results=results, stopped="enough")


def test_the_text_has_scores_and_survivors(tmp_path: Path) -> None:
    text = report.text(mutation(tmp_path))
    assert "33 %: 1 of 3 mutants killed, 1 survived, 1 in lines that no test executes" in text
    assert "survived a.c:11 in f(), patch 2: release" in text
    assert "+if (!x)" in text
    assert "executed by 4 tests: t.py::a, t.py::b, t.py::c and 1 more" in text
    assert "0 of them ran" in text
    assert "noticed by: leak 1" in text
    assert "not counted: 1 with the same code" in text
    assert "5 mutants not tried: enough" in text
    assert [score.percent for _, _, score in mutation(tmp_path).by_patch] == [50, 0, None]


def test_the_page_shows_mutants_at_their_lines(tmp_path: Path) -> None:
    made = mutation(tmp_path)
    store.save_mutation(tmp_path, made)
    (tmp_path / "series").mkdir()
    for number in range(1, 4):
        diff = "--- a/a.c\n+++ b/a.c\n@@ -10,1 +10,3 @@\n x\n+\tif (x)\n+\tif (x)\n"
        mail = f"From: A <a@b>\nSubject: part {number}\n\ntext\n---\n{diff}"
        (tmp_path / f"series/000{number}.patch").write_text(mail)
    page = html_page(tmp_path)
    remarks = [remark for patch in page.patches for remark in patch.remarks]
    assert {(remark.level, remark.line) for remark in remarks} >= {("note", 12), ("error", 11)}
    assert page.word == "MEASURED"
