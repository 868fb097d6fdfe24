# SPDX-License-Identifier: GPL-2.0-only
"""Commands to type next, made from the plan that was typed."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence

from harness import options
from harness.model import Outcome, Plan, Run, SideResult, Test


def the_same(plan: Plan) -> str:
    """Return the command that does the same once more, with what is already made.

    The folder of the evidence is taken, so the next run gets its own.
    """
    return shlex.join(options.command(dataclasses.replace(plan.typed or plan, out=None)))


def alone(run: Run, test: str) -> str:
    """Return the command that runs one test on the kernel that was judged."""
    if run.plan is None:
        return ""
    usual = Plan()
    only = dataclasses.replace(
        run.plan,
        suites=(test,),
        patched_only=run.series is not None,
        keyword=usual.keyword,
        repeat=usual.repeat,
        retry=usual.retry,
        reruns=usual.reruns,
        strict=usual.strict,
        out=None,
    )
    return shlex.join(options.command(only))


def so_far(sides: Sequence[SideResult]) -> str:
    """Say how far the tests were: "base tested, patched 45 of 131 tests"."""
    parts = []
    for side in sides:
        ran = [test for test in side.tests if _ended(test)]
        whole = side.tests and len(ran) == len(side.tests)
        words = f"{side.side} tested" if whole else f"{side.side} {len(ran)} of {len(side.tests)}"
        parts.append(words if whole or side.tests else f"{side.side} not begun")
    return ", ".join(parts) + (" tests" if parts and "of" in parts[-1].split() else "")


def _ended(test: Test) -> bool:
    """Tell a test that came to an end from one that was under way: that says nothing yet."""
    return bool(test.attempts) and bool(test.message or test.outcome is not Outcome.CRASH)
