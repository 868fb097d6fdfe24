# SPDX-License-Identifier: GPL-2.0-only
"""How often a flaky failure must stay away before a kernel may be called good.  Pure statistics.

A failure that was seen is proof (where good kernels never show it); one that was not seen is only
a hint, and how strong a hint depends on how often bad kernels fail.  That rate is measured at the
bad end, by running until the failure was seen ``FAILURES`` times.  Its posterior under the prior
1/rate is Beta(failures, passes + 1).  With it the chance that so many runs of a bad kernel all
pass is an average over the rates that could be, and keeps its promise for every single true rate,
too: the stopping rule and the prior belong together.

Most failures are not flaky.  ``steady`` is the share of those that happen every time; while every
run of the bad end has failed, it counts in favour of one run being enough.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

from harness.model import Call, Observation
from harness.results import statistics

FAILURES = 5  # seen at the bad end: more is a better rate, and fewer runs later
STEADY = 0.9
LIMIT = 1000  # trials of one kernel
_HUGE = 700.0  # its exponential is still a number
OTHERS = 3  # trials that fail in another way, before we believe that there is no other answer

_T = TypeVar("_T", bound=Hashable)


@dataclasses.dataclass(frozen=True)
class Count:
    """How many ``runs`` there were that could tell, and in how many the failure was seen."""

    failures: int = 0
    runs: int = 0

    @property
    def passes(self) -> int:
        """The runs in which the failure was not seen."""
        return self.runs - self.failures

    @property
    def rate(self) -> float:
        """The share of runs that failed; 0 without any run."""
        return self.failures / self.runs if self.runs else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The bounds of the true rate, with 95 % confidence."""
        return statistics.interval(self.failures, self.runs)

    def __add__(self, other: Count) -> Count:
        return Count(self.failures + other.failures, self.runs + other.runs)


@dataclasses.dataclass(frozen=True)
class Decision:
    """What a kernel was called, and how sure that is.

    ``rate`` is the share of its own runs that failed, ``interval`` holds the true one with 95 %;
    ``confidence`` is the probability that the call is right, 0 for SKIP and OTHER, which say
    nothing.  ``why`` is a line for people.
    """

    call: Call
    observations: tuple[Observation, ...]
    count: Count
    confidence: float
    why: str = ""

    @property
    def rate(self) -> float:
        """The share of runs that failed."""
        return self.count.rate

    @property
    def interval(self) -> tuple[float, float]:
        """The bounds of the true rate, with 95 % confidence."""
        return self.count.interval


@dataclasses.dataclass(frozen=True)
class Rates:
    """What is known of the failure: counts at the bad and at the good end.

    Without a failure at the good end, good kernels are taken never to fail.  ``steady`` is the
    share of failures that are not flaky; 0 when this one is known to be, or may well be.
    """

    bad: Count
    good: Count = Count()
    steady: float = STEADY

    def log_bad(self, seen: Count) -> float:
        """Give the log of the chance to see this on a bad kernel, in one certain order."""
        known = self.bad
        if not known.failures:
            raise ValueError("the bad end has never failed, so nothing is known of its rate")
        flaky = _ratio(seen, known.failures, known.passes + 1)
        if known.passes or not self.steady:
            return flaky
        # Both kinds have failed each time so far; a steady failure was bound to.
        always = self.steady / (self.steady + (1 - self.steady) / (known.runs + 1))
        sure = always if not seen.passes else 0.0
        return math.log(sure + (1 - always) * math.exp(flaky)) if always < 1 else _log(sure)

    def log_good(self, seen: Count) -> float:
        """Give the same for a good kernel."""
        if not self.good.failures:
            return -math.inf if seen.failures else 0.0
        return _ratio(seen, self.good.failures, self.good.passes + 1)

    def chance_bad(self, seen: Count) -> float:
        """Give the probability that a kernel is bad of which nothing else is known."""
        odds = self.log_good(seen) - self.log_bad(seen)
        return 1 / (1 + math.exp(odds)) if odds < _HUGE else 0.0

    def call(self, seen: Count, confidence: float) -> Call | None:
        """Call a kernel, by Wald's test of one likelihood against the other; None: go on."""
        odds, enough = self.log_good(seen) - self.log_bad(seen), -math.log(1 - confidence)
        if abs(odds) < enough or not seen.runs:
            return None
        return Call.GOOD if odds > 0 else Call.BAD

    def passes_needed(self, confidence: float) -> int:
        """Give how many runs in a row must pass before a kernel is called good, up to LIMIT."""
        runs = range(1, LIMIT)
        return 1 + bisect.bisect_left(
            runs, 1, key=lambda n: int(self.call(Count(0, n), confidence) is Call.GOOD)
        )


def enough(confidence: float) -> int | None:
    """Give how many runs must all fail before one that passes may call a kernel good.

    None when FAILURES of them do not: such confidence takes several runs of each kernel.
    """
    runs = range(1, FAILURES + 1)
    return next((n for n in runs if Rates(Count(n, n)).passes_needed(confidence) == 1), None)


def estimate(
    observe: Callable[[], Observation],
    *,
    confidence: float = 0.99,
    steady: float = STEADY,
    limit: int = LIMIT,
) -> tuple[Count, tuple[Observation, ...]]:
    """Try a kernel that is bad until its rate of failing is known well enough.

    That is when it failed FAILURES times, or when so far each run failed and one run will do to
    call a kernel good.  Trials that could not tell count towards the limit only.
    """
    seen: list[Observation] = []
    count = Count()
    while len(seen) < limit and count.failures < FAILURES:
        seen.append(observe())
        count += _counted(seen[-1])
        if seen[-1].call is Call.SKIP:
            break
        all_failed = count.failures and not count.passes
        if steady and all_failed and Rates(count, steady=steady).passes_needed(confidence) == 1:
            break
    return count, tuple(seen)


def decide(
    observe: Callable[[], Observation],
    rates: Rates,
    *,
    confidence: float = 0.99,
    limit: int = LIMIT,
) -> Decision:
    """Try one kernel until the probability that it is called wrongly is below 1 - confidence.

    SKIP: it cannot be tested, or is not decided after ``limit`` trials.  OTHER: OTHERS trials
    in a row failed in another way than the one that is looked for.
    """
    seen: list[Observation] = []
    count, others = Count(), 0
    while len(seen) < limit:
        seen.append(observe())
        count += _counted(seen[-1])
        if seen[-1].call is Call.SKIP:
            return Decision(Call.SKIP, tuple(seen), count, 0.0, seen[-1].why)
        others = others + 1 if seen[-1].call is Call.OTHER else 0
        if others >= OTHERS:
            return Decision(Call.OTHER, tuple(seen), count, 0.0, seen[-1].why)
        if call := rates.call(count, confidence):
            bad = rates.chance_bad(count)
            sure = bad if call is Call.BAD else 1 - bad
            return Decision(call, tuple(seen), count, sure, _words(call, count))
    why = f"not decided after {len(seen)} runs, {count.failures} of which failed"
    return Decision(Call.SKIP, tuple(seen), count, 0.0, why)


def shares(
    suspects: Sequence[_T],
    seen: Mapping[_T, Count],
    rates: Rates,
    contains: Callable[[_T, _T], bool],
) -> dict[_T, float]:
    """Give for each suspect the probability that it is the one that made the failure.

    ``seen`` are the counts of all that was tried; ``contains(tried, suspect)`` says whether a
    tried one has the suspect in it.  Everything with the culprit is bad, everything else good.
    """
    weights = []
    for suspect in suspects:
        with_it = sum((n for each, n in seen.items() if contains(each, suspect)), Count())
        without = sum((n for each, n in seen.items() if not contains(each, suspect)), Count())
        weights.append(rates.log_bad(with_it) + rates.log_good(without))
    top = max(weights, default=-math.inf)
    if top == -math.inf:
        return dict.fromkeys(suspects, 0.0)
    parts = [math.exp(weight - top) for weight in weights]
    return {each: part / sum(parts) for each, part in zip(suspects, parts, strict=True)}


def whole(steps: Sequence[float]) -> float:
    """Give the least probability that every one of some calls is right."""
    return max(0.0, 1 - sum(1 - each for each in steps))


def _counted(one: Observation) -> Count:
    """Trials that fail in another way say nothing of the failure that is looked for."""
    return Count(int(one.call is Call.BAD), int(one.call in (Call.BAD, Call.GOOD)))


def _ratio(seen: Count, a: float, b: float) -> float:
    """Give the log of B(a + failures, b + passes) / B(a, b)."""
    return _log_beta(a + seen.failures, b + seen.passes) - _log_beta(a, b)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _words(call: Call, count: Count) -> str:
    if call is Call.BAD:
        return f"failed in {count.failures} of {count.runs} runs"
    return f"{count.runs} runs without the failure" if count.runs > 1 else "without the failure"
