# SPDX-License-Identifier: GPL-2.0-only
"""The proof: the parent is good, the culprit is bad, and without it the bad end is good again."""

from __future__ import annotations

from collections.abc import Sequence

from harness.bisect import points
from harness.bisect.hunt import Crew, Judge
from harness.bisect.lab import Lab, of_commit
from harness.bisect.outcome import Proof
from harness.bisect.points import Commit, Span
from harness.bisect.sequential import Decision
from harness.bisect.values import Call, Candidate

PHASE = "verify"
CULPRIT, PARENT, REVERTED = "the culprit", "its parent", "reverted"


def verify(
    judge: Judge,
    lab: Lab,
    crew: Crew,
    span: Span,
    culprit: Commit,
    known: Sequence[Candidate],
) -> tuple[list[Proof], dict[Candidate, Decision]]:
    """Try the culprit, its parents and its revert once more, in fresh guests.

    ``known`` are candidates of commits with names of their own.  Gives the proofs and what each
    candidate turned out to be.
    """
    # What a merge brings is not asked for where first parents are followed.
    parents = culprit.parents[:1] if span.first_parent else culprit.parents
    by_commit = {one.commit: one for one in known}

    def named(commit: str) -> Candidate:
        return by_commit.get(commit) or of_commit(lab, commit)

    with_it, without = (Call.GOOD, Call.BAD) if judge.rule.reverse else (Call.BAD, Call.GOOD)
    wanted = [(CULPRIT, named(culprit.id), with_it)]
    wanted += [(PARENT, named(parent), without) for parent in parents]
    reverted = _reverted(lab, span, culprit)
    proofs = []
    if isinstance(reverted, Candidate):
        wanted.append((REVERTED, reverted, without))
    else:
        proofs.append(Proof(REVERTED, without, None, reverted))
    for _, candidate, _ in wanted:  # the revert, while the others boot
        judge.prober.builder.begin(candidate)
    phase = "search" if judge.prober.signature.steady else PHASE
    futures = [crew.submit(judge.decide, candidate, phase) for _, candidate, _ in wanted]
    decisions = [future.result() for future in futures]
    for (what, _, expected), decision in zip(wanted, decisions, strict=True):
        call = decision.call if decision.call is not Call.OTHER else judge.rule.other
        proofs.append(Proof(what, expected, call, decision.why))
    candidates = [candidate for _, candidate, _ in wanted]
    return proofs, dict(zip(candidates, decisions, strict=True))


def _reverted(lab: Lab, span: Span, culprit: Commit) -> Candidate | str:
    """Give the bad end without the culprit, or why there is none."""
    if len(culprit.parents) != 1 and not span.first_parent:
        return "a merge is not reverted"
    if culprit.id == span.bad:
        return "the last one: that is its parent"
    commit = points.revert(lab.repo, span.bad, culprit)
    if commit is None:
        return "it does not revert without conflicts"
    return Candidate("the bad end without the culprit", commit)
