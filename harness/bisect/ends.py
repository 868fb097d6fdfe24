# SPDX-License-Identifier: GPL-2.0-only
"""Tests both ends before the search: the bad end must fail, and the good ends must not.

The default signature is the first test that fails at the bad end and passes at the good one.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import functools
from collections.abc import Sequence

from harness.bisect import flaky
from harness.bisect.flaky import Decision, FailureRates, RunCount
from harness.bisect.job import BisectJob
from harness.bisect.signature import TEST, Signature
from harness.errors import HarnessError, Untestable, UsageError
from harness.model import Call, Candidate, Observation, Outcome, Test

END = "end"  # the phase of the trials
_PIN = "test"  # the pin that stores the test of the chosen signature
_MOST = 20  # failing tests to run at the good end
_SAY_WHAT = "use --test ID, --splat TITLE, ... to choose what counts as bad"


def choose_signature(job: BisectJob, bad: Candidate, good: Candidate) -> Signature:
    """Return the first test that fails at the bad end and passes at the good one.

    Raises UsageError if there is none.
    """
    if pinned := job.state.pins.get(_PIN):
        test_id, _, outcome = pinned.rpartition("=")
        return _fails(test_id, Outcome(outcome))
    job.shown.note(f"what fails at {bad.name}?")
    tests = _run_suites(job, bad, job.plan.run.suites, "ends-bad")
    failing = [test for test in tests if test.outcome.bad]
    if not failing:
        raise UsageError(f"no test fails at {bad.name}", hint=_SAY_WHAT)
    job.shown.note(f"which of these pass at {good.name}?")
    passing = {
        test.id
        for test in _run_suites(job, good, tuple(t.id for t in failing[:_MOST]), "ends-good")
        if not test.outcome.bad and test.outcome is not Outcome.SKIP
    }
    test = next((test for test in failing if test.id in passing), None)
    if test is None:
        raise UsageError(
            f"no test that fails at {bad.name} passes at {good.name}: {failing[0].id}, ...",
            hint=_SAY_WHAT,
        )
    job.state.pin({_PIN: f"{test.id}={test.outcome}"})
    chosen = _fails(test.id, test.outcome)
    job.shown.progress.say(f"looking for: {chosen}")
    return chosen


def _fails(test_id: str, outcome: Outcome) -> Signature:
    return Signature(TEST, test=test_id, outcomes=frozenset({outcome}))


def _run_suites(
    job: BisectJob, candidate: Candidate, suites: tuple[str, ...], folder: str
) -> tuple[Test, ...]:
    """Run suites on a candidate, in all guests at once."""
    built = job.judge.prober.builder.result(candidate)
    if built.fault is not None:
        raise built.fault
    plan = dataclasses.replace(job.plan.run, suites=suites)
    place, request = job.state.folder / folder, job.sources.lab.request
    result = job.judge.prober.builder.trial(built, place, plan, request)
    if result.error:
        raise UsageError(
            f"{candidate.name} {result.error}", hint="use --boot to bisect a boot failure"
        )
    return result.tests


class SteadyFailure:
    """A failure that was seen in the first run, assumed to happen every time.

    The bad end is run again during the search, whenever a guest is free.  If all of them
    fail, one run of each kernel is enough.
    """

    def __init__(
        self, job: BisectJob, candidate: Candidate, first: Observation, needed: int
    ) -> None:
        self.job, self.candidate, self._needed = job, candidate, needed
        self._seen, self._more = [first], list[concurrent.futures.Future[Observation]]()

    def more(self) -> None:
        """Start another run, if more are needed and none is in progress."""
        if len(self._seen) + len(self._more) >= self._needed:
            return
        if all(future.done() for future in self._more):
            judge = self.job.judge
            observe = functools.partial(judge.prober, self.candidate, END)
            self._more.append(judge.threads.trial(observe))

    def _gathered(self) -> list[Observation]:
        """Return the completed runs, without those that were stopped."""
        done = [future for future in self._more if future.done() and not future.cancelled()]
        ended = [future.result() for future in done if not future.exception()]
        return self._seen + [_other_as_bad(self.job, observation) for observation in ended]

    def refuted(self) -> bool:
        """Whether the failure is flaky: kernels called good after one run may be bad."""
        return any(observation.call is not Call.BAD for observation in self._gathered())

    def settled(self) -> bool:
        """Measure the failure rate for the judge; return False if the failure is flaky."""
        self._seen, self._more = self._gathered(), []
        while not self.refuted() and len(self._seen) < self._needed:
            self.job.shown.note(f"does it fail every time at {self.candidate.name}?")
            trial = self.job.judge.prober(self.candidate, END)
            self._seen.append(_other_as_bad(self.job, trial))
        steady = not self.refuted()
        check_failing(self.job, self.candidate, self._seen)
        return steady


def first_failure(job: BisectJob, candidate: Candidate) -> SteadyFailure | None:
    """Check that the candidate fails.  If the first run fails, the search may begin.

    Returns None if the failure rate is already known to the judge.  Raises like ``check_failing``.
    """
    judge = job.judge
    job.shown.note(f"does it fail at {candidate.name}?")
    first = _other_as_bad(job, judge.prober(candidate, END))
    needed = flaky.enough(judge.rule.confidence)
    if first.call is not Call.BAD or judge.prober.signature.kind.steady or needed is None:
        check_failing(job, candidate, [first])
        return None
    decision = Decision(Call.BAD, (first,), RunCount(1, 1), 1.0, first.why)
    judge.know(candidate, decision)
    job.shown.decided(candidate, decision, END)
    return SteadyFailure(job, candidate, first, needed)


class _NeverFailed(Exception):
    pass


def check_failing(job: BisectJob, candidate: Candidate, known: Sequence[Observation] = ()) -> None:
    """Check that the candidate fails, and measure the failure rate for the judge.

    ``known`` are runs that are already done.  Raises UsageError if none of ``job.plan.trials``
    runs fails, Untestable if the candidate cannot be tested.
    """
    judge, prober, shown = job.judge, job.judge.prober, job.shown
    seen, waiting = list[Observation](), collections.deque(known)
    next_trial = judge.threads.ahead(functools.partial(prober, candidate, END))
    shown.note(f"does it fail at {candidate.name}?")

    def observe() -> Observation:
        if len(seen) >= job.plan.trials and all(trial.call is not Call.BAD for trial in seen):
            raise _NeverFailed
        if prober.signature.kind.steady and seen:
            return seen[0]
        seen.append(waiting.popleft() if waiting else next_trial())
        if seen[-1].call is Call.OTHER and judge.rule.other is not Call.BAD:
            raise _NeverFailed
        return dataclasses.replace(seen[-1], call=judge.rule.without_other(seen[-1].call))

    try:
        count, _ = flaky.estimate(observe, confidence=judge.rule.confidence)
    except _NeverFailed:
        count = RunCount()
    if not count.failures:
        raise _wrong_end(job, candidate, seen[-1], Call.BAD, len(seen))
    rates = FailureRates(count)
    judge.rule = dataclasses.replace(judge.rule, rates=rates)
    why = seen[0].why if not count.passes else f"failed in {count.failures} of {count.runs} runs"
    decision = Decision(Call.BAD, tuple(seen), count, 1.0, why)
    announced = candidate in judge.decisions
    judge.know(candidate, decision)
    if not announced or count.passes:
        shown.decided(candidate, decision, END)
    if judge.patient:
        shown.flaky(rates.passes_needed(judge.rule.confidence), repeats=prober.repeats)


def check_others(job: BisectJob, candidates: Sequence[Candidate], wanted: Call) -> None:
    """Check that each candidate is ``wanted``: GOOD or BAD.

    Raises UsageError if one is not, Untestable if one cannot be tested.
    """
    for candidate in candidates:
        job.shown.note(f"is {candidate.name} {wanted}?")
        decision = job.judge.decide(candidate)
        job.shown.decided(candidate, decision, END)
        if job.judge.rule.without_other(decision.call) is not wanted:
            last = dataclasses.replace(decision.observations[-1], why=decision.why)
            raise _wrong_end(job, candidate, last, wanted, len(decision.observations))


def _other_as_bad(job: BisectJob, observation: Observation) -> Observation:
    """Count another failure as bad if --other is bad."""
    if observation.call is Call.OTHER and job.judge.rule.other is Call.BAD:
        return dataclasses.replace(observation, call=Call.BAD)
    return observation


def _wrong_end(
    job: BisectJob, candidate: Candidate, last: Observation, wanted: Call, runs: int
) -> HarnessError:
    """Return the error for an end that is not ``wanted``."""
    signature = job.judge.prober.signature
    see = f"see {last.folder}" if last.folder else ""
    if last.call is Call.SKIP:
        return Untestable(f"{candidate.name} cannot be tested: {last.why}", hint=see)
    if last.call is Call.OTHER:
        return UsageError(
            f"{candidate.name} fails, but not with {signature}: {last.why}",
            hint="use --other good or --other bad to count other failures as good or bad",
            details=see,
        )
    if wanted is Call.BAD:
        return UsageError(
            f"{candidate.name}: failure not reproduced in {runs} run{'s' * (runs != 1)}:"
            f" {signature}",
            hint="if the failure is rare, use a higher --trials",
            details=f"{last.why}\n{see}",
        )
    return UsageError(
        f"{candidate.name} shows the failure as well: {last.why}",
        hint="choose an end without the failure; use --find-fix to search for a fix",
        details=see,
    )
