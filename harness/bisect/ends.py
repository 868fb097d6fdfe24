# SPDX-License-Identifier: GPL-2.0-only
"""Both ends are tried first: the failure is there where it is said to be, and not elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from harness.bisect import sequential
from harness.bisect.hunt import Judge
from harness.bisect.live import Live
from harness.bisect.sequential import Count, Decision, Rates
from harness.bisect.values import Call, Candidate, Observation
from harness.errors import HarnessError, Untestable, UsageError


class _NeverFailed(Exception):
    pass


def failing(judge: Judge, candidate: Candidate, live: Live, trials: int) -> None:
    """See that the failure shows here, and how often; from then on the judge knows its rate.

    Raises UsageError when it does not show in ``trials`` runs, Untestable when there are none.
    """
    prober, seen = judge.prober, list[Observation]()
    trial = judge.observer(candidate, "end")
    live.at(f"does it fail at {candidate.name}?")

    def observe() -> Observation:
        if len(seen) >= trials and all(one.call is not Call.BAD for one in seen):
            raise _NeverFailed
        if prober.signature.steady and seen:
            return seen[0]
        seen.append(trial())
        if seen[-1].call is Call.OTHER and judge.rule.other is not Call.BAD:
            raise _NeverFailed
        return _taken(seen[-1], judge.rule.other)

    try:
        count, _ = sequential.estimate(observe, confidence=judge.rule.confidence)
    except _NeverFailed:
        count = Count()
    if not count.failures:
        raise _wrong(candidate, seen[-1], prober.signature, Call.BAD, len(seen))
    rates = Rates(count)
    judge.rule = dataclasses.replace(judge.rule, rates=rates)
    why = seen[0].why if not count.passes else f"failed in {count.failures} of {count.runs} runs"
    decision = Decision(Call.BAD, tuple(seen), count, 1.0, why)
    judge.know(candidate, decision)
    live.decided(candidate, decision, "end")
    if judge.patient:
        live.flaky(rates.passes_needed(judge.rule.confidence), prober.repeats)


def _taken(one: Observation, other: Call) -> Observation:
    return dataclasses.replace(one, call=other) if one.call is Call.OTHER else one


def others(judge: Judge, candidates: Sequence[Candidate], wanted: Call, live: Live) -> None:
    """See that each of these is GOOD, or BAD.

    Raises UsageError when one is not, Untestable when it cannot be told.
    """
    for candidate in candidates:
        live.at(f"is {candidate.name} {wanted}?")
        decision = judge.decide(candidate)
        live.decided(candidate, decision, "end")
        call = judge.rule.other if decision.call is Call.OTHER else decision.call
        if call is not wanted:
            last = dataclasses.replace(decision.observations[-1], why=decision.why)
            runs = len(decision.observations)
            raise _wrong(candidate, last, judge.prober.signature, wanted, runs)


def _wrong(
    candidate: Candidate, last: Observation, signature: object, wanted: Call, runs: int
) -> HarnessError:
    """Say what is wrong with an end."""
    where = f"see {last.folder}" if last.folder else ""
    if last.call is Call.SKIP:
        return Untestable(f"{candidate.name} cannot be tested: {last.why}", hint=where)
    if last.call is Call.OTHER:
        return UsageError(
            f"{candidate.name} fails in another way than looked for ({signature}): {last.why}",
            hint="--other good (or bad) says what that counts as",
            details=where,
        )
    if wanted is Call.BAD:
        return UsageError(
            f"{candidate.name} does not fail so, in {runs} runs: {signature}",
            hint="--trials N when it is rarer than that",
            details=f"{last.why}\n{where}",
        )
    return UsageError(
        f"{candidate.name} shows the failure as well: {last.why}",
        hint="name an end without it; --find-fix when the failure went away",
        details=where,
    )
