# SPDX-License-Identifier: GPL-2.0-only
"""Every test's change between two kernels, and the word for it.  Pure."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from harness.model import Outcome, Test


class Kind(enum.StrEnum):
    """What became of a test.  SUSPECT: it looks like a regression, and was not run again."""

    REGRESSION = "regression"
    SUSPECT = "suspect"
    FIX = "fix"
    FLAKY = "flaky"
    CHANGED = "changed"
    NEW = "new"
    GONE = "gone"


@dataclasses.dataclass(frozen=True)
class Difference:
    """A test that differs; outcomes are None where it is not there.

    ``again`` are the outcomes of the times it was run again, on the base and on the patched.
    """

    test: str
    kind: Kind
    base: Outcome | None
    patched: Outcome | None
    text: str = ""
    again: tuple[tuple[Outcome, ...], tuple[Outcome, ...]] = ((), ())


def differences(base: Mapping[str, Test], patched: Mapping[str, Test]) -> list[Difference]:
    """Give the tests that differ, worst kind first, otherwise in their order.

    What fails on both sides in another way is CHANGED; the same failure is no difference.  A
    failure that was seen twice on the patched kernel is still only suspected here.
    """
    found = []
    for test in [*patched, *(one for one in base if one not in patched)]:
        old, new = base.get(test), patched.get(test)
        kind = _kind(old, new)
        if kind is not None:
            shown = new or old
            text = shown.headline if shown else ""
            outcomes = (old.outcome if old else None, new.outcome if new else None)
            found.append(Difference(test, kind, *outcomes, text))
    order = list(Kind)
    return sorted(found, key=lambda one: order.index(one.kind))


def _kind(old: Test | None, new: Test | None) -> Kind | None:
    if old is None:
        return Kind.NEW
    if new is None:
        return Kind.GONE
    if Outcome.FLAKY in (old.outcome, new.outcome):
        return Kind.FLAKY
    if old.outcome is new.outcome:
        return None
    if new.outcome.bad is not old.outcome.bad:
        return Kind.SUSPECT if new.outcome.bad else Kind.FIX
    return Kind.CHANGED


def judged(one: Difference, base: tuple[Outcome, ...], patched: tuple[Outcome, ...]) -> Difference:
    """Say what a suspect is, now that it was run again on both kernels.

    Only what is good on the base each time, and bad on the patched kernel each time, is a
    regression.  Where one of them could not be run it stays suspected.
    """
    kind = Kind.SUSPECT
    if base and patched:
        same = not any(o.bad for o in base) and all(o.bad for o in patched)
        kind = Kind.REGRESSION if same else Kind.FLAKY
    return dataclasses.replace(one, kind=kind, again=(base, patched))
