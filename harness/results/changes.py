# SPDX-License-Identifier: GPL-2.0-only
"""What differs between the base's tests and the patched kernel's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from harness.model import Change, Outcome, Side, SideResult, Test


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


def counts(tests: Iterable[Test]) -> dict[Outcome, int]:
    """Count outcomes, in the order Outcome lists them, zeros left out."""
    found = Counter(test.outcome for test in tests)
    return {outcome: found[outcome] for outcome in Outcome if found[outcome]}
