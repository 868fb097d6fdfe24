# SPDX-License-Identifier: GPL-2.0-only
"""Flaky failures: the error rate is as promised, and the number of runs is bounded."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

import pytest

from harness.bisect.flaky import (
    FAILURES,
    OTHERS,
    FailureRates,
    RunCount,
    all_right,
    decide,
    estimate,
    shares,
)
from harness.model import Call, Observation

CONFIDENCE = 0.99
RATES = (1.0, 0.9, 0.7, 0.5, 0.3, 0.1)


def says(calls: list[Call]) -> Callable[[], Observation]:
    left: Iterator[Call] = iter(calls)
    return lambda: Observation(next(left), "said so")


def coin(rate: float, rng: random.Random) -> Callable[[], Observation]:
    """A kernel that fails at this rate."""
    return lambda: Observation(Call.BAD if rng.random() < rate else Call.GOOD)


def wrong(rate: float) -> float:
    """The exact probability that a bad kernel is called good, over all outcomes at the bad end."""
    total, runs = 0.0, FAILURES
    while runs < FAILURES + 60 / rate:
        chance = (
            math.comb(runs - 1, FAILURES - 1) * rate**FAILURES * (1 - rate) ** (runs - FAILURES)
        )
        needed = FailureRates(RunCount(FAILURES, runs), steady=0).passes_needed(CONFIDENCE)
        total += chance * (1 - rate) ** needed
        runs += 1
    return total


@pytest.mark.parametrize("rate", [*RATES, 0.03])
def test_the_error_is_below_the_promised_one_for_every_rate(rate: float) -> None:
    assert wrong(rate) < 1 - CONFIDENCE


@pytest.mark.parametrize("rate", RATES)
def test_simulated_calls_are_right_as_often_as_promised(rate: float) -> None:
    rng, total = random.Random(7), 1500
    bad_called_good = good_called_bad = 0
    for _ in range(total):
        count, _ = estimate(coin(rate, rng), steady=0)
        rates = FailureRates(count, steady=0)
        bad_called_good += decide(coin(rate, rng), rates).call is Call.GOOD
        good_called_bad += decide(coin(0, rng), rates).call is not Call.GOOD
    allowed = (1 - CONFIDENCE) * total
    assert bad_called_good < allowed + 3 * math.sqrt(allowed)
    assert good_called_bad == 0


@pytest.mark.parametrize("rate", RATES)
def test_the_number_of_runs_is_bounded(rate: float) -> None:
    rng, total = random.Random(8), 400
    at_end = on_good = on_bad = 0
    for _ in range(total):
        count, seen = estimate(coin(rate, rng), steady=0)
        rates = FailureRates(count, steady=0)
        at_end += len(seen)
        on_good += len(decide(coin(0, rng), rates).observations)
        on_bad += len(decide(coin(rate, rng), rates).observations)
    assert at_end / total < 1.2 * FAILURES / rate
    assert on_good / total < 9 / rate  # 4.6 / rate if the rate were known
    assert on_bad / total < 1.2 / rate


def test_one_failure_is_proof() -> None:
    found = decide(says([Call.GOOD, Call.BAD]), FailureRates(RunCount(5, 20)))
    assert (found.call, found.confidence, found.count.rate) == (Call.BAD, 1.0, 0.5)


def test_a_steady_failure_needs_one_pass() -> None:
    count, seen = estimate(says([Call.BAD] * 5))
    assert len(seen) == 3
    found = decide(says([Call.GOOD]), FailureRates(count))
    assert found.call is Call.GOOD
    assert found.confidence >= CONFIDENCE


def test_a_pass_at_the_bad_end_makes_the_failure_flaky() -> None:
    count, seen = estimate(says([Call.BAD, Call.GOOD, *[Call.BAD] * 4]))
    assert (count, len(seen)) == (RunCount(5, 6), 6)
    assert FailureRates(count).passes_needed(CONFIDENCE) > 1


def test_a_bad_end_that_never_fails_is_an_error() -> None:
    count, _ = estimate(says([Call.GOOD] * 20), limit=20)
    assert count == RunCount(0, 20)
    assert count.interval[1] < 0.2
    with pytest.raises(ValueError, match="never failed"):
        decide(says([Call.GOOD]), FailureRates(count))


def test_other_failures_do_not_count() -> None:
    rates = FailureRates(RunCount(2, 2))
    assert decide(says([Call.OTHER, Call.BAD]), rates).call is Call.BAD
    found = decide(says([Call.OTHER] * OTHERS), rates)
    assert (found.call, found.count, found.why) == (Call.OTHER, RunCount(), "said so")


def test_an_untestable_kernel_is_skipped_at_once() -> None:
    found = decide(says([Call.SKIP]), FailureRates(RunCount(2, 2)))
    assert (found.call, found.confidence, found.why) == (Call.SKIP, 0.0, "said so")


def test_trials_of_a_kernel_are_limited() -> None:
    found = decide(coin(0, random.Random(1)), FailureRates(RunCount(5, 500), steady=0), limit=30)
    assert found.call is Call.SKIP
    assert "30 runs" in found.why


def test_the_share_of_each_suspect() -> None:
    rates = FailureRates(RunCount(5, 10), steady=0)
    seen = {4: RunCount(1, 1), 3: RunCount(0, 2), 0: RunCount(0, 30)}
    found = shares([1, 2, 3, 4], seen, rates, lambda tried, suspect: tried >= suspect)
    assert sum(found.values()) == pytest.approx(1)
    assert found[1] == found[2] == found[3] < found[4]
    more = shares(
        [3, 4], seen | {3: RunCount(0, 20)}, rates, lambda tried, suspect: tried >= suspect
    )
    assert more[4] > 0.99


def test_a_failure_of_an_ancestor_acquits_the_suspect() -> None:
    found = shares(
        [1, 2],
        {1: RunCount(1, 3)},
        FailureRates(RunCount(2, 2)),
        lambda tried, suspect: tried >= suspect,
    )
    assert found == {1: 1.0, 2: 0.0}


def test_the_reported_confidence_is_true() -> None:
    """Bisections of 16 commits where one run of three fails: how often the answer is right."""
    rng, right, claimed, total = random.Random(10), 0, 0.0, 150
    for _ in range(total):
        culprit, low, high = rng.randrange(1, 17), 0, 16
        count, _ = estimate(coin(0.3, rng), steady=0)
        rates, seen = FailureRates(count, steady=0), {16: RunCount(1, 1)}
        while high - low > 1:
            middle = (low + high) // 2
            made = decide(coin(0.3 if middle >= culprit else 0, rng), rates)
            seen[middle] = made.count
            low, high = (low, middle) if made.call is Call.BAD else (middle, high)
        answer = shares(range(1, 17), seen, rates, lambda tried, suspect: tried >= suspect)
        right += high == culprit
        claimed += answer[high]
    assert right / total > 0.96
    assert claimed / total > 0.98


def test_the_confidence_of_all_steps_together() -> None:
    assert all_right([0.99, 0.98]) == pytest.approx(0.97)
    assert all_right([]) == 1.0
