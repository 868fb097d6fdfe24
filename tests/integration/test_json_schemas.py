# SPDX-License-Identifier: GPL-2.0-only
"""What verbs print with --json is what their schemas in docs/reference say."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakerun
import jsonschema
import pytest
from pastruns import CRASH, FAIL, NOTRUN, PASS, facts, put, side, story

from harness.cli import main
from harness.model import (
    Bisected,
    BisectMode,
    Cell,
    CellState,
    CheckMatrix,
    Finding,
    Killer,
    MatrixCell,
    Mutant,
    MutantResult,
    MutantState,
    Mutation,
    PatchRow,
    Plan,
    RunMatrix,
    Severity,
)
from harness.results import store

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"

Ask = Callable[..., Any]


def valid(verb: str, value: object) -> None:
    schema = json.loads((REFERENCE / f"{verb}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(value)


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Ask:
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HARNESS_DB", str(tmp_path / "history.db"))
    monkeypatch.chdir(tmp_path)
    story(f"sqlite:///{tmp_path}/history.db")

    def verb(*words: str) -> Any:
        capsys.readouterr()
        assert main([*words, "--json"]) in (0, 1)
        return json.loads(capsys.readouterr().out)

    return verb


def test_the_history(ask: Ask) -> None:
    valid("runs", ask("runs"))
    valid("runs", ask("runs", "--pin", "run00003"))
    for words, key in (
        (("history", "broken"), "test"),
        (("history", "demo"), "series"),
        (("history", "--kind", "splat", "WARNING"), "splat"),
        (("history", "test_it.py"), "matches"),
    ):
        found = ask(*words)
        assert list(found) == [key]
        valid("history", found)
    shown = ask("show", "run00003")
    assert shown.keys() == {"run", "sides"}
    valid("runs", {"runs": [shown["run"]]})
    assert ask("gc").keys() == {"goes", "stays", "removed", "freed", "over"}


def test_a_comparison(ask: Ask, tmp_path: Path) -> None:
    run = fakerun.make(tmp_path / "a", number=3)
    better = dataclasses.replace(run, folder=tmp_path / "b", sides=run.sides[:1])
    (tmp_path / "b").mkdir()
    store.save_run(better)
    for pair in (("b", "a"), ("a", "b")):
        valid("compare", ask("compare", *pair, "--rerun", "0"))


def test_a_comparison_of_runs_by_their_names(ask: Ask, tmp_path: Path, capsys: Any) -> None:
    for name in ("one", "two"):
        fakerun.make(tmp_path / "state" / "runs" / name, number=3)
    found = ask("compare", "one", "two", "--rerun", "0")
    assert (found["same"], found["tests"]) == (8, [])
    for words in (["one", "nothing"], ["./nothing", "one"]):
        assert main(["compare", *words]) == 129
        assert "nothing" in capsys.readouterr().err


def test_a_check() -> None:
    finding = Finding(Severity.ERROR, "boom", "a.c", 1, "rule", 1)
    cells = (Cell(1, "build", CellState.BAD, (finding,)), Cell(1, "form", CellState.GOOD))
    found = CheckMatrix("demo", "v1", (PatchRow(1, "c0ffee", "a: b"),), ("form", "build"), cells)
    valid("check", json.loads(json.dumps(store.check_table(found))))


def test_a_bisection(tmp_path: Path) -> None:
    mode = next(iter(BisectMode))
    found = Bisected(mode, "panic", "v7.2", "v7.2", "HEAD", 8, tmp_path)
    valid("bisect", json.loads(json.dumps(store.bisection_table(found))))


def test_a_mutation(tmp_path: Path) -> None:
    place = ("a.c", 1, 1, "bound", 1, "f", "if (a < b)", "if (a <= b)", "diff", 6, 7, "<=")
    result = MutantResult(Mutant(*place), MutantState.KILLED, Killer.HANG, "t.py::a")
    found = Mutation("demo", "v1", tmp_path, (("c0ffee", "a: b"),), 1, results=(result,))
    valid("mutate", json.loads(json.dumps(store.mutation_table(found))))


def test_a_matrix(tmp_path: Path) -> None:
    cell = MatrixCell("1-7.2", (("mine",), ("7.2",), (), (), ("a", "b")), 1, "1-7.2", "1 fail")
    found = RunMatrix("nightly", tmp_path, Plan(), (cell,))
    valid("matrix", json.loads(json.dumps(store.matrix_table(found))))


_VERBS = ("runs", "history", "compare", "check", "bisect", "mutate", "matrix")


@pytest.mark.parametrize("verb", _VERBS)
def test_another_form_is_refused(verb: str) -> None:
    damaged: tuple[Any, ...] = ({}, {"runs": [{}]}, {"test": {}, "series": {}}, [])
    for wrong in damaged:
        with pytest.raises(jsonschema.ValidationError):
            valid(verb, wrong)


def test_outcomes_stand_in_their_order(ask: Ask, tmp_path: Path) -> None:
    late = side("patched", "p9", "late-009", a=NOTRUN, b=PASS, c=FAIL, d=CRASH)
    put(f"sqlite:///{tmp_path}/history.db", facts(9, late))
    assert list(ask("runs", "-n", "1")["runs"][0]["counts"]) == ["pass", "fail", "crash", "notrun"]
    assert list(ask("show", "run00009")["sides"][0]["counts"])[-1] == "notrun"
