# SPDX-License-Identifier: GPL-2.0-only
"""Nobody said what to look for: what fails at the bad end and passes at the good one."""

from __future__ import annotations

import dataclasses

from harness.bisect.job import Job
from harness.bisect.signature import Signature, SignatureKind
from harness.errors import UsageError
from harness.lab import trial
from harness.lab.kernels import Built
from harness.model import Candidate, Outcome, Side, Test

PIN = "test"
_MOST = 20  # failing tests that are run at the good end


def signature(job: Job, bad: Candidate, good: Candidate) -> Signature:
    """Run the suites at the bad end, and what fails there at the good end; give the first change.

    Raises UsageError when there is none.
    """
    known = dict(job.state.begun.pins).get(PIN)
    if known:
        name, _, outcome = known.rpartition("=")
        return _of(name, Outcome(outcome))
    job.live.at(f"what fails at {bad.name}?")
    failing = [one for one in _tests(job, bad, job.ask.plan.suites, "ends-bad") if one.outcome.bad]
    if not failing:
        raise UsageError(
            f"nothing fails at {bad.name}", hint="--test ID, --splat TITLE ... say what is bad"
        )
    job.live.at(f"what of that passes at {good.name}?")
    some = tuple(one.id for one in failing[:_MOST])
    passing = {
        one.id
        for one in _tests(job, good, some, "ends-good")
        if not one.outcome.bad and one.outcome is not Outcome.SKIP
    }
    found = next((one for one in failing if one.id in passing), None)
    if found is None:
        raise UsageError(
            f"what fails at {bad.name} fails at {good.name} too: {failing[0].id}",
            hint="--test ID, --splat TITLE ... say what is bad",
        )
    job.state.pin({PIN: f"{found.id}={found.outcome}"})
    made = _of(found.id, found.outcome)
    job.live.progress.say(f"looking for: {made}")
    return made


def _of(test: str, outcome: Outcome) -> Signature:
    return Signature(SignatureKind.TEST, test=test, outcomes=frozenset({outcome}))


def _tests(job: Job, candidate: Candidate, chosen: tuple[str, ...], name: str) -> tuple[Test, ...]:
    """Run suites on a candidate, in all guests at once."""
    lab = job.lab
    made = job.judge.prober.builder.made(candidate)
    if made.fault is not None:
        raise made.fault
    assert made.checkout is not None
    assert made.kernel is not None
    plan = dataclasses.replace(lab.plan, suites=chosen)
    built = Built(Side.PATCHED, made.checkout, made.kernel)
    place = job.state.folder / name
    result = trial.run(dataclasses.replace(lab.lab, plan=plan), built, place)
    if result.error:
        raise UsageError(f"{candidate.name} {result.error}", hint="--boot looks for that")
    return result.tests
