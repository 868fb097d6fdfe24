# SPDX-License-Identifier: GPL-2.0-only
"""What differs between the base's tests and the patched kernel's."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable

from harness.model import Change, Outcome, Run, Side, SideResult, Test


def changes(sides: Iterable[SideResult]) -> tuple[Change, ...]:
    """Give the tests whose outcome differs between base and patched, in the patched one's order.

    A test that one side does not have counts as not run there.
    """
    by_side = {result.side: {t.id: t.outcome for t in result.tests} for result in sides}
    if len(by_side) < 2:
        return ()
    base, patched = by_side[Side.BASE], by_side[Side.PATCHED]
    both = [
        (t, base.get(t, Outcome.NOTRUN), patched.get(t, Outcome.NOTRUN)) for t in base | patched
    ]
    return tuple(Change(test, before, after) for test, before, after in both if before is not after)


def settled(run: Run) -> Run:
    """Give a run as people are told of it: a test under way when it was stopped is no crash.

    It counts as one that did not run.  run.json says so itself, unless it is an older harness's.
    """
    if not run.interrupted:
        return run
    sides = tuple(side if side.cached else _settled(side) for side in run.sides)
    return dataclasses.replace(run, sides=sides, changes=changes(sides))


def _settled(side: SideResult) -> SideResult:
    tests = tuple(
        dataclasses.replace(one, outcome=Outcome.NOTRUN)
        if one.outcome is Outcome.CRASH and not one.message
        else one
        for one in side.tests
    )
    return dataclasses.replace(side, tests=tests)


def counts(tests: Iterable[Test]) -> dict[Outcome, int]:
    """Count outcomes, in the order Outcome lists them, zeros left out."""
    found = Counter(test.outcome for test in tests)
    return {outcome: found[outcome] for outcome in Outcome if found[outcome]}
