# SPDX-License-Identifier: GPL-2.0-only
"""Tests are chosen by what they executed when an earlier revision was counted."""

from __future__ import annotations

from pathlib import Path

import faketree
import pytest

from harness.lab import affected
from harness.model import Checkout, Coverage, FileCoverage, FunctionCount, LineCount
from harness.results import store

FILE = "lib/a.c"
SOURCE = """\
#define SIZE 3

static int first(void)
{
	int a = 1;

	return a;
}

static int second(void)
{
	return SIZE;
}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    faketree.make(tmp_path / "tree")
    return tmp_path / "tree"


def counted(tree: Path) -> Coverage:
    commit = faketree.commit(tree, "the revision that was counted", {FILE: SOURCE})
    lines = (LineCount(7, 7, ((1, 5),)), LineCount(12, 12, ((2, 1),)))
    functions = (
        FunctionCount("first", 3, 8, ((0, 1), (1, 5))),
        FunctionCount("second", 10, 13, ((2, 1),)),
    )
    files = (FileCoverage(FILE, lines, functions),)
    return Coverage(commit, ("t.py::a", "t.py::b", "t.py::c", "t.py::d"), files)


def after(tree: Path, old: str, new: str) -> affected.AffectedTests:
    """Return the tests that a change affects."""
    found = counted(tree)
    assert old in SOURCE
    commit = faketree.commit(tree, "the next revision", {FILE: SOURCE.replace(old, new)})
    return affected.affected(found, Checkout(tree, commit, "tree"))


def test_whoever_executed_a_line_runs_before_whoever_called_the_function(tree: Path) -> None:
    found = after(tree, "return a;", "return a + 1;")
    assert found == affected.AffectedTests(("t.py::b", "t.py::a"), ("t.py::c",))


def test_an_inserted_line_is_part_of_the_function_around_it(tree: Path) -> None:
    found = after(tree, "\treturn SIZE;", "\tfirst();\n\treturn SIZE;")
    assert found.changed == ("t.py::c",)
    assert found.unknown == ()


def test_what_executes_a_macro_is_not_known(tree: Path) -> None:
    found = after(tree, "static int second", "static int table[] = { 1, 2 };\n\nstatic int second")
    assert (found.changed, found.unknown) == ((), (f"{FILE}:10",))


def test_comments_affect_nobody(tree: Path) -> None:
    found = after(tree, "\treturn SIZE;", "\t/* three */\n\treturn SIZE;")
    assert (found.changed, found.unknown) == ((), ())
    assert set(found.series) == {"t.py::b", "t.py::c"}


def test_the_newest_record_whose_commit_the_tree_has_is_used(tree: Path, tmp_path: Path) -> None:
    found = counted(tree)
    tip = Checkout(tree, found.commit, "tree")
    for name, commit in (("new", "0" * 40), ("old", found.commit)):
        (tmp_path / name / "patched").mkdir(parents=True)
        record = Coverage(commit, found.tests, found.files)
        store.save_coverage(tmp_path / name / "patched", record)
    (tmp_path / "bad" / "patched").mkdir(parents=True)
    (tmp_path / "bad" / "patched" / store.COVERAGE).write_text("nonsense")
    folders = [tmp_path / name for name in ("none", "bad", "new", "old")]
    assert affected.recorded(folders, tip) == found
    assert affected.recorded(folders[:3], tip) is None
