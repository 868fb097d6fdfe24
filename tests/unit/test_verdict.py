# SPDX-License-Identifier: GPL-2.0-only
"""The one rule for what became of a test, and the verdict that it makes."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest

from harness import errors
from harness.model import (
    WHOLE_SERIES,
    Cell,
    CellState,
    Change,
    ChangeKind,
    CheckMatrix,
    CompilerWarning,
    Finding,
    Kernel,
    Outcome,
    Run,
    Series,
    Severity,
    Side,
    Source,
    Splat,
    Test,
    Trial,
    Verdict,
    change_kind,
)
from harness.results.regression import changes, compared, new_warnings
from harness.serial import from_json, to_json

PASS, FAIL, FLAKY, NOTRUN = Outcome.PASS, Outcome.FAIL, Outcome.FLAKY, Outcome.NOTRUN
KERNEL = Kernel("k", Path(), Path(), Path(), "7.2.13", "c0ffee", "x86_64")
SERIES = Series("demo", Path("patches/demo"), (), "digest", title="A demo")

# What became of a test: a row for each outcome on the base, a column for each on the patched
# kernel, both in the order of Outcome.  s: suspect, F: fix, k: flaky, c: changed, N: new, G: gone,
# .: the same.
TABLE = """\
          pass fail skip xfail xpass error crash timeout flaky notrun
pass      .    s    c    c     c     s     s     s       k     G
fail      F    .    F    F     F     c     c     c       k     G
skip      c    s    .    c     c     s     s     s       k     G
xfail     c    s    c    .     c     s     s     s       k     G
xpass     c    s    c    c     .     s     s     s       k     G
error     F    c    F    F     F     .     c     c       k     G
crash     F    c    F    F     F     c     .     c       k     G
timeout   F    c    F    F     F     c     c     .       k     G
flaky     k    k    k    k     k     k     k     k       k     G
notrun    N    N    N    N     N     N     N     N       N     .
"""
LETTERS = {
    "s": ChangeKind.SUSPECT,
    "F": ChangeKind.FIX,
    "k": ChangeKind.FLAKY,
    "c": ChangeKind.CHANGED,
    "N": ChangeKind.NEW,
    "G": ChangeKind.GONE,
    ".": ChangeKind.SAME,
}


def test_the_rule_over_all_pairs() -> None:
    head, *rows = [line.split() for line in TABLE.splitlines()]
    assert head == [one.value for one in Outcome] == [row[0] for row in rows]
    for base, *letters in rows:
        for patched, letter in zip(head, letters, strict=True):
            found = change_kind(Outcome(base), Outcome(patched))
            assert found is LETTERS[letter], (base, patched)


@pytest.mark.parametrize(
    ("base", "patched", "found"),
    [
        ((PASS, PASS), (FAIL, FAIL), ChangeKind.REGRESSION),
        ((PASS, Outcome.SKIP), (FAIL, Outcome.CRASH), ChangeKind.REGRESSION),
        ((PASS, FAIL), (FAIL, FAIL), ChangeKind.FLAKY),
        ((PASS, PASS), (FAIL, PASS), ChangeKind.FLAKY),
        ((FAIL, FAIL), (FAIL, FAIL), ChangeKind.FLAKY),
        ((), (PASS,), ChangeKind.FLAKY),  # the base need not be asked then
        ((), (FAIL,), ChangeKind.SUSPECT),
        ((PASS,), (), ChangeKind.SUSPECT),
        ((), (), ChangeKind.SUSPECT),
    ],
)
def test_only_what_fails_each_time_here_and_never_there_is_a_regression(
    base: tuple[Outcome, ...], patched: tuple[Outcome, ...], found: ChangeKind
) -> None:
    assert Change("t", PASS, FAIL, again=(base, patched)).kind is found


def test_no_run_again_changes_what_is_no_suspect() -> None:
    again = ((PASS, PASS), (FAIL, FAIL))
    for base, patched in itertools.product(Outcome, Outcome):
        if change_kind(base, patched) is not ChangeKind.SUSPECT:
            assert change_kind(base, patched, again) is change_kind(base, patched)


def test_the_kind_is_in_the_json_and_follows_from_the_rest() -> None:
    change = Change("t", PASS, FAIL, "E  1 == 2", ((PASS,), (FAIL,)))
    table = to_json(change)
    assert table["kind"] == "regression"
    assert from_json(Change, table) == change
    assert (
        from_json(Change, {"test": "t", "base": "pass", "patched": "fail"}).kind
        is ChangeKind.SUSPECT
    )


def test_new_and_gone_and_the_worst_first() -> None:
    def ran(**outcomes: str) -> tuple[Test, ...]:
        return tuple(Test(name, Outcome(value)) for name, value in outcomes.items())

    base = ran(a="pass", b="pass", c="fail", e="notrun")
    found = changes(base, ran(b="fail", c="pass", d="pass", e="fail"))
    assert [(one.test, one.kind) for one in found] == [
        ("b", ChangeKind.SUSPECT),
        ("c", ChangeKind.FIX),
        ("d", ChangeKind.NEW),
        ("e", ChangeKind.NEW),
        ("a", ChangeKind.GONE),
    ]
    assert [one.test for one in found if one.bad] == ["b", "e"]


def test_a_warning_twice_is_new_once() -> None:
    one = CompilerWarning("a.c", 7, "'x' defined at 12 but not used")
    same = dataclasses.replace(one, line=9, text="'x' defined at 14 but not used")
    assert new_warnings([one], [same]) == ()
    assert new_warnings([one], [one, same]) == (same,)


def side(which: Side, *tests: Test, **more: object) -> Trial:
    return Trial(which, KERNEL, tests, **more)  # type: ignore[arg-type]


def run(base: Trial | None, patched: Trial, **more: object) -> Run:
    sides = (base, patched) if base else (patched,)
    found = Run(SERIES, Source(Path(), "c", "v7.2"), Path(), "", 1.0, "tcg", sides)
    return dataclasses.replace(compared(found), **more)  # type: ignore[arg-type]


def pair(base: Outcome, patched: Outcome, **more: object) -> Run:
    return run(side(Side.BASE, Test("t", base)), side(Side.PATCHED, Test("t", patched)), **more)


def test_with_a_base_only_what_the_series_makes_worse_is_bad() -> None:
    for base, patched in itertools.product(Outcome, Outcome):
        found = pair(base, patched)
        worse = change_kind(base, patched) is ChangeKind.SUSPECT
        worse |= base is NOTRUN and patched.bad and patched is not Outcome.XPASS
        worse |= patched is NOTRUN  # what is not known is not good
        if base is patched is NOTRUN:
            assert found.verdict is Verdict.NONE
            continue
        assert found.verdict is (Verdict.BAD if worse else Verdict.GOOD), (base, patched)
        if patched.bad and patched is not NOTRUN:
            assert found.counts(found.judged.tests[0]) is worse


def test_what_neither_kernel_ran_says_nothing() -> None:
    """As with -x behind a test that fails on both."""
    some = (Test("a", FAIL), Test("b", NOTRUN), Test("c", NOTRUN))
    assert run(side(Side.BASE, *some), side(Side.PATCHED, *some)).verdict is Verdict.NONE
    ran = (Test("a", FAIL), Test("b", PASS), Test("c", NOTRUN))
    found = run(side(Side.BASE, *ran), side(Side.PATCHED, *some))
    assert (found.verdict, found.missed) == (Verdict.BAD, 1)


@pytest.mark.parametrize(
    ("base", "patched", "reason"),
    [
        (PASS, FAIL, "broken by the series"),
        (FAIL, FAIL, "also failing without the series"),
        (FAIL, Outcome.CRASH, "also failing without the series"),
        (PASS, FLAKY, "flaky with the series, good without it"),
        (FLAKY, FAIL, "flaky"),
        (NOTRUN, FAIL, "failing, with no result on the base"),
        (Outcome.XFAIL, Outcome.XPASS, "passing unexpectedly"),
    ],
)
def test_the_reason_of_a_failure_is_the_same_with_strict(
    base: Any, patched: Any, reason: Any
) -> None:
    for strict in (False, True):
        found = pair(base, patched, strict=strict)
        assert found.reason(found.judged.tests[0]) == reason


def test_a_base_that_does_not_boot_is_none_to_compare_with() -> None:
    dead = side(Side.BASE, error="did not boot (panic)")
    for outcome, verdict in ((PASS, Verdict.GOOD), (FAIL, Verdict.BAD)):
        assert run(dead, side(Side.PATCHED, Test("t", outcome))).verdict is verdict


def test_strict_counts_what_fails_on_the_base_too() -> None:
    for base, patched in itertools.product(Outcome, Outcome):
        if base is patched is NOTRUN:
            continue
        bad = patched.bad or pair(base, patched).verdict is Verdict.BAD
        found = pair(base, patched, strict=True)
        assert found.verdict is (Verdict.BAD if bad else Verdict.GOOD), (base, patched)


def test_without_a_base_every_failure_is_bad() -> None:
    for outcome in Outcome:
        found = run(None, side(Side.PATCHED, Test("t", outcome)))
        assert found.verdict is (Verdict.BAD if outcome.bad else Verdict.GOOD)
    flaky = run(None, side(Side.PATCHED, Test("t", FLAKY), allow_flaky=True))
    assert flaky.verdict is Verdict.GOOD


def test_a_new_splat_is_bad_whatever_became_of_its_test() -> None:
    splat = Splat("kasan", "KASAN: use-after-free in f", fingerprint="1")
    with_it, without = Test("t", FAIL, splats=(splat,)), Test("t", FAIL)
    assert run(side(Side.BASE, without), side(Side.PATCHED, with_it)).verdict is Verdict.BAD
    assert run(side(Side.BASE, with_it), side(Side.PATCHED, with_it)).verdict is Verdict.GOOD
    assert run(side(Side.BASE, with_it), side(Side.PATCHED, without)).verdict is Verdict.GOOD


def test_a_new_warning_is_bad() -> None:
    warning = CompilerWarning("fs/a.c", 3, "unused variable")
    warned = dataclasses.replace(KERNEL, warnings=(warning,))
    base, patched = side(Side.BASE, Test("t", PASS)), side(Side.PATCHED, Test("t", PASS))
    assert run(base, dataclasses.replace(patched, kernel=warned)).verdict is Verdict.BAD
    both = (dataclasses.replace(one, kernel=warned) for one in (base, patched))
    assert run(*both).verdict is Verdict.GOOD


def test_a_kernel_that_does_not_boot() -> None:
    dead = side(Side.PATCHED, error="did not boot (panic)")
    assert run(side(Side.BASE, Test("t", PASS)), dead).verdict is Verdict.BAD
    assert run(None, dead).verdict is Verdict.BAD
    neither = run(side(Side.BASE, error="did not boot (hang)"), dead)
    assert neither.verdict is Verdict.UNTESTABLE
    assert pair(PASS, PASS, interrupted=True).verdict is Verdict.NONE


ERROR = Cell(WHOLE_SERIES, "build", CellState.BAD, (Finding(Severity.ERROR, "boom"),))


@pytest.mark.parametrize(
    ("cells", "fields", "verdict"),
    [
        ((), {}, Verdict.GOOD),
        ((ERROR,), {}, Verdict.BAD),
        ((ERROR,), {"fault": "no guest"}, Verdict.BAD),
        ((ERROR,), {"refused": "runs programs"}, Verdict.BAD),
        ((), {"fault": "no guest"}, Verdict.NONE),
        ((), {"refused": "runs programs"}, Verdict.UNTESTABLE),
        ((ERROR,), {"untestable": "does not apply"}, Verdict.UNTESTABLE),
    ],
)
def test_the_verdict_of_a_check(cells: Any, fields: Any, verdict: Any) -> None:
    assert CheckMatrix("s", "v7.2", (), ("build",), cells, **fields).verdict is verdict


def test_each_verdict_has_its_exit_code() -> None:
    assert {one.exit_code for one in Verdict} <= {
        *(errors.GOOD, errors.BAD, errors.UNTESTABLE, errors.HOST_FAULT)
    }
    assert (Verdict.GOOD.exit_code, Verdict.BAD.exit_code) == (errors.GOOD, errors.BAD)
    assert Verdict.UNTESTABLE.exit_code == errors.UNTESTABLE
    assert Verdict.NONE.exit_code == errors.HOST_FAULT
    assert Verdict("none") is Verdict.NONE  # an older harness's record
