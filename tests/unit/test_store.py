# SPDX-License-Identifier: GPL-2.0-only
import dataclasses
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.model import (
    Change,
    GuestRecord,
    Kernel,
    Outcome,
    Run,
    Series,
    Side,
    Source,
    Splat,
    Test,
    Trial,
    Verdict,
)
from harness.publish import junit
from harness.results import store
from harness.results.regression import changes, compared, counts


def side(which: Side, *tests: Test, error: str = "") -> Trial:
    kernel = Kernel(
        "k", Path("/k"), Path("/k/image"), Path("/k/config"), "7.2.13", "c0ffee", "x86_64"
    )
    guests = (
        GuestRecord("guest0", "done", "tcg", 1.5, "console", (Splat("warning", "W", ("l",)),)),
    )
    return Trial(which, kernel, tests, guests, error)


def a_run(folder: Path, *sides: Trial) -> Run:
    series = Series("s", Path("/s"), (), "d", title="The title", kconfig=("base",))
    source = Source(Path("/r"), "c0ffee", "v7.2.13")
    return compared(Run(series, source, folder, "2026-01-01", 2.5, "tcg", sides))


BASE = side(
    Side.BASE, Test("t.py::a", Outcome.PASS, 0.1), Test("t.py::b", Outcome.FAIL, 0.2, "boom")
)
PATCHED = side(
    Side.PATCHED,
    Test("t.py::a", Outcome.CRASH, 1.0, "panic\x00 \x1b[31m", splats=(Splat("panic", "P"),)),
    Test("t.py::b", Outcome.PASS, 0.2),
    Test("t.py::c", Outcome.SKIP, 0.0, "needs fio"),
)


def test_a_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    run = a_run(tmp_path, BASE, PATCHED)
    assert json.loads(store.save_run(run).read_text())["schema"] == store.RUN_SCHEMA
    assert store.load_run(tmp_path) == run


def test_no_run_and_a_damaged_one_are_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"run\.json"):
        store.load_run(tmp_path)
    (tmp_path / store.RUN).write_text("{")
    with pytest.raises(UsageError, match="damaged"):
        store.load_run(tmp_path)
    (tmp_path / store.RUN).write_text('{"schema": 99}')
    with pytest.raises(UsageError, match="99"):
        store.load_run(tmp_path)


def test_a_run_that_has_no_results_yet_is_named_as_one(tmp_path: Path) -> None:
    """`harness report last` beside a run that still builds."""
    (tmp_path / store.COMMAND).write_text("harness run\n")
    with pytest.raises(UsageError, match="no results yet") as raised:
        store.load_run(tmp_path)
    assert raised.value.hint == f"harness show {tmp_path}"


def test_changes_tell_regressions_from_fixes() -> None:
    found = {one.test: one for one in changes(BASE.tests, PATCHED.tests)}
    assert found["t.py::a"].broken
    assert found["t.py::b"].fixed
    assert found["t.py::c"] == Change("t.py::c", Outcome.NOTRUN, Outcome.SKIP, "needs fio")


def test_counts_leave_zeros_out() -> None:
    assert counts(PATCHED.tests) == {Outcome.PASS: 1, Outcome.SKIP: 1, Outcome.CRASH: 1}


def test_the_judged_kernel_is_the_patched_one(tmp_path: Path) -> None:
    assert a_run(tmp_path, BASE, PATCHED).judged is PATCHED
    good = a_run(tmp_path, BASE, side(Side.PATCHED, *BASE.tests))
    assert good.verdict is Verdict.GOOD
    assert a_run(tmp_path, side(Side.BASE, error="did not boot")).verdict is Verdict.BAD


def test_junit_has_a_suite_per_kernel_and_a_case_per_test(tmp_path: Path) -> None:
    run = dataclasses.replace(a_run(tmp_path, BASE, PATCHED), strict=True)  # the base counts too
    path = junit.write(tmp_path / "junit.xml", run)
    suites = ET.parse(path).getroot().findall("testsuite")
    assert [
        (s.get("tests"), s.get("failures"), s.get("errors"), s.get("skipped")) for s in suites
    ] == [
        ("2", "1", "0", "0"),
        ("3", "0", "1", "1"),
    ]
    properties = {p.get("name"): p.get("value") for p in suites[0].iter("property")}
    assert properties["accel"] == "tcg"
    assert properties["kernel.release"] == "7.2.13"
    case = suites[1].find("testcase")
    assert case is not None
    assert (case.get("classname"), case.get("name"), float(case.get("time", ""))) == (
        "patched.t",
        "a",
        1.0,
    )
    assert "panic" in case.findtext("error", "")
