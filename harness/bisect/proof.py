# SPDX-License-Identifier: GPL-2.0-only
"""The proof: the parent is good, the culprit is bad, and without it the bad end is good again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness import git
from harness.bisect import ranges
from harness.bisect.builder import CandidateSources
from harness.bisect.flaky import Decision
from harness.bisect.hunt import Judge, TrialThreads
from harness.bisect.job import BisectJob
from harness.bisect.prober import result
from harness.bisect.ranges import CommitRange
from harness.bisect.signature import splats
from harness.model import Call, Candidate, Commit, Contrast, Observation, Proof, Trial

PHASE = "verify"
CULPRIT, PARENT, REVERTED = "the culprit", "its parent", "reverted"
_LINES = 3  # lines shown from the end of a console


@dataclasses.dataclass(frozen=True)
class _Claim:
    """The call that a candidate must get; if its ``phase`` is PHASE, it is tried again."""

    what: str
    candidate: Candidate
    expected: Call
    phase: str


def prove(
    job: BisectJob,
    threads: TrialThreads,
    span: CommitRange,
    culprit: Commit,
    named: Mapping[str, Candidate],
) -> tuple[list[Proof], dict[Candidate, Decision]]:
    """Try the culprit, its parents and its revert, in fresh guests.

    A commit that failed in every run need not fail again; one that passed must pass again.
    ``named`` are the candidates of the commits in the range.  Returns the proofs, and the
    decisions that were made for them.
    """
    judge = job.judge
    claims, proofs = _claims(job, span, culprit, named)
    for claim in claims:  # the revert is built while the others boot
        judge.prober.builder.begin(claim.candidate)
    futures = [threads.decide(judge.decide, claim.candidate, claim.phase) for claim in claims]
    decisions, steady = {}, judge.prober.signature.kind.steady
    for claim, decision in zip(claims, [future.result() for future in futures], strict=True):
        call = judge.rule.without_other(decision.call)
        proofs.append(Proof(claim.what, claim.expected, call, decision.why))
        if steady or claim.phase == PHASE:
            decisions[claim.candidate] = decision
    return proofs, decisions


def _claims(
    job: BisectJob, span: CommitRange, culprit: Commit, named: Mapping[str, Candidate]
) -> tuple[list[_Claim], list[Proof]]:
    """Return the claims to test, and the proofs that cannot be tested."""
    judge, sources = job.judge, job.sources
    # With --first-parent, commits from merged branches are not in the range.
    parents = culprit.parents[:1] if span.first_parent else culprit.parents
    with_it, without = (Call.GOOD, Call.BAD) if judge.rule.reverse else (Call.BAD, Call.GOOD)
    steady, debug = judge.prober.signature.kind.steady, _has_splats(judge, culprit)

    def claim(what: str, commit: str, expected: Call) -> _Claim:
        candidate = named.get(commit)
        if candidate is None:
            subject = git.line(sources.repo, "show", "--no-patch", "--format=%s", commit)
            candidate = Candidate(f'{commit[:12]} ("{subject}")', commit)
        candidate = dataclasses.replace(candidate, debug=debug)
        known = judge.decisions.get(candidate)
        failed = known and known.count.failures and not known.count.passes and not judge.patient
        return _Claim(what, candidate, expected, "search" if failed or steady else PHASE)

    claims = [claim(CULPRIT, culprit.id, with_it)]
    claims += [claim(PARENT, parent, without) for parent in parents]
    reverted = without_culprit(sources, span, culprit)
    if isinstance(reverted, str):
        return claims, [Proof(REVERTED, without, None, reverted)]
    return [*claims, _Claim(REVERTED, reverted, without, "search" if steady else PHASE)], []


def _has_splats(judge: Judge, culprit: Commit) -> bool:
    """Whether the culprit's kernel reported a splat; its file and line need debug info."""
    results = [
        result(trial)
        for candidate, decision in judge.decisions.items()
        for trial in decision.observations
        if candidate.commit == culprit.id
    ]
    return any(any(splats(stored)) for stored in results if stored)


def without_culprit(
    sources: CandidateSources, span: CommitRange, culprit: Commit
) -> Candidate | str:
    """Return the bad end with the culprit reverted, or the reason why that is impossible."""
    if len(culprit.parents) != 1 and not span.first_parent:
        return "the culprit is a merge, and merges cannot be reverted automatically"
    if culprit.id == span.bad:
        return "the culprit is the last commit: reverting it gives its parent"
    commit = ranges.revert(sources.repo, span.bad, culprit)
    if commit is None:
        return "reverting the culprit conflicts"
    return Candidate("the bad end without the culprit", commit)


def contrasts(before: Decision | None, after: Decision | None) -> Iterator[Contrast]:
    """Yield the evidence of two decisions side by side, where it differs."""
    if before is None or after is None or not (before.observations and after.observations):
        return
    yield Contrast("call", f"{before.call}: {before.why}", f"{after.call}: {after.why}")
    trials = _typical(before), _typical(after)
    left, right = (result(trial) for trial in trials)
    if left is not None and right is not None:
        for what, text in _TEXTS.items():
            if text(left) != text(right):
                yield Contrast(what, text(left), text(right))
    numbers = ["" if trial.value is None else f"{trial.value:g}" for trial in trials]
    if numbers[0] != numbers[1]:
        yield Contrast("number", *numbers)


def _typical(decision: Decision) -> Observation:
    """Return the first observation that agrees with the decision."""
    agreeing = (trial for trial in decision.observations if trial.call is decision.call)
    return next(agreeing, decision.observations[-1])


def _tests(result: Trial) -> str:
    lines = [f"{test.id.rpartition('::')[2]}: {test.outcome}" for test in result.tests]
    return "\n".join([*([result.error] if result.error else []), *lines])


def _splats(result: Trial) -> str:
    return "\n".join(dict.fromkeys(splat.title for splat in splats(result)))


def _messages(result: Trial) -> str:
    return "\n".join(test.headline for test in result.tests if test.headline)


def _console(result: Trial) -> str:
    """Return the last lines that the kernel wrote, without timestamps."""
    for guest in reversed(result.guests):
        file = Path(guest.console)
        if file.is_file():
            lines = file.read_text(errors="backslashreplace").splitlines()
            return "\n".join(line.partition("] ")[2] or line for line in lines[-_LINES:])
    return ""


_TEXTS = {"test": _tests, "splat": _splats, "message": _messages, "console": _console}
