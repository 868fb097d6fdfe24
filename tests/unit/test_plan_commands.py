# SPDX-License-Identifier: GPL-2.0-only
"""The commands that a person is told to type next."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from harness.cli import parser
from harness.cli.parser import parse, typed_plan
from harness.model import Kernel, Outcome, Plan, Run, Series, Side, Source, Test, Trial
from harness.options import repeat_command, single_test_command
from harness.run import ended_so_far


def typed(command: str) -> Plan:
    words = shlex.split(command)[1:]
    return typed_plan(parse(parser("run"), "run", words))


def run(command: str, series: bool = True) -> Run:
    demo = Series("demo", Path("patches/demo"), (), "digest") if series else None
    source = Source(Path("linux"), "c0ffee", "v7.2")
    return Run(demo, source, Path("out"), "", 0.0, "tcg", (), plan=typed(command))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("harness run", "harness run"),
        ("harness run --out x demo", "harness run demo"),
        ("harness run --out=x demo -k 'a b'", "harness run demo -k 'a b'"),
        ("harness run demo -- --out x", "harness run demo -- --out x"),
    ],
)
def test_a_repeated_command_uses_another_folder(line: str, told: str) -> None:
    assert repeat_command(typed(line)) == told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("harness run", "harness run --patched-only --suite a.py::t"),
        (
            "harness run --suite x --suite=y -k z --patched-only demo --out x",
            "harness run demo --patched-only --suite a.py::t",
        ),
        (
            "harness run --repeat 5 --kconfig debug -- -x",
            "harness run --kconfig debug --patched-only --suite a.py::t -- -x",
        ),
    ],
)
def test_the_command_for_one_test(line: str, told: str) -> None:
    assert single_test_command(run(line), "a.py::t") == told
    options = parser("run").parse_args(shlex.split(told.partition(" -- ")[0])[1:])
    assert options.suites == ["a.py::t"]


def test_without_a_series_there_is_only_one_kernel() -> None:
    told = single_test_command(run("harness run --no-series", series=False), "a.py::t[x y]")
    assert told == "harness run --no-series --suite 'a.py::t[x y]'"


def test_how_many_tests_have_ended() -> None:
    kernel = Kernel("k", Path(), Path(), Path(), "7.2", "c", "x86_64")
    passed = Test("a", Outcome.PASS, attempts=(Outcome.PASS,))
    base = Trial(Side.BASE, kernel, (passed,))
    patched = Trial(Side.PATCHED, kernel, (passed, Test("b", Outcome.NOTRUN)))
    assert ended_so_far([base, patched]) == "base tested, patched 1 of 2 tests"
    assert ended_so_far([base]) == "base tested"
    under_way = Test("b", Outcome.CRASH, attempts=(Outcome.CRASH,))
    died = Test("c", Outcome.CRASH, message="panic", attempts=(Outcome.CRASH,))
    stopped = Trial(Side.BASE, kernel, (passed, under_way, died))
    assert ended_so_far([stopped]) == "base 2 of 3 tests"
    assert ended_so_far([Trial(Side.BASE, kernel, ())]) == "base not started"
