# SPDX-License-Identifier: GPL-2.0-only
"""Both ends are tried first: the failure is there where it is said to be, and not elsewhere."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import functools
from collections.abc import Sequence

from harness.bisect import sequential
from harness.bisect.hunt import Judge
from harness.bisect.live import Live
from harness.bisect.sequential import Count, Decision, Rates
from harness.errors import HarnessError, Untestable, UsageError
from harness.model import Call, Candidate, Observation

END = "end"  # the phase of the trials


class _NeverFailed(Exception):
    pass


class Shown:
    """A failure that showed at once, taken to come every time until more runs say otherwise.

    They are made while the search goes on, where a guest is free: one run of each kernel is enough
    for what is not flaky.
    """

    def __init__(self, judge: Judge, candidate: Candidate, first: Observation, needed: int) -> None:
        self.judge, self.candidate, self._needed = judge, candidate, needed
        self._seen, self._more = [first], list[concurrent.futures.Future[Observation]]()

    def more(self) -> None:
        """Begin one more run, if there are not enough and none is under way."""
        if len(self._seen) + len(self._more) >= self._needed:
            return
        if all(one.done() for one in self._more):
            observe = functools.partial(self.judge.prober, self.candidate, END)
            self._more.append(self.judge.crew.trial(observe))

    def _gathered(self) -> list[Observation]:
        """Give the runs that are made; those that were stopped are not."""
        done = [one for one in self._more if one.done() and not one.cancelled()]
        made = [one.result() for one in done if not one.exception()]
        return self._seen + [_as_bad(one, self.judge) for one in made]

    def refuted(self) -> bool:
        """Whether it is flaky: what was called good after one run may be bad."""
        return any(one.call is not Call.BAD for one in self._gathered())

    def settled(self, live: Live, trials: int) -> bool:
        """Learn the rate: the judge knows it from then on.  False when the failure is flaky."""
        self._seen, self._more = self._gathered(), []
        while not self.refuted() and len(self._seen) < self._needed:
            live.at(f"does it fail every time at {self.candidate.name}?")
            self._seen.append(_as_bad(self.judge.prober(self.candidate, END), self.judge))
        steady = not self.refuted()
        failing(self.judge, self.candidate, live, trials, self._seen)
        return steady


def shown(judge: Judge, candidate: Candidate, live: Live, trials: int) -> Shown | None:
    """See that the failure shows here.  Where the first run fails the search may begin.

    Gives None when the judge knows the failure's rate.  Raises as ``failing`` does.
    """
    live.at(f"does it fail at {candidate.name}?")
    first = _as_bad(judge.prober(candidate, END), judge)
    needed = sequential.enough(judge.rule.confidence)
    if first.call is not Call.BAD or judge.prober.signature.steady or needed is None:
        failing(judge, candidate, live, trials, [first])
        return None
    decision = Decision(Call.BAD, (first,), Count(1, 1), 1.0, first.why)
    judge.know(candidate, decision)
    live.decided(candidate, decision, END)
    return Shown(judge, candidate, first, needed)


def failing(
    judge: Judge,
    candidate: Candidate,
    live: Live,
    trials: int,
    known: Sequence[Observation] = (),
) -> None:
    """See that the failure shows here, and how often; from then on the judge knows its rate.

    ``known`` are runs that were made.  Raises UsageError when it does not show in ``trials``
    runs, Untestable when there are none.
    """
    prober, seen, waiting = judge.prober, list[Observation](), collections.deque(known)
    trial = judge.observer(candidate, END)
    live.at(f"does it fail at {candidate.name}?")

    def observe() -> Observation:
        if len(seen) >= trials and all(one.call is not Call.BAD for one in seen):
            raise _NeverFailed
        if prober.signature.steady and seen:
            return seen[0]
        seen.append(waiting.popleft() if waiting else trial())
        if seen[-1].call is Call.OTHER and judge.rule.other is not Call.BAD:
            raise _NeverFailed
        return _taken(seen[-1], judge.rule.other)

    try:
        count, _ = sequential.estimate(observe, confidence=judge.rule.confidence)
    except _NeverFailed:
        count = Count()
    if not count.failures:
        raise _wrong(candidate, seen[-1], prober.signature, Call.BAD, len(seen))
    _learned(judge, candidate, seen, count, live)


def _learned(
    judge: Judge, candidate: Candidate, seen: Sequence[Observation], count: Count, live: Live
) -> None:
    """Have the judge know the failure's rate, and tell of it."""
    rates = Rates(count)
    judge.rule = dataclasses.replace(judge.rule, rates=rates)
    why = seen[0].why if not count.passes else f"failed in {count.failures} of {count.runs} runs"
    decision = Decision(Call.BAD, tuple(seen), count, 1.0, why)
    told = candidate in judge.decisions
    judge.know(candidate, decision)
    if not told or count.passes:
        live.decided(candidate, decision, END)
    if judge.patient:
        live.flaky(rates.passes_needed(judge.rule.confidence), judge.prober.repeats)


def _as_bad(one: Observation, judge: Judge) -> Observation:
    """Take another failure for the one that is looked for, where a person said so."""
    return _taken(one, judge.rule.other) if judge.rule.other is Call.BAD else one


def _taken(one: Observation, other: Call) -> Observation:
    return dataclasses.replace(one, call=other) if one.call is Call.OTHER else one


def others(judge: Judge, candidates: Sequence[Candidate], wanted: Call, live: Live) -> None:
    """See that each of these is GOOD, or BAD.

    Raises UsageError when one is not, Untestable when it cannot be told.
    """
    for candidate in candidates:
        live.at(f"is {candidate.name} {wanted}?")
        decision = judge.decide(candidate)
        live.decided(candidate, decision, END)
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
