# SPDX-License-Identifier: GPL-2.0-only
"""The proof: the parent is good, the culprit is bad, and without it the bad end is good again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from harness.bisect import points
from harness.bisect.hunt import Crew, Judge
from harness.bisect.lab import Lab, of_commit
from harness.bisect.outcome import Proof
from harness.bisect.points import Commit, Span
from harness.bisect.prober import result
from harness.bisect.sequential import Decision
from harness.bisect.signature import splats
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
    """Try the culprit, its parents and its revert, in fresh guests.

    What failed every time it was run does not have to fail again; what passed has to pass again.
    ``known`` are candidates of commits with names of their own.  Gives the proofs and what each
    candidate turned out to be that was tried.
    """
    # What a merge brings is not asked for where first parents are followed.
    parents = culprit.parents[:1] if span.first_parent else culprit.parents
    by_commit = {one.commit: one for one in known}

    debug = _speaks(judge, culprit)

    def named(commit: str) -> Candidate:
        one = by_commit.get(commit) or of_commit(lab, commit)
        return dataclasses.replace(one, debug=debug)

    with_it, without = (Call.GOOD, Call.BAD) if judge.rule.reverse else (Call.BAD, Call.GOOD)
    wanted = [(CULPRIT, named(culprit.id), with_it)]
    wanted += [(PARENT, named(parent), without) for parent in parents]
    reverted = without_it(lab, span, culprit)
    proofs = []
    if isinstance(reverted, Candidate):
        wanted.append((REVERTED, reverted, without))
    else:
        proofs.append(Proof(REVERTED, without, None, reverted))
    for _, candidate, _ in wanted:  # the revert, while the others boot
        judge.prober.builder.begin(candidate)
    phases = ["search" if _failed(judge, candidate) else PHASE for _, candidate, _ in wanted]
    futures = [
        crew.submit(judge.decide, candidate, phase)
        for (_, candidate, _), phase in zip(wanted, phases, strict=True)
    ]
    decisions = [future.result() for future in futures]
    for (what, _, expected), decision in zip(wanted, decisions, strict=True):
        call = decision.call if decision.call is not Call.OTHER else judge.rule.other
        proofs.append(Proof(what, expected, call, decision.why))
    every = zip(wanted, phases, decisions, strict=True)
    steady = judge.prober.signature.steady
    return proofs, {one: made for (_, one, _), phase, made in every if steady or phase == PHASE}


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


def without_it(lab: Lab, span: Span, culprit: Commit) -> Candidate | str:
    """Give the bad end without the culprit, or why there is none."""
    if len(culprit.parents) != 1 and not span.first_parent:
        return "a merge is not reverted"
    if culprit.id == span.bad:
        return "the last one: that is its parent"
    commit = points.revert(lab.repo, span.bad, culprit)
    if commit is None:
        return "it does not revert without conflicts"
    return Candidate("the bad end without the culprit", commit)
