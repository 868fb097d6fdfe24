# SPDX-License-Identifier: GPL-2.0-only
"""The table of options: what it names exists, and a plan is read back from its own command."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness import cli, options
from harness.cli.parser import parse, typed_plan
from harness.guest import GuestSpec
from harness.model import Plan
from harness.options import OPTIONS
from harness.settings import Settings


def names(kind: type) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def test_the_fields_that_the_table_names_exist() -> None:
    assert {option.plan for option in OPTIONS if option.plan} <= names(Plan)
    assert {option.guest for option in OPTIONS if option.guest} <= names(GuestSpec)


def test_the_settings_are_those_of_the_table() -> None:
    settings = {option.setting for option in OPTIONS if option.setting}
    assert settings | {"folder", "series"} == names(Settings)


def test_an_option_is_in_a_verb_once() -> None:
    for verb in cli.VERBS:
        flags = [option.flag for option in options.of_verb(verb)]
        assert len(flags) == len(set(flags))


def test_the_verbs_of_the_table_exist() -> None:
    assert {verb for option in OPTIONS for verb in option.verbs} <= set(cli.VERBS)


def test_a_boot_has_one_deadline(tmp_path: Path) -> None:
    boot = next(option for option in OPTIONS if option.flag == "--boot-timeout")
    assert boot.initial == Plan().boot_timeout == GuestSpec(tmp_path, tmp_path).boot_deadline


PLAN = Plan(
    series_words=("my.mbox",),
    assignments=("CONFIG_X=y",),
    pytest_args=("-x", "--lf"),
    pick="words",
    revision=3,
    trust=True,
    kernel="7.2",
    refresh=True,
    tree=Path("linux"),
    base="v7.1",
    fragments=("debug", "a b.config"),
    arch="arm64",
    llvm=True,
    jobs=3,
    patched_only=True,
    suites=("tests/a.py::test_x[1]",),
    keyword="not slow",
    test_timeout=1.5,
    run_timeout=1234567.5,
    repeat=5,
    retry=0,
    reruns=0,
    allow_flaky=True,
    ignored_splats=("oom", "page allocation failure"),
    strict=True,
    accel="tcg",
    guests="2",
    memory=2048,
    cpus=2,
    disks=("null_blk", "d.img"),
    environment=("A", "B=c d"),
    boot_timeout=12.5,
    hold=True,
    hold_for=60.0,
    vmcore=True,
    out=Path("out"),
    db="x.db",
)


@pytest.mark.parametrize(
    "plan", [Plan(), Plan(no_series=True), Plan(keyword="-x", suites=("-a.py",)), PLAN]
)
def test_a_plan_is_read_back_from_its_command(plan: Plan) -> None:
    _, *line = options.command(plan)
    typed = typed_plan(parse(cli.parser("run"), "run", line))
    assert dataclasses.replace(typed, folder=plan.folder) == plan


def test_pytest_is_given_what_it_knows() -> None:
    assert options.pytest_words(Plan()) == []
    plan = Plan(keyword="a b", run_timeout=90.0, memory=512, environment=("A=b",), retry=0)
    assert options.pytest_words(plan) == [
        *("-k", "a b", "--run-timeout", "90", "--retry", "0"),
        *("--guest-memory", "512", "--guest-env", "A=b"),
    ]
