# SPDX-License-Identifier: GPL-2.0-only
"""(K)TAP as programs and kernels print it: nested, cut, interrupted, wrong."""

from __future__ import annotations

import textwrap

import pytest

from harness.adaptors import ktap
from harness.model import Outcome

PASS, FAIL, SKIP, CRASH = Outcome.PASS, Outcome.FAIL, Outcome.SKIP, Outcome.CRASH


def parse(text: str) -> ktap.KtapResults:
    return ktap.parse(textwrap.dedent(text).strip("\n"))


def outcomes(text: str) -> dict[str, Outcome]:
    return {test.name: test.outcome for test in parse(text).leaves}


def test_a_flat_text() -> None:
    results = parse("""
        hello
        TAP version 13
        1..4
        ok 1 - first
        # it was 3
        not ok 2 second
        ok 3 third # SKIP no device
        ok 4 # SKIP fourth has no name
        """)
    assert {test.name: test.outcome for test in results.tests} == {
        "first": PASS,
        "second": FAIL,
        "third": SKIP,
        "fourth has no name": SKIP,
    }
    assert results.tests[1].message == "it was 3\nE   it was 3"
    assert results.tests[2].message == "no device"
    assert results.faults == ()


NESTED = """
    KTAP version 1
    1..2
      KTAP version 1
      # Subtest: outer
      1..2
        KTAP version 1
        1..2
        ok 1 a
        not ok 2 b
      # outer: something
      not ok 1 params
      ok 2 plain
    not ok 1 outer
      KTAP version 1
      1..1
      ok 1 plain
    ok 2 other
"""


def test_nested_results_are_named_by_their_path() -> None:
    assert outcomes(NESTED) == {
        "outer::params::a": PASS,
        "outer::params::b": FAIL,
        "outer::plain": PASS,
        "other::plain": PASS,
    }


@pytest.mark.parametrize(
    "stamp", ["[    0.060000] ", "[   12.345678][    T1] ", "<6>[    0.060000] ", "console: "]
)
def test_lines_of_a_log_have_something_before_them(stamp: str) -> None:
    text = textwrap.dedent(NESTED).strip("\n")
    assert outcomes("\n".join(stamp + line for line in text.splitlines())) == outcomes(NESTED)


def test_levels_may_be_tabs_without_a_version() -> None:
    text = "TAP version 14\n1..1\n\t# Subtest: s\n\t1..2\n\tok 1 - a\n\tok 2 - b\nok 1 - s\n"
    assert outcomes(text) == {"s::a": PASS, "s::b": PASS}


def test_the_output_of_the_kselftest_runner() -> None:
    assert outcomes("""
        TAP version 13
        1..2
        # timeout set to 45
        # selftests: x: one
        # TAP version 13
        # 1..2
        # ok 1 first
        # # a comment
        # not ok 2 second
        not ok 1 selftests: x: one # exit=1
        # selftests: x: two
        # ok, all is well
        ok 2 selftests: x: two
        """) == {
        "selftests: x: one::first": PASS,
        "selftests: x: one::second": FAIL,
        "selftests: x: two": PASS,
    }


@pytest.mark.parametrize(
    ("line", "outcome", "message"),
    [
        ("ok 1 x # SKIP because", SKIP, "because"),
        ("not ok 1 x # skip because", SKIP, "because"),
        ("ok 1 x # SKIP", SKIP, "SKIP"),
        ("not ok 1 x # todo later", Outcome.XFAIL, "later"),
        ("ok 1 x # todo later", PASS, "later"),
        ("not ok 1 x # XFAIL known", Outcome.XFAIL, "known"),
        ("ok 1 x # XFAIL known", Outcome.XFAIL, "known"),
        ("not ok 1 x # TIMEOUT 30 seconds", Outcome.TIMEOUT, "30 seconds"),
        ("not ok 1 x # ERROR no memory", Outcome.ERROR, "no memory"),
        ("not ok 1 x # exit=3", FAIL, "exit=3"),
        ("ok 1 x # rcode=0", PASS, "rcode=0"),
    ],
)
def test_directives(line: str, outcome: Outcome, message: str) -> None:
    (test,) = parse(f"KTAP version 1\n1..1\n{line}").tests
    assert (test.name, test.outcome, test.message) == ("x", outcome, message)


def test_a_planned_test_without_a_result_has_crashed() -> None:
    results = parse("""
        KTAP version 1
        1..3
        ok 1 a
        ok 3 c
        """)
    assert results.faults == ("1 of 3 planned tests have no result (the first is number 2)",)


def test_a_text_that_ends_early() -> None:
    results = parse("""
        KTAP version 1
        1..2
        ok 1 first
          KTAP version 1
          # Subtest: second
          1..3
          ok 1 a
          BUG: something
        """)
    names = [(test.name, test.outcome) for test in results.leaves]
    assert names == [("first", PASS), ("second", CRASH), ("second::a", PASS)]
    assert "2 of 3 planned tests have no result" in results.leaves[1].message


def test_a_suite_that_lost_a_result_has_crashed_although_it_says_ok() -> None:
    assert outcomes("""
        KTAP version 1
        1..1
            KTAP version 1
            1..2
            ok 1 a
        ok 1 suite
        """) == {"suite": CRASH, "suite::a": PASS}


def test_more_results_than_planned() -> None:
    assert parse("TAP version 13\n1..1\nok 1 a\nok 2 b").faults == (
        "2 results, but only 1 were planned",
    )


def test_a_name_that_comes_twice() -> None:
    assert list(outcomes("TAP version 13\n1..3\nok 1 a\nok 2 a\nok 3 a")) == ["a", "a [2]", "a [3]"]


def test_a_plan_that_skips_everything() -> None:
    results = parse("TAP version 13\n1..0 # SKIP needs root")
    assert results.valid
    assert results.skipped == "needs root"


def test_bail_out() -> None:
    results = parse("TAP version 13\n1..2\nok 1 a\nBail out! no memory")
    assert results.faults[0] == "Bail out! no memory"


def test_a_kernel_message_in_the_middle() -> None:
    assert outcomes("""
        KTAP version 1
        1..3
        ok 1 a[   12.345678] random: crng init done
        [   12.400000] usb 1-1: new device
        ok 2 b
            an indented line of nobody
        ok 3 c
        """) == {"a": PASS, "b": PASS, "c": PASS}


def test_a_yaml_block_describes_the_result_before_it() -> None:
    (test,) = parse("""
        TAP version 13
        1..1
        not ok 1 a
          ---
          found: 3
          ...
        """).tests
    assert test.message == "found: 3"


def test_two_streams_one_after_the_other() -> None:
    results = parse("TAP version 13\n1..1\nok 1 a\nTAP version 13\n1..2\nok 1 b\nok 2 c")
    assert [test.name for test in results.tests] == ["a", "b", "c"]
    assert results.faults == ()


@pytest.mark.parametrize("text", ["", "all is ok", "ok 1 a", "not ok", "1 .. 3"])
def test_other_texts_have_no_results(text: str) -> None:
    assert not ktap.parse(text).valid


def test_a_plan_is_enough() -> None:
    assert outcomes("1..1\nok 1 a") == {"a": PASS}


def test_text_that_begins_with_ok_is_no_result() -> None:
    assert outcomes("TAP version 13\n1..1\nok then, go on\nok: fine\nok 1 a") == {"a": PASS}


def test_results_further_to_the_right_than_their_plan() -> None:
    assert outcomes("""
        KTAP version 1
        1..1
            KTAP version 1
            1..1
                ok 1 inner
        not ok 1 outer
        """) == {"outer": FAIL, "outer::inner": PASS}


def test_the_headline_says_what_was_expected() -> None:
    kunit = parse("""
        KTAP version 1
        1..1
        # t: EXPECTATION FAILED at lib/t.c:30
        Expected 1 + 1 == 3, but
            1 + 1 == 2 (0x2)
        not ok 1 t
        """).tests[0]
    expected = "t: EXPECTATION FAILED at lib/t.c:30: Expected 1 + 1 == 3, but"
    assert kunit.message.splitlines()[-1] == f"E   {expected}"
    program = parse("""
        TAP version 13
        1..1
        mount: failed
        # t.c:12:t:Expected a (1) == b (2)
        # t: Test terminated by assertion
        not ok 1 t
        """).tests[0]
    assert program.message.splitlines()[-1] == "E   t.c:12:t:Expected a (1) == b (2)"
