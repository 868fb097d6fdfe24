# SPDX-License-Identifier: GPL-2.0-only
"""How many guests test a kernel of a check while the next kernel is being built."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest

from harness.check import boots
from harness.check.builds import Build
from harness.errors import HostFault
from harness.lab.kernels import Lab
from harness.model import Accel, Plan


@pytest.mark.parametrize(
    ("asked", "processors", "beside"), [("auto", 4, "2"), ("auto", 1, "1"), ("3", 4, "3")]
)
def test_half_of_the_processors_are_left_to_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, processors: int, beside: str
) -> None:
    seen: list[str] = []

    def run(lab: Lab, *_: object, keep: bool) -> Any:
        seen.append(lab.plan.guests)
        raise HostFault("no guest today")

    monkeypatch.setattr("harness.lab.trial.run", run)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    plan = Plan(
        series=None,
        kernel="7.2",
        tree=None,
        base="",
        fragments=(),
        assignments=(),
        folder=tmp_path,
        suites=("suite",),
        guests=asked,
    )
    nothing = cast(Any, None)
    booter = boots.Booter(Lab(plan, nothing, nothing, Accel.TCG, nothing), tmp_path)
    with booter.working():
        for name, keep in (("base", True), ("1", True), ("2", False)):
            build = Build(cast(Any, None), cast(Any, object()), digest=name)
            future = booter.test(build, name, keep=keep)
            assert future
            assert future.result().error == "no guest today"
    assert seen == [beside, beside, asked]
