# SPDX-License-Identifier: GPL-2.0-only
"""A run: what it tested, the results, and what they mean for the series."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from harness.model.kernel import CompilerWarning, Option
from harness.model.lines import SeriesLines
from harness.model.outcome import Outcome, Splat, Test, Trial
from harness.model.plan import Plan
from harness.model.series import Series, Source
from harness.model.verdict import ALLOWED, BROKEN, Change, ChangeKind, Verdict


@dataclasses.dataclass(frozen=True)
class Span:
    """A stage of a run; ``began`` is in seconds since the epoch, ``what`` its progress line."""

    name: str
    what: str
    began: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class FailureGroup:
    """Tests of the judged kernel that are not good for the same ``reason``.

    ``counts``: they make the run bad.
    """

    reason: str
    tests: tuple[Test, ...]
    counts: bool


@dataclasses.dataclass(frozen=True)
class Run:
    """All results of a run; run.json is this value (see harness.results).

    ``splats`` and ``warnings`` are those that only the patched kernel has.  ``strict``: a failure
    counts even if the base has it too.  ``about`` lists (name, version or size) of the machine and
    of the programs that a result depends on.  ``plan`` is what was requested; runs of older
    harnesses have none.  ``followed`` are the options that were added for the series; ``lines``
    says which of its lines are in the judged kernel (None: not known).
    """

    series: Series | None
    source: Source
    folder: Path
    started: str
    seconds: float
    accel: str
    sides: tuple[Trial, ...]
    changes: tuple[Change, ...] = ()
    stages: tuple[tuple[str, float], ...] = ()
    command: tuple[str, ...] = ()
    interrupted: bool = False
    timeline: tuple[Span, ...] = ()
    about: tuple[tuple[str, str], ...] = ()
    splats: tuple[Splat, ...] = ()
    warnings: tuple[CompilerWarning, ...] = ()
    strict: bool = False
    plan: Plan | None = None
    followed: tuple[Option, ...] = ()
    lines: SeriesLines | None = None

    @property
    def judged(self) -> Trial:
        """The kernel that the verdict is about: the patched kernel, or the only kernel."""
        return self.sides[-1]

    @property
    def compared(self) -> bool:
        """Whether there is a base to compare with, and it booted."""
        return len(self.sides) > 1 and not self.sides[0].error

    @property
    def verdict(self) -> Verdict:
        """The verdict on the series; without a base, on the kernel.

        With a base, only what the series makes worse is bad.  If both kernels fail to boot, or a
        test ran on neither, that is no evidence about the series.
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
        changed = any(change.bad for change in self.changes)
        return bool(changed or self.judged.error or self.missed or self.splats or self.warnings)

    @property
    def missed(self) -> int:
        """The number of tests that ran on the base but not on the judged kernel."""
        if not self.compared:
            return self.judged.left
        gone = {change.test for change in self.changes if change.kind is ChangeKind.GONE}
        return sum(test.outcome is Outcome.NOTRUN and test.id in gone for test in self.judged.tests)

    @property
    def failing(self) -> tuple[Test, ...]:
        """The tests that ran on the judged kernel and are not good."""
        return tuple(
            test
            for test in self.judged.tests
            if test.outcome.bad and test.outcome is not Outcome.NOTRUN
        )

    @functools.cached_property
    def failure_groups(self) -> tuple[FailureGroup, ...]:
        """The failing tests by reason: first broken tests, then others that count."""
        if not self.sides:
            return ()
        groups: dict[tuple[bool, str], list[Test]] = {}
        for test in self.failing:
            groups.setdefault((self.counts(test), self.reason(test)), []).append(test)
        order = sorted(groups, key=lambda key: (not key[0], key[1] != BROKEN))
        return tuple(FailureGroup(key[1], tuple(groups[key]), key[0]) for key in order)

    @property
    def blamed(self) -> tuple[Test, ...]:
        """The tests that ran and make the run bad."""
        return tuple(test for group in self.failure_groups if group.counts for test in group.tests)

    def change(self, test: str) -> Change | None:
        """Return how a test differs between the kernels; None if it does not."""
        return self._changed.get(test)

    def reason(self, test: Test) -> str:
        """Explain why a test of the judged kernel that is not good counts, or does not count."""
        change = self.change(test.id)
        if self.judged.allows(test):
            return ALLOWED
        if not self.compared:
            return f"failing on the {self.judged.side} kernel"
        if change is not None and change.bad:
            return BROKEN if change.broken else "failing, with no result on the base"
        if self._has_new_splat(test):
            return "failing with a new splat"
        if change is not None and change.kind is ChangeKind.FLAKY:
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
        worse = self._has_new_splat(test) or bool(change and change.bad)
        return self.strict or not self.compared or worse

    def _has_new_splat(self, test: Test) -> bool:
        return any(splat.name in self._new_splats for splat in test.splats)

    @property
    def boot_splats(self) -> tuple[Splat, ...]:
        """The boot splats of the judged kernel that count."""
        splats = self.judged.boot_splats
        if self.strict or not self.compared:
            return splats
        return tuple(splat for splat in splats if splat.name in self._new_splats)

    @functools.cached_property
    def _changed(self) -> dict[str, Change]:
        return {change.test: change for change in self.changes}

    @functools.cached_property
    def _new_splats(self) -> frozenset[str]:
        return frozenset(splat.name for splat in self.splats)
