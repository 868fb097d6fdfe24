# SPDX-License-Identifier: GPL-2.0-only
"""bisect.json and state.json: read back as written, and as an older harness wrote them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from harness.bisect.job import PLAN, BisectPlan
from harness.bisect.prober import StateFile
from harness.bisect.signature import TEST, Signature
from harness.errors import UsageError
from harness.model import (
    Bisected,
    BisectMode,
    BisectStep,
    Call,
    Commit,
    Contrast,
    Observation,
    ObservationRecord,
    Option,
    Outcome,
    Patch,
    PatchInteraction,
    Plan,
    Proof,
    SearchStart,
    Series,
    Verdict,
)
from harness.results import store

CULPRIT = Commit("c" * 40, ("b" * 40,), "A <a@example.com>", "2026-01-01", "fs: x", ("fs/x.c",))
STEP = BisectStep(
    "1/2 fs: x", CULPRIT.id, "search", Call.BAD, "x: fail", 1.5, 3, 2, 0.99, Path("/e")
)


def bisected(folder: Path, found: Call = Call.BAD) -> Bisected:
    return Bisected(
        BisectMode.SERIES, "t.py::x is bad", "v7.2", "the base", "2/2 fs: y", 2, folder,
        culprit=CULPRIT,
        remaining=(CULPRIT,),
        options=(Option("DEBUG", "y", "the bad end"),),
        together=PatchInteraction(decisive=(1,), pairs=((1, 2),), needs=((2, (1,)),)),
        steps=(STEP,),
        proofs=(Proof("the culprit", Call.BAD, found), Proof("reverted", Call.GOOD, None, "merge")),
        differences=(Contrast("test", "x: pass", "x: fail"),),
        interval=(0.4, 0.9),
        mail="bisected to ...\n",
    )  # fmt: skip


def test_an_answer_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    answer = bisected(tmp_path)
    table = json.loads(store.save_bisection(tmp_path, answer).read_text())
    assert (table["schema"], table["found"], table["proven"]) == (1, True, True)
    assert (table["verdict"], table["exit_code"]) == ("found", 0)
    assert store.load_bisection(tmp_path) == answer


def test_the_answer_of_an_older_harness_is_read(tmp_path: Path) -> None:
    table = store.bisection_table(bisected(tmp_path, Call.GOOD))
    for name in ("verdict", "test", "rate", "notes", "mail"):
        del table[name]
    (tmp_path / store.BISECTION).write_text(json.dumps(table))
    answer = store.load_bisection(tmp_path)
    assert (answer.verdict, answer.culprit, answer.mail) == (Verdict.UNPROVEN, CULPRIT, "")


def test_a_state_is_resumed(tmp_path: Path) -> None:
    state = StateFile(tmp_path, SearchStart(("harness", "bisect"), "/here"))
    state.pin({"bad": "c0ffee"})
    seen = [Observation(call, folder=tmp_path / "001-x", value=1) for call in (Call.GOOD, Call.BAD)]
    state.add(*(ObservationRecord("x", "search", observation, "digest") for observation in seen))
    table = json.loads((tmp_path / store.SEARCH_STATE).read_text())
    assert table.keys() == {"schema", "begun", "trials"}
    assert table["begun"]["pins"] == [["bad", "c0ffee"]]
    assert table["trials"][1]["observation"]["call"] == "bad"
    resumed = StateFile.load(tmp_path)
    assert (resumed.pins, resumed.trials) == ({"bad": "c0ffee"}, state.trials)
    records = [resumed.unused("x", "search") for _ in range(3)]
    assert [record and record.observation for record in records] == [*seen, None]


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        (None, "holds no state.json", "harness bisect"),
        ("{", "is damaged", "--resume"),
        ('{"schema": 1}', "'begun' is missing", "--resume"),
        ('{"schema": 99}', "format 99", "the harness that wrote it"),
    ],
)
def test_a_state_that_cannot_be_read(
    tmp_path: Path, text: str | None, says: str, hint: str
) -> None:
    if text is not None:
        (tmp_path / store.SEARCH_STATE).write_text(text)
    with pytest.raises(UsageError, match=says) as caught:
        StateFile.load(tmp_path)
    assert hint in (caught.value.hint or "")


def test_a_plan_is_read_back(tmp_path: Path) -> None:
    series = Series("demo", tmp_path, (Patch(1, "one", "A", tmp_path / "1.patch"),), "digest")
    typed = Plan(series_words=("demo",), suites=("tests",))
    plan = BisectPlan(
        dataclasses.replace(typed, typed=typed, series=series, tree=tmp_path),
        BisectMode.HISTORY,
        Signature(TEST, test="a.py::t", outcomes=frozenset({Outcome.TIMEOUT, Outcome.CRASH})),
        goods=("v1", "v2"),
        other=Call.GOOD,
        configs=("", "debug"),
    )
    plan.save(tmp_path)
    assert BisectPlan.load(tmp_path) == plan
    assert json.loads((tmp_path / PLAN).read_text())["signature"]["kind"] == "test"


def test_an_older_bisection_has_no_plan(tmp_path: Path) -> None:
    assert BisectPlan.load(tmp_path) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"signature": {"kind": "none"}}'])
def test_a_damaged_plan_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / PLAN).write_text(text)
    with pytest.raises(UsageError, match=r"plan\.json is damaged") as caught:
        BisectPlan.load(tmp_path)
    assert "--resume" in (caught.value.hint or "")
