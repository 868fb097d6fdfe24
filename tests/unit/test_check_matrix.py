# SPDX-License-Identifier: GPL-2.0-only
"""The matrix of a check: where problems enter and go away, what makes it bad, its forms."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import rich.console

from harness.check import checks, findings, report
from harness.cli import check_matrix as shown
from harness.errors import UsageError
from harness.model import WHOLE_SERIES, Cell, CellState, CheckMatrix, Finding, PatchRow, Severity
from harness.results import store


def warning(text: str, line: int = 1, file: str = "a.c") -> Finding:
    return Finding(Severity.ERROR, text, file, line, "warning")


def entering(
    base: list[Finding], *rows: list[Finding] | None, renames: dict[str, str] | None = None
) -> dict[int, list[tuple[str, int, int]]]:
    found = findings.new_findings([base, *rows], renames)
    return {n: [(one.text, one.enters, one.leaves) for one in some] for n, some in found.items()}


def test_a_finding_of_the_base_is_not_new_when_its_line_moved() -> None:
    assert entering([warning("old", 10)], [warning("old", 12)], []) == {1: [], 2: []}


def test_another_number_in_the_text_makes_nothing_new() -> None:
    old, new = (
        warning("frame of 1032 bytes is too large"),
        warning("frame of 1048 bytes is too large"),
    )
    assert entering([old], [new]) == {1: []}
    assert entering([warning("unused 'x1'")], [warning("unused 'x2'")]) == {
        1: [("unused 'x2'", 1, 0)]
    }


def test_a_second_equal_finding_is_new() -> None:
    assert entering([warning("w", 1)], [warning("w", 1), warning("w", 9)]) == {1: [("w", 1, 0)]}


def test_a_hole_enters_and_goes_away() -> None:
    assert entering([], [], [warning("w")], [warning("w", 3)], []) == {
        1: [],
        2: [("w", 2, 4)],
        3: [("w", 2, 4)],
        4: [],
    }


def test_a_finding_that_returns_enters_again() -> None:
    assert entering([], [warning("w")], [], [warning("w")]) == {
        1: [("w", 1, 2)],
        2: [],
        3: [("w", 3, 0)],
    }


def test_a_patch_that_does_not_build_introduces_and_removes_nothing() -> None:
    assert entering([], [warning("w")], None, [warning("w")]) == {
        1: [("w", 1, 0)],
        3: [("w", 1, 0)],
    }


def test_a_moved_file_introduces_nothing() -> None:
    moved = [warning("w", file="b.c")]
    assert entering([warning("w", file="a.c")], moved, renames={"a.c": "b.c"}) == {1: []}
    assert entering([warning("w", file="a.c")], moved) == {1: [("w", 1, 0)]}


def column(*patches: list[Finding] | None) -> findings.TreeFindings:
    return findings.TreeFindings("build", [[], *patches], {2: "does not build"})


def test_the_whole_series_has_what_is_left_at_the_tip() -> None:
    found = {one.patch: one for one in column([warning("a")], [warning("b")]).cells({})}
    assert [one.text for one in found[WHOLE_SERIES].findings] == ["b"]
    assert found[WHOLE_SERIES].entering == ()  # it is told where it enters, and once
    assert [found[n].state for n in (1, 2, WHOLE_SERIES)] == [CellState.BAD] * 3


def test_unknown_trees_make_unknown_cells() -> None:
    found = {one.patch: one for one in column([], None).cells({})}
    assert [found[n].state for n in (1, 2, WHOLE_SERIES)] == [
        CellState.GOOD,
        CellState.UNKNOWN,
        CellState.UNKNOWN,
    ]
    assert found[WHOLE_SERIES].note == "does not build"
    nothing = findings.TreeFindings("build", [None, None]).cells({})
    assert {one.state for one in nothing} == {CellState.UNKNOWN}


def test_an_unknown_base_is_replaced_by_the_first_that_is_known() -> None:
    trees = [None, None, [warning("a")], [warning("b")]]
    found = {one.patch: one for one in findings.TreeFindings("build", trees).cells({})}
    assert [found[n].state for n in (1, 2, 3)] == [CellState.UNKNOWN, CellState.GOOD, CellState.BAD]


def test_merged_cells_keep_the_worst_state() -> None:
    bad = Cell.of(1, "build", (warning("w"),), "one")
    laid = findings.merged([bad, Cell(1, "build", CellState.UNKNOWN, note="two")])
    assert [(one.state, len(one.findings), one.note) for one in laid] == [
        (CellState.BAD, 1, "one; two")
    ]


def matrix(*cells: Cell, strict: bool = False) -> CheckMatrix:
    rows = (PatchRow(1, "c" * 40, "a: one"), PatchRow(2, "d" * 40, "a: two"))
    return CheckMatrix("demo", "v1", rows, ("form", "build"), cells, strict)


SOFT = Cell.of(1, "form", (Finding(Severity.WARNING, "long"),))
HOLE = Cell.of(1, "build", (dataclasses.replace(warning("w \x1b"), enters=1, leaves=2),))


def test_errors_make_it_bad_and_warnings_only_if_strict() -> None:
    assert not matrix(Cell.of(1, "form", ())).bad
    assert not matrix(SOFT).bad
    assert matrix(SOFT, strict=True).bad
    assert matrix(HOLE).bad
    assert not matrix(Cell.of(1, "form", (Finding(Severity.NOTE, "n"),)), strict=True).bad


def test_json_and_junit_say_what_was_found(tmp_path: Path) -> None:
    found = matrix(SOFT, HOLE, Cell(2, "build", CellState.UNKNOWN, note="does not build"))
    table = store.check_table(found)
    assert (table["bad"], table["exit_code"]) == (True, 1)
    assert table["cells"][1]["findings"][0]["leaves"] == 2
    report.write(found, tmp_path)
    suites = ET.parse(tmp_path / "junit.xml").getroot().findall("testsuite")
    assert [(s.get("tests"), s.get("failures"), s.get("skipped")) for s in suites] == [
        ("2", "1", "0"),
        ("1", "0", "1"),
        ("0", "0", "0"),
    ]
    assert "fixed in patch 2" in (tmp_path / "junit.xml").read_text()


def test_b4_gets_an_entry_for_each_check() -> None:
    found = report.b4(matrix(SOFT, HOLE, Cell.of(2, "form", ())))
    assert [(one["tool"], one["status"]) for one in found] == [
        ("harness form", "warn"),
        ("harness build", "fail"),
    ]
    assert all(isinstance(value, str) for one in found for value in one.values())
    assert "patch 1: a.c:1: error: w" in found[1]["details"]
    assert report.b4(matrix(Cell.of(1, "form", ())))[0]["status"] == "pass"


def test_b4_pipes_in_one_patch_which_need_not_apply_alone() -> None:
    missing = Cell.of(1, "apply", (Finding(Severity.ERROR, "does not apply"),))
    found = report.b4(dataclasses.replace(matrix(missing), checks=("apply",)))
    assert [one["status"] for one in found] == ["warn"]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table_fits_and_tells_new_from_inherited(width: int) -> None:
    old = Cell.of(2, "build", (dataclasses.replace(warning("w"), enters=1), warning("v")))
    console = rich.console.Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(shown.table(matrix(SOFT, HOLE, old), width))
    text = console.export_text()
    assert "1+(1)" in text
    assert all(len(line) <= width for line in text.splitlines())


def chosen(*words: list[str]) -> tuple[str, ...]:
    return tuple(check.name for check in checks.choose(*words))


def test_checks_are_chosen_by_name_and_group() -> None:
    assert chosen([], []) == tuple(check.name for check in checks.CHECKS if check.default)
    assert chosen(["mail"], ["form,uapi"]) == (
        *("apply", "signed", "fixes", "spdx", "revision", "exports"),
    )
    assert "sparse" in chosen([], [], ["sparse"])
    assert "sparse" in chosen(["sparse"], [])
    assert "sparse" not in chosen(["kernel"], [])
    with pytest.raises(UsageError) as error:
        checks.choose(["checkpach"], [])
    assert "checkpatch" in error.value.hint
