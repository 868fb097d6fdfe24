# SPDX-License-Identifier: GPL-2.0-only
"""Programs and the kernel's self-tests on the default kernel, with a fault planted in one."""

from __future__ import annotations

import pytest
from conftest import Job, harness

PROGRAMS = {
    "tap.sh": "echo TAP version 13; echo 1..2; echo ok 1 a; echo not ok 2 b; exit 1",
    "good.sh": "grep -q harness /proc/version",
    "panics.sh": "echo c > /proc/sysrq-trigger",
    "skips.sh": "echo no such device; exit 4",
}


@pytest.fixture(scope="module")
def programs(main_job: Job, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Run the programs on the patched kernel; give the tests by name."""
    folder = tmp_path_factory.mktemp("programs")
    for name, text in PROGRAMS.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    words = ("run", "--patched-only", "--program", str(folder), "--json", "--out")
    code, run, printed = harness(*words, str(folder / "out"))
    assert code == 1, printed
    return {test["id"].partition("::")[2]: test for test in run["sides"][0]["tests"]}


def test_programs_have_outcomes(programs: dict[str, dict[str, str]]) -> None:
    assert {name: test["outcome"] for name, test in programs.items()} == {
        "good.sh": "pass",
        "panics.sh": "crash",
        "skips.sh": "skip",
        "tap.sh": "pass",
        "tap.sh::a": "pass",
        "tap.sh::b": "fail",
    }


def test_a_panic_is_blamed_on_its_program(programs: dict[str, dict[str, str]]) -> None:
    assert "sysrq triggered crash" in programs["panics.sh"]["message"]
    assert "confirmed: bad in all 2 runs" in programs["panics.sh"]["message"]


@pytest.mark.nightly  # building the self-tests takes a minute or two
def test_self_tests_pass_on_both_kernels(main_job: Job) -> None:
    words = ("run", "--kselftest", "statmount", "--kselftest", "mount_setattr", "--json")
    code, run, printed = harness(*words)
    assert code == 0, printed
    tests = {test["id"]: test["outcome"] for test in run["sides"][1]["tests"]}
    idmapped = [name for name in tests if "mount_setattr_idmapped" in name]
    assert idmapped
    assert {tests[name] for name in idmapped} == {"pass"}


@pytest.mark.nightly  # a kernel of its own: CONFIG_KUNIT compiles every object again
def test_kunit_suites_have_their_cases() -> None:
    code, run, printed = harness("run", "--no-series", "--kunit", "example", "--json")
    assert code == 0, printed
    tests = {test["id"]: test["outcome"] for test in run["sides"][0]["tests"]}
    suite = "kunit:example::example"
    assert tests[suite] == "pass"
    assert tests[f"{suite}::example_simple_test"] == "pass"
    assert tests[f"{suite}::example_skip_test"] == "skip"
