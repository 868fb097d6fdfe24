# SPDX-License-Identifier: GPL-2.0-only
"""The verdict, and the single rule that classifies how a test changed."""

from __future__ import annotations

import dataclasses
import enum

from harness.model.outcome import Outcome


class Verdict(enum.StrEnum):
    """The result of a run, a check, a comparison or a bisection.

    NONE: it was interrupted, or the machine failed.  A bisection has its own verdicts: FOUND,
    UNPROVEN (the proof contradicts the answer), UNDECIDED (the remaining commits are untestable).
    MEASURED is a mutation's when no score was asked for: the score is the answer.
    """

    GOOD = "good"
    BAD = "bad"
    UNTESTABLE = "untestable"
    NONE = "no verdict"
    FOUND = "found"
    UNPROVEN = "not proven"
    UNDECIDED = "not decided"
    MEASURED = "measured"

    @classmethod
    def _missing_(cls, value: object) -> Verdict | None:
        return cls.NONE if value == "none" else None  # written by older harnesses

    @classmethod
    def of(cls, code: int | None) -> Verdict:
        """Return the verdict that corresponds to an exit code of a run or a check."""
        codes = {verdict.exit_code: verdict for verdict in (cls.GOOD, cls.BAD, cls.UNTESTABLE)}
        return cls.NONE if code is None else codes.get(code, cls.NONE)

    @property
    def exit_code(self) -> int:
        """The exit code, as ``git bisect run`` expects it (see harness.errors)."""
        return _CODES[self]


_CODES = {
    Verdict.GOOD: 0,
    Verdict.BAD: 1,
    Verdict.UNTESTABLE: 125,
    Verdict.NONE: 128,
    Verdict.FOUND: 0,
    Verdict.UNPROVEN: 1,
    Verdict.UNDECIDED: 125,
    Verdict.MEASURED: 0,
}


class ChangeKind(enum.StrEnum):
    """How a test changed from one kernel to the other.

    SUSPECT: it looks like a regression, but was not rerun on both kernels.  CHANGED: the outcome
    differs, but is good on both kernels or bad on both.
    """

    REGRESSION = "regression"
    SUSPECT = "suspect"
    FIX = "fix"
    FLAKY = "flaky"
    CHANGED = "changed"
    NEW = "new"
    GONE = "gone"
    SAME = "same"


#: Why a test is not good: the series broke it; it is flaky, which is allowed.
BROKEN, ALLOWED = "broken by the series", "flaky (allowed)"

#: The outcomes of a test's reruns on the base and on the patched kernel.
Again = tuple[tuple[Outcome, ...], tuple[Outcome, ...]]


def change_kind(base: Outcome, patched: Outcome, again: Again = ((), ())) -> ChangeKind:
    """Return how a test changed.  This is the only such rule; every output uses it.

    A regression was rerun on both kernels, and was good on the base and bad on the patched kernel
    every time.  A test that is bad on a kernel only sometimes is flaky.  A test that passes
    although it is expected to fail (XPASS) counts as good here.
    """
    if Outcome.NOTRUN in (base, patched):
        if base is patched:
            return ChangeKind.SAME
        return ChangeKind.NEW if base is Outcome.NOTRUN else ChangeKind.GONE
    if Outcome.FLAKY in (base, patched):
        return ChangeKind.FLAKY
    if base is patched:
        return ChangeKind.SAME
    if _bad(base) is _bad(patched):
        return ChangeKind.CHANGED
    return ChangeKind.FIX if _bad(base) else _suspect(*again)


def _suspect(base: tuple[Outcome, ...], patched: tuple[Outcome, ...]) -> ChangeKind:
    if any(map(_bad, base)) or not all(map(_bad, patched)):
        return ChangeKind.FLAKY
    return ChangeKind.REGRESSION if base and patched else ChangeKind.SUSPECT


def _bad(outcome: Outcome) -> bool:
    return outcome.bad and outcome is not Outcome.XPASS


@dataclasses.dataclass(frozen=True)
class Change:
    """A test on which two kernels differ; it is NOTRUN on a kernel that does not have it.

    ``text`` is the headline of its failure.  ``kind`` follows from the other fields.
    """

    test: str
    base: Outcome
    patched: Outcome
    text: str = ""
    again: Again = ((), ())
    kind: ChangeKind = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        """Store the kind, so that readers of the JSON do not need this rule."""
        object.__setattr__(self, "kind", change_kind(self.base, self.patched, self.again))

    @property
    def broken(self) -> bool:
        """Whether the patched kernel broke the test, or seems to."""
        return self.kind in (ChangeKind.REGRESSION, ChangeKind.SUSPECT)

    @property
    def fixed(self) -> bool:
        """Whether the patched kernel fixed the test."""
        return self.kind is ChangeKind.FIX

    @property
    def bad(self) -> bool:
        """Whether it counts against the patched kernel: broken, or new and not good."""
        return self.broken or (self.kind is ChangeKind.NEW and _bad(self.patched))
