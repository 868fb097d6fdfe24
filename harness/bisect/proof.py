# SPDX-License-Identifier: GPL-2.0-only
"""The proof: the parent is good, the culprit is bad, and without it the bad end is good again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from harness.bisect import points
from harness.bisect.hunt import Crew, Judge
from harness.bisect.lab import Lab, of_commit
from harness.bisect.points import CommitRange
from harness.bisect.prober import result
from harness.bisect.sequential import Decision
from harness.bisect.signature import splats
from harness.model import Call, Candidate, Commit, Proof

PHASE = "verify"
CULPRIT, PARENT, REVERTED = "the culprit", "its parent", "reverted"


@dataclasses.dataclass(frozen=True)
class _Wanted:
    """What is to be shown of a candidate; with another ``phase`` than the search by another run."""

    what: str
    candidate: Candidate
    expected: Call
    phase: str


def verify(
    judge: Judge,
    lab: Lab,
    crew: Crew,
    span: CommitRange,
    culprit: Commit,
    known: Sequence[Candidate],
) -> tuple[list[Proof], dict[Candidate, Decision]]:
    """Try the culprit, its parents and its revert, in fresh guests.

    What failed every time it was run does not have to fail again; what passed has to pass again.
    ``known`` are candidates of commits with names of their own.  Gives the proofs and what each
    candidate turned out to be that was tried.
    """
    wanted, proofs = _wanted(judge, lab, span, culprit, {one.commit: one for one in known})
    for one in wanted:  # the revert, while the others boot
        judge.prober.builder.begin(one.candidate)
    futures = [crew.submit(judge.decide, one.candidate, one.phase) for one in wanted]
    tried, steady = {}, judge.prober.signature.steady
    for one, decision in zip(wanted, [future.result() for future in futures], strict=True):
        call = decision.call if decision.call is not Call.OTHER else judge.rule.other
        proofs.append(Proof(one.what, one.expected, call, decision.why))
        if steady or one.phase == PHASE:
            tried[one.candidate] = decision
    return proofs, tried


def _wanted(
    judge: Judge, lab: Lab, span: CommitRange, culprit: Commit, known: Mapping[str, Candidate]
) -> tuple[list[_Wanted], list[Proof]]:
    """Give what is to be tried, and what cannot be."""
    # What a merge brings is not asked for where first parents are followed.
    parents = culprit.parents[:1] if span.first_parent else culprit.parents
    debug = _speaks(judge, culprit)
    with_it, without = (Call.GOOD, Call.BAD) if judge.rule.reverse else (Call.BAD, Call.GOOD)

    def one(what: str, commit: str, expected: Call) -> _Wanted:
        found = known.get(commit) or of_commit(lab, commit)
        candidate = dataclasses.replace(found, debug=debug)
        phase = "search" if _failed(judge, candidate) else PHASE
        return _Wanted(what, candidate, expected, phase)

    wanted = [one(CULPRIT, culprit.id, with_it)]
    wanted += [one(PARENT, parent, without) for parent in parents]
    reverted = without_it(lab, span, culprit)
    if isinstance(reverted, str):
        return wanted, [Proof(REVERTED, without, None, reverted)]
    phase = "search" if judge.prober.signature.steady else PHASE
    return [*wanted, _Wanted(REVERTED, reverted, without, phase)], []


def _failed(judge: Judge, candidate: Candidate) -> bool:
    """Whether it is enough that a candidate's own runs have failed, or that one look is."""
    if judge.prober.signature.steady:
        return True
    known = judge.decisions.get(candidate)
    return bool(known and known.count.failures and not known.count.passes and not judge.patient)


def _speaks(judge: Judge, culprit: Commit) -> bool:
    """Whether the culprit's kernel reported something, which debug info gives files and lines."""
    decisions = [made for one, made in judge.decisions.items() if one.commit == culprit.id]
    results = [result(seen) for made in decisions for seen in made.observations]
    return any(True for one in results if one for _ in splats(one))


def without_it(lab: Lab, span: CommitRange, culprit: Commit) -> Candidate | str:
    """Give the bad end without the culprit, or why there is none."""
    if len(culprit.parents) != 1 and not span.first_parent:
        return "a merge is not reverted"
    if culprit.id == span.bad:
        return "the last one: that is its parent"
    commit = points.revert(lab.repo, span.bad, culprit)
    if commit is None:
        return "it does not revert without conflicts"
    return Candidate("the bad end without the culprit", commit)
