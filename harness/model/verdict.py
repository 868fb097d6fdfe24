# SPDX-License-Identifier: GPL-2.0-only
"""What it means: the verdict, what a series changes, and a whole run."""

from __future__ import annotations

import dataclasses
import enum
import functools
from pathlib import Path

from harness.model.found import Outcome, SideResult, Splat, Test
from harness.model.given import Series, Source
from harness.model.kernel import Warning  # noqa: A004


class Verdict(enum.StrEnum):
    """The answer of a run, a check, a comparison or a bisection.

    NONE: it was stopped, or the machine could not do it.  A bisection has answers of its own:
    FOUND, UNPROVEN (the proof contradicts it), UNDECIDED (what is left cannot be tested).
    """

    GOOD = "good"
    BAD = "bad"
    UNTESTABLE = "untestable"
    NONE = "no verdict"
    FOUND = "found"
    UNPROVEN = "not proven"
    UNDECIDED = "not decided"

    @classmethod
    def _missing_(cls, value: object) -> Verdict | None:
        return cls.NONE if value == "none" else None  # in the record of an older harness's run

    @classmethod
    def of(cls, code: int | None) -> Verdict:
        """What an exit code says of a run or a check."""
        known = {one.exit_code: one for one in (cls.GOOD, cls.BAD, cls.UNTESTABLE)}
        return cls.NONE if code is None else known.get(code, cls.NONE)

    @property
    def exit_code(self) -> int:
        """The exit code, as ``git bisect run`` takes it (harness.errors)."""
        return _CODES[self]


_CODES = {
    Verdict.GOOD: 0,
    Verdict.BAD: 1,
    Verdict.UNTESTABLE: 125,
    Verdict.NONE: 128,
    Verdict.FOUND: 0,
    Verdict.UNPROVEN: 1,
    Verdict.UNDECIDED: 125,
}


class Kind(enum.StrEnum):
    """What became of a test from one kernel to another.

    SUSPECT: it looks like a regression, and was not run again on both kernels.  CHANGED: another
    outcome, but good on both kernels or bad on both.
    """

    REGRESSION = "regression"
    SUSPECT = "suspect"
    FIX = "fix"
    FLAKY = "flaky"
    CHANGED = "changed"
    NEW = "new"
    GONE = "gone"
    SAME = "same"


#: Why a test is not good: the series' fault; a flaky one that was allowed.
BROKEN, ALLOWED = "broken by the series", "flaky (allowed)"

#: The outcomes of the times a test was run again, on the base and on the patched kernel.
Again = tuple[tuple[Outcome, ...], tuple[Outcome, ...]]


def kind(base: Outcome, patched: Outcome, again: Again = ((), ())) -> Kind:
    """Say what became of a test.  This is the one rule; every output uses it.

    A regression is good on the base each time and bad on the patched kernel each time, and was run
    again on both.  Whatever is bad on a kernel only sometimes is flaky.  A test that passes
    although it is expected to fail (XPASS) is good here.
    """
    if Outcome.NOTRUN in (base, patched):
        if base is patched:
            return Kind.SAME
        return Kind.NEW if base is Outcome.NOTRUN else Kind.GONE
    if Outcome.FLAKY in (base, patched):
        return Kind.FLAKY
    if base is patched:
        return Kind.SAME
    if _bad(base) is _bad(patched):
        return Kind.CHANGED
    return Kind.FIX if _bad(base) else _suspect(*again)


def _suspect(base: tuple[Outcome, ...], patched: tuple[Outcome, ...]) -> Kind:
    if any(map(_bad, base)) or not all(map(_bad, patched)):
        return Kind.FLAKY
    return Kind.REGRESSION if base and patched else Kind.SUSPECT


def _bad(outcome: Outcome) -> bool:
    return outcome.bad and outcome is not Outcome.XPASS


@dataclasses.dataclass(frozen=True)
class Change:
    """A test that two kernels do not agree on; one that a kernel does not have is NOTRUN there.

    ``text`` is the headline of its failure.  ``kind`` follows from the rest.
    """

    test: str
    base: Outcome
    patched: Outcome
    text: str = ""
    again: Again = ((), ())
    kind: Kind = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        """Store the kind: whoever reads the JSON should not need our rule."""
        object.__setattr__(self, "kind", kind(self.base, self.patched, self.again))

    @property
    def broken(self) -> bool:
        """Whether the patched kernel broke it, as far as is known."""
        return self.kind in (Kind.REGRESSION, Kind.SUSPECT)

    @property
    def fixed(self) -> bool:
        """Whether the patched kernel made it work."""
        return self.kind is Kind.FIX

    @property
    def bad(self) -> bool:
        """Whether it speaks against the patched kernel: broken, or new and not good."""
        return self.broken or (self.kind is Kind.NEW and _bad(self.patched))


@dataclasses.dataclass(frozen=True)
class Span:
    """A stage of a run: ``began`` in seconds since 1970, ``what`` in words of its progress."""

    name: str
    what: str
    began: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class Run:
    """Everything a run found; run.json is this value (see harness.results).

    ``splats`` and ``warnings`` are those that only the patched kernel has.  ``strict``: a failure
    counts although the base has it too.  ``about`` are (what, its version or size) of the machine
    and the programs that ran it.
    """

    series: Series | None
    source: Source
    folder: Path
    started: str
    seconds: float
    accel: str
    sides: tuple[SideResult, ...]
    changes: tuple[Change, ...] = ()
    stages: tuple[tuple[str, float], ...] = ()
    command: tuple[str, ...] = ()
    interrupted: bool = False
    timeline: tuple[Span, ...] = ()
    about: tuple[tuple[str, str], ...] = ()
    splats: tuple[Splat, ...] = ()
    warnings: tuple[Warning, ...] = ()
    strict: bool = False

    @property
    def judged(self) -> SideResult:
        """The kernel the verdict is about: the patched one, or the only one."""
        return self.sides[-1]

    @property
    def compared(self) -> bool:
        """Whether there is a base to compare with, which did boot."""
        return len(self.sides) > 1 and not self.sides[0].error

    @property
    def verdict(self) -> Verdict:
        """What the run says of the series; of the kernel where there is no base.

        With a base only what the series makes worse is bad.  Two kernels that both do not boot
        tell nothing of a series, and neither do tests that ran on none of them.
        """
        if self.interrupted or not self.sides:
            return Verdict.NONE
        if all(side.error for side in self.sides) and len(self.sides) > 1:
            return Verdict.UNTESTABLE
        bad = self._worse if self.compared else self.judged.bad
        if bad or (self.strict and any(map(self.counts, self.failing))):
            return Verdict.BAD
        return Verdict.NONE if self.judged.left else Verdict.GOOD

    @property
    def _worse(self) -> bool:
        changed = any(one.bad for one in self.changes)
        return bool(changed or self.judged.error or self.missed or self.splats or self.warnings)

    @property
    def missed(self) -> int:
        """How many tests of the judged kernel were not run, although they ran on the base."""
        gone = {one.test for one in self.changes if one.kind is Kind.GONE}
        tests = (one for one in self.judged.tests if one.outcome is Outcome.NOTRUN)
        return sum(one.id in gone for one in tests) if self.compared else self.judged.left

    @property
    def failing(self) -> tuple[Test, ...]:
        """The tests of the judged kernel that are not good; one that did not run tells nothing."""
        tests = self.judged.tests
        return tuple(one for one in tests if one.outcome.bad and one.outcome is not Outcome.NOTRUN)

    def change(self, test: str) -> Change | None:
        """Give what the kernels do not agree on; None where they do."""
        return self._changed.get(test)

    def reason(self, test: Test) -> str:
        """Say why a test of the judged kernel that is not good counts, or does not."""
        change = self.change(test.id)
        if self.judged.allows(test):
            return ALLOWED
        if not self.compared:
            return f"failing on the {self.judged.side} kernel"
        if change is not None and change.bad:
            return BROKEN if change.broken else "failing, with no result on the base"
        if self._newly(test):
            return "failing with a new splat"
        if change is not None and change.kind is Kind.FLAKY:
            steady = test.outcome is Outcome.FLAKY and not change.base.bad
            return "flaky with the series, good without it" if steady else "flaky"
        unexpected = test.outcome is Outcome.XPASS
        return "passing unexpectedly" if unexpected else "also failing without the series"

    def counts(self, test: Test) -> bool:
        """Whether a test of the judged kernel that is not good makes the run bad."""
        if self.judged.allows(test):
            return False
        if test.outcome is Outcome.NOTRUN:
            return True
        change = self.change(test.id)
        worse = self._newly(test) or bool(change and change.bad)
        return self.strict or not self.compared or worse

    def _newly(self, test: Test) -> bool:
        """Whether the kernel complained during a test as the base never did."""
        return any(one.name in self._new for one in test.splats)

    @property
    def boot_splats(self) -> tuple[Splat, ...]:
        """What the judged kernel complained of at boot, as far as it counts."""
        found = self.judged.boot_splats
        if self.strict or not self.compared:
            return found
        return tuple(one for one in found if one.name in self._new)

    @functools.cached_property
    def _changed(self) -> dict[str, Change]:
        return {one.test: one for one in self.changes}

    @functools.cached_property
    def _new(self) -> frozenset[str]:
        return frozenset(one.name for one in self.splats)
