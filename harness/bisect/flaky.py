# SPDX-License-Identifier: GPL-2.0-only
"""How many runs must pass before a kernel is called good, when the failure is flaky.  Pure.

One failure proves that a kernel is bad: good kernels never fail.  A pass is only a hint; its weight
depends on how often bad kernels fail.  That rate is measured at the bad end, which is run until it
has failed ``FAILURES`` times.  The posterior of the rate under the prior 1/rate is Beta(failures,
passes + 1).  The chance that N runs of a bad kernel all pass is averaged over this posterior.  For
every true rate, the probability of error stays below the promised bound, because the prior matches
the stopping rule.

Most failures are not flaky.  ``steady`` is the prior share of failures that happen every time.  As
long as every run of the bad end fails, this prior reduces the number of passes needed.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from harness.model import Call, Observation
from harness.results import statistics

FAILURES = 5  # needed at the bad end; more give a better estimate, and fewer runs later
STEADY = 0.9
LIMIT = 1000  # trials of one kernel
OTHERS = 3  # trials in a row with another failure before the call is OTHER
_HUGE = 700.0  # exp() of a larger number overflows

_T = TypeVar("_T", bound=Hashable)


@dataclasses.dataclass(frozen=True)
class RunCount:
    """The number of ``runs`` that were good or bad, and of those in which the failure was seen."""

    failures: int = 0
    runs: int = 0

    @property
    def passes(self) -> int:
        return self.runs - self.failures

    @property
    def rate(self) -> float:
        """The share of runs that failed; 0 if there were no runs."""
        return self.failures / self.runs if self.runs else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The bounds of the true rate with 95 % confidence."""
        return statistics.interval(self.failures, self.runs)

    def __add__(self, other: RunCount) -> RunCount:
        return RunCount(self.failures + other.failures, self.runs + other.runs)


@dataclasses.dataclass(frozen=True)
class Decision:
    """The call for a kernel.  ``why`` is a line for display.

    ``confidence`` is the probability that the call is right, 0 for SKIP and OTHER.
    """

    call: Call
    observations: tuple[Observation, ...]
    count: RunCount
    confidence: float
    why: str = ""


@dataclasses.dataclass(frozen=True)
class FailureRates:
    """How often the failure was seen at the bad end; good kernels never show it.

    ``steady`` is the prior probability that the failure happens every time; 0 if it is flaky.
    """

    bad: RunCount
    steady: float = STEADY

    def log_bad(self, seen: RunCount) -> float:
        """Return the log likelihood of these runs, in one particular order, on a bad kernel."""
        bad = self.bad
        if not bad.failures:
            raise ValueError("the bad end has never failed, so its failure rate is unknown")
        # The log of B(a + failures, b + passes) / B(a, b), where Beta(a, b) is the posterior.
        a, b = bad.failures, bad.passes + 1
        flaky = _log_beta(a + seen.failures, b + seen.passes) - _log_beta(a, b)
        if bad.passes or not self.steady:
            return flaky
        # Every run has failed so far: the failure may be steady or flaky.
        always = self.steady / (self.steady + (1 - self.steady) / (bad.runs + 1))
        sure = always if not seen.passes else 0.0
        return math.log(sure + (1 - always) * math.exp(flaky)) if always < 1 else _log(sure)

    def log_good(self, seen: RunCount) -> float:
        """Return the log likelihood of these runs on a good kernel."""
        return -math.inf if seen.failures else 0.0

    def chance_bad(self, seen: RunCount) -> float:
        """Return the probability that a kernel with these runs is bad, with even prior odds."""
        odds = self.log_good(seen) - self.log_bad(seen)
        return 1 / (1 + math.exp(odds)) if odds < _HUGE else 0.0

    def call(self, seen: RunCount, confidence: float) -> Call | None:
        """Call a kernel by Wald's sequential probability ratio test; None: more runs are needed."""
        odds, enough = self.log_good(seen) - self.log_bad(seen), -math.log(1 - confidence)
        if abs(odds) < enough or not seen.runs:
            return None
        return Call.GOOD if odds > 0 else Call.BAD

    def passes_needed(self, confidence: float) -> int:
        """Return how many runs in a row must pass before a kernel is called good, up to LIMIT."""
        runs = range(1, LIMIT)
        return 1 + bisect.bisect_left(
            runs, 1, key=lambda n: int(self.call(RunCount(0, n), confidence) is Call.GOOD)
        )


def enough(confidence: float) -> int | None:
    """Return how many runs of the bad end must all fail before one pass makes a kernel good.

    None if FAILURES runs are too few: this confidence then takes several runs of each kernel.
    """
    runs = range(1, FAILURES + 1)
    return next(
        (n for n in runs if FailureRates(RunCount(n, n)).passes_needed(confidence) == 1), None
    )


def estimate(
    observe: Callable[[], Observation],
    *,
    confidence: float = 0.99,
    steady: float = STEADY,
    limit: int = LIMIT,
) -> tuple[RunCount, tuple[Observation, ...]]:
    """Try a bad kernel until its failure rate is known well enough.

    That is the case after FAILURES failures, or as soon as every run has failed and one passing
    run is enough to call a kernel good.  Trials that are neither good nor bad only count towards
    ``limit``.
    """
    seen: list[Observation] = []
    count = RunCount()
    while len(seen) < limit and count.failures < FAILURES:
        seen.append(observe())
        count += counted(seen[-1])
        if seen[-1].call is Call.SKIP:
            break
        all_failed = count.failures and not count.passes
        if (
            steady
            and all_failed
            and FailureRates(count, steady=steady).passes_needed(confidence) == 1
        ):
            break
    return count, tuple(seen)


def decide(
    observe: Callable[[], Observation],
    rates: FailureRates,
    *,
    confidence: float = 0.99,
    limit: int = LIMIT,
) -> Decision:
    """Try one kernel until the probability of a wrong call is below 1 - confidence.

    SKIP: it cannot be tested, or is undecided after ``limit`` trials.  OTHER: OTHERS trials in a
    row had another failure.
    """
    seen: list[Observation] = []
    count, others = RunCount(), 0
    while len(seen) < limit:
        seen.append(observe())
        count += counted(seen[-1])
        if seen[-1].call is Call.SKIP:
            return Decision(Call.SKIP, tuple(seen), count, 0.0, seen[-1].why)
        others = others + 1 if seen[-1].call is Call.OTHER else 0
        if others >= OTHERS:
            return Decision(Call.OTHER, tuple(seen), count, 0.0, seen[-1].why)
        if call := rates.call(count, confidence):
            bad = rates.chance_bad(count)
            sure = bad if call is Call.BAD else 1 - bad
            return Decision(call, tuple(seen), count, sure, _reason(call, count))
    why = f"undecided after {len(seen)} runs, {count.failures} of them failed"
    return Decision(Call.SKIP, tuple(seen), count, 0.0, why)


def shares(
    suspects: Sequence[_T],
    seen: Mapping[_T, RunCount],
    rates: FailureRates,
    contains: Callable[[_T, _T], bool],
) -> dict[_T, float]:
    """Return for each suspect the probability that it is the culprit.

    ``seen`` has the run counts of each tried commit; ``contains(tried, suspect)`` returns whether
    the tried commit includes the suspect.  Commits that include the culprit are bad, all others are
    good.
    """
    weights = []
    for suspect in suspects:
        with_it = sum((n for tried, n in seen.items() if contains(tried, suspect)), RunCount())
        without = sum((n for tried, n in seen.items() if not contains(tried, suspect)), RunCount())
        weights.append(rates.log_bad(with_it) + rates.log_good(without))
    top = max(weights, default=-math.inf)
    if top == -math.inf:
        return dict.fromkeys(suspects, 0.0)
    parts = [math.exp(weight - top) for weight in weights]
    total = sum(parts)
    return {suspect: part / total for suspect, part in zip(suspects, parts, strict=True)}


def all_right(confidences: Iterable[float]) -> float:
    """Return a lower bound for the probability that all calls are correct."""
    return max(0.0, 1 - sum(1 - confidence for confidence in confidences))


def counted(trial: Observation) -> RunCount:
    """Count a trial; a trial with another failure does not count."""
    return RunCount(int(trial.call is Call.BAD), int(trial.call in (Call.BAD, Call.GOOD)))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _reason(call: Call, count: RunCount) -> str:
    if call is Call.BAD:
        return f"failed in {count.failures} of {count.runs} runs"
    return f"{count.runs} runs without the failure" if count.runs > 1 else "without the failure"
