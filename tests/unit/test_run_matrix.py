# SPDX-License-Identifier: GPL-2.0-only
"""A matrix of runs: its file, its cells, its verdict."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from harness import matrix
from harness.errors import HarnessError, UsageError
from harness.model import MatrixCell, Plan, RunMatrix, Verdict
from harness.publish import html
from harness.results import store

NIGHTLY = """
series = ["patches/mine", "no series"]
kernels = ["7.1", "7.2"]
kconfig = ["base", ["base", "debug", "CONFIG_X=y"]]
compilers = ["gcc", "llvm"]
suites = ["tests/guest/configfs", ["a", "b"]]
"""


def cells(tmp_path: Path, text: str) -> tuple[MatrixCell, ...]:
    file = tmp_path / "nightly.toml"
    file.write_text(text)
    return matrix.read(file)


def test_every_combination_is_a_cell_with_a_name_of_its_own(tmp_path: Path) -> None:
    found = cells(tmp_path, NIGHTLY)
    assert len(found) == 32
    assert found[0].name == "01-mine-7.1-base-gcc-configfs"
    assert found[-1].name == "32-no-series-7.2-base-debug-CONFIG_X-y-llvm-a-b"
    assert len({cell.name for cell in found}) == 32


def test_only_what_differs_is_in_a_name(tmp_path: Path) -> None:
    found = cells(tmp_path, 'kernels = ["7.1", "7.2"]\ncompilers = ["gcc"]\n')
    assert [cell.name for cell in found] == ["1-7.1", "2-7.2"]
    assert [cell.name for cell in cells(tmp_path, "")] == ["1-default"]


def test_a_cell_is_what_a_user_would_type(tmp_path: Path) -> None:
    *_, last = cells(tmp_path, NIGHTLY)
    plan = matrix.typed_plan(last, Plan(jobs=3, on="local:2"))
    assert plan == Plan(
        jobs=3,
        no_series=True,
        kernel="7.2",
        fragments=("base", "debug"),
        assignments=("CONFIG_X=y",),
        llvm=True,
        suites=("a", "b"),
    )
    first, *_ = cells(tmp_path, NIGHTLY)
    plan = matrix.typed_plan(first, Plan(tree=Path("linux")))
    assert (plan.series_words, plan.base, plan.kernel) == (("patches/mine",), "7.1", "")


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("kernel = ['7.2']", "no axis 'kernel'", "kernels = "),
        ("colour = ['red']", "no axis 'colour'", "one of series, kernels"),
        ("kernels = []", "kernels is empty", "leave it out"),
        ("kernels = '7.2'", "must be a list", 'kernels = ["..."'),
        ("kernels = [7.2]", "7.2 is not a string", ""),
        ("kernels = [['7.1', '7.2']]", "is not a string", ""),
        ("kconfig = [['base', 1]]", "not a string or a list of strings", ""),
        ("suites = ['']", "'' is not a string", ""),
        ("compilers = ['icc']", "no compiler 'icc'", "gcc, llvm"),
        ("kernels = ['7.2', '7.2']", "kernels has '7.2' twice", "leave one"),
        ("kernels = [", "cannot read the matrix", "docs/matrix.md"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, what: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        cells(tmp_path, text)
    assert what in caught.value.what
    assert "nightly.toml" in caught.value.what
    assert hint in caught.value.hint


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.toml: No such file"):
        matrix.read(tmp_path / "absent.toml")


def test_cells_are_chosen_by_number_name_and_pattern(tmp_path: Path) -> None:
    found = cells(tmp_path, NIGHTLY)
    assert matrix.named(found, ()) == found
    assert matrix.named(found, ("2", found[4].name)) == (found[1], found[4])
    assert len(matrix.named(found, ("*-llvm-*",))) == 16
    with pytest.raises(UsageError, match="no cell 'lvm'") as caught:
        matrix.named(found, ("lvm",))
    assert "--list" in caught.value.hint


def of(tmp_path: Path, text: str, **options: Any) -> RunMatrix:
    plan = Plan(folder=tmp_path, **options)
    return RunMatrix("nightly", tmp_path, plan, cells(tmp_path, text))


def test_a_cell_that_cannot_run_is_named_before_the_first_one_runs(tmp_path: Path) -> None:
    found = of(tmp_path, "series = ['no series', 'patches/absent']\nkernels = ['7.2']")
    with pytest.raises(HarnessError, match=r"cell 2-absent: .*absent") as caught:
        matrix.plans(found)
    assert caught.value.hint
    found = of(tmp_path, "series = ['no series']\nkconfig = ['base', 'absent']\nkernels = ['7.2']")
    with pytest.raises(UsageError, match=r"cell 2-absent: .*absent"):
        matrix.plans(found)


@pytest.mark.parametrize(
    ("codes", "verdict"),
    [
        ((0, 0), Verdict.GOOD),
        ((0, 1, 128, 125, None), Verdict.BAD),
        ((0, 125), Verdict.UNTESTABLE),
        ((0, 125, 128), Verdict.NONE),
        ((0, 129), Verdict.NONE),
        ((0, None), Verdict.NONE),
    ],
)
def test_the_worst_cell_counts(tmp_path: Path, codes: tuple[int | None], verdict: Verdict) -> None:
    some = tuple(MatrixCell(str(n), ((),) * 5, code) for n, code in enumerate(codes))
    assert RunMatrix("m", tmp_path, Plan(), some).verdict is verdict


def test_it_is_stored_and_its_page_links_reports(tmp_path: Path) -> None:
    found = of(tmp_path, "kernels = ['7.1', '7.2']")
    one, two = found.cells
    one = dataclasses.replace(one, code=1, folder="1-7.1", tests="3 pass", text="It <breaks>.")
    found = dataclasses.replace(found, cells=(one, two))
    (tmp_path / "1-7.1").mkdir()
    (tmp_path / "1-7.1" / "report.html").touch()
    store.save_matrix(found)
    table = json.loads((tmp_path / "matrix.json").read_text())
    assert [cell["verdict"] for cell in table["cells"]] == ["bad", None]
    assert (table["verdict"], table["exit_code"]) == ("bad", 1)
    assert store.load_matrix(tmp_path) == found
    html.write(html.page(tmp_path), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert '<a href="1-7.1/report.html">1-7.1</a>' in page
    assert "It &lt;breaks&gt;." in page
    assert "not run" in page
