# SPDX-License-Identifier: GPL-2.0-only
"""Bisection of commits: the ends, the search, the proof."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import os
from collections.abc import Collection, Iterator, Mapping, Sequence

from harness.bisect import (
    differences,
    discover,
    ends,
    hunt,
    likely,
    points,
    replay,
    sequential,
    verify,
)
from harness.bisect.hunt import Crew, Hunt
from harness.bisect.job import Job
from harness.bisect.points import CommitRange
from harness.bisect.search import Contradiction, Search
from harness.bisect.sequential import Count, Decision
from harness.errors import UsageError
from harness.model import Bisected, BisectMode, Call, Candidate, Commit, Proof

PROOFS = 3  # of the culprit, its parent, the bad end without it
_WRONG = "take the wrong line out of it"


def search(job: Job) -> Bisected:
    """Find the commit that made the failure, or ended it."""
    span, log = _span(job)
    repo = job.lab.repo
    subjects = points.subjects(repo, [*span.goods, *span.bases, *span.graph.commits])
    named = _candidates(job, span, subjects)
    found, graph = _found(job, span, log, named)
    left = graph.left
    _log(job, span, graph, subjects)
    answer = Bisected(
        mode=job.ask.mode,
        signature=str(job.judge.prober.signature),
        test=job.judge.prober.signature.test,
        source=job.source,
        good=", ".join(named[one].name for one in span.goods),
        bad=named[span.bad].name,
        total=len(span.graph.commits),
        folder=job.state.folder,
        reverse=job.ask.reverse,
        notes=tuple(found.notes),
    )
    if graph.culprit is None:
        remaining = tuple(points.commit(repo, one) for one in left)
        return _finished(job, answer, remaining=remaining, steps=job.steps())
    return _proven(job, span, graph, answer, named)


def _span(job: Job) -> tuple[CommitRange, replay.Log | None]:
    """Find out what the range is; names that move are pinned."""
    ask, lab, pins = job.ask, job.lab, dict(job.state.begun.pins)
    if ask.mode is BisectMode.SERIES:
        series = ask.plan.series
        assert series is not None
        with lab.held() as slot:
            return points.series(slot.base().commit, slot.patched(series)), None
    # What names mean is the person's tree's affair: ours has the commits and no branches.
    theirs = ask.plan.tree or lab.repo
    log = replay.read(ask.log, theirs) if ask.log else None
    goods, bad = ask.goods, ask.bad
    if log and not goods:
        # The first ones are the ends; what was found out after them is taken as it is.
        goods, bad = log.of(Call.GOOD)[:1], [*log.of(Call.BAD), bad][0]
    goods = tuple(pins.get("goods", "").split()) or tuple(
        points.resolve(theirs, good) for good in goods
    )
    bad = pins.get("bad") or points.resolve(theirs, bad)
    job.state.pin({"goods": " ".join(goods), "bad": bad})
    old, new = ((bad,), goods[0]) if ask.reverse else (goods, bad)
    files = ask.files or (log.files if log else ())
    first_parent = ask.first_parent or bool(log and log.first_parent)
    return points.history(lab.repo, old, new, first_parent=first_parent, files=files), log


def _candidates(job: Job, span: CommitRange, subjects: Mapping[str, str]) -> dict[str, Candidate]:
    """Give each commit its candidate, with a name for people."""
    every = [*span.goods, *span.bases, *span.graph.commits]
    if job.ask.mode is BisectMode.HISTORY:
        return {one: Candidate(f'{one[:12]} ("{subjects[one]}")', one) for one in every}
    total = len(span.graph.commits)
    found = {
        one: Candidate(f"{number}/{total} {subjects[one]}", one)
        for number, one in enumerate(span.graph.commits, 1)
    }
    return {span.goods[0]: Candidate(f"the base {job.lab.source.name}", span.goods[0])} | found


def _found(
    job: Job, span: CommitRange, log: replay.Log | None, named: Mapping[str, Candidate]
) -> tuple[Hunt, Search]:
    """Try the ends and search; once more where the failure turns out to be flaky after all."""
    judge, live = job.judge, job.live
    old = [named[one] for one in (*span.goods, *span.bases)]
    new = [named[span.bad]]
    shows, clean = (old, new) if job.ask.reverse else (new, old)
    if judge.prober.signature.unknown:
        judge.prober.signature = discover.signature(job, shows[0], clean[0])
    guess = _guess(job, span)
    graph = _graph(span, log, *guess)
    early = _begin(job, [*shows[:1], *clean, *(named[one] for one in graph.ahead(1))], clean)
    shown = ends.shown(judge, shows[0], live, job.ask.trials)
    for one in early:
        one.result()
    if shown is None and judge.patient:  # one run without the failure was not enough
        judge.forget(Call.GOOD)
    while True:
        ends.others(judge, shows[1:], Call.BAD, live)
        ends.others(judge, clean, Call.GOOD, live)
        proof = functools.cache(functools.partial(_proof, job, span))
        found = Hunt(judge, graph, named.__getitem__, live, job.crew, proof)
        found.run(*((shown.refuted, shown.more) if shown else ()))
        if shown is None or shown.settled(live, job.ask.trials):
            return found, graph
        judge.forget(Call.GOOD)
        graph, shown = _graph(span, log, *guess), None


def _proof(job: Job, span: CommitRange, commit: str) -> Candidate | None:
    """Give the bad end without a commit, where it can be had."""
    found = verify.without_it(job.lab, span, points.commit(job.lab.repo, commit))
    return found if isinstance(found, Candidate) else None


def _guess(job: Job, span: CommitRange) -> tuple[frozenset[str], frozenset[str]]:
    """Give the commits that are likely to be it, and those that hardly can be."""
    signature = job.judge.prober.signature
    files = points.files(job.lab.repo, span.graph.commits)
    idle = likely.idle(files, job.lab.used()) if signature.boots else frozenset()
    return likely.likely(str(signature), files), idle


def _graph(
    span: CommitRange, log: replay.Log | None, some: Collection[str], idle: Collection[str]
) -> Search:
    """Give what is known before anything was tried; ``some`` commits are likely to be it."""
    graph = Search(span.graph, some, idle)
    graph.take(span.bad, Call.BAD)
    for commit, call in log.calls if log else ():
        try:
            graph.take(commit, call)
        except Contradiction as one:
            raise UsageError(f"the log contradicts itself: {one}", hint=_WRONG) from one
    return graph


def _begin(
    job: Job, wanted: Sequence[Candidate], clean: Sequence[Candidate]
) -> list[concurrent.futures.Future[Decision]]:
    """Have the first kernels built; meanwhile clean ends whose kernels are kept are tried."""
    builder = job.judge.prober.builder
    if builder.sources_only:
        return []
    kept = [one for one in clean if builder.kept(one)]
    for one in wanted:
        builder.begin(one)
    return [job.crew.submit(job.judge.decide, one) for one in kept]


def _proven(
    job: Job, span: CommitRange, graph: Search, answer: Bisected, named: Mapping[str, Candidate]
) -> Bisected:
    """Prove the culprit, and say what it changed."""
    assert graph.culprit is not None
    culprit = points.commit(job.lab.repo, graph.culprit)
    job.live.at(f"is it {named[culprit.id].name}? proving it")
    with Crew(job.judge.prober, _at_once(job)) as crew:
        proofs, tried = verify.verify(job.judge, job.lab, crew, span, culprit, list(named.values()))
    for candidate, decision in tried.items():
        job.live.decided(candidate, decision, "verify")
    before = _of(job, tried, culprit.parents[0]) if culprit.parents else None
    notes = [*answer.notes, *_notes(span, culprit, proofs)]
    number, message_id = 0, ""
    if job.ask.mode is BisectMode.SERIES and job.ask.plan.series:
        number = 1 + span.graph.commits.index(culprit.id)
        message_id = job.ask.plan.series.patches[number - 1].message_id
    return _finished(
        job,
        answer,
        notes=tuple(notes),
        culprit=culprit,
        patch=number,
        message_id=message_id,
        steps=job.steps(tried),
        proofs=tuple(proofs),
        differences=tuple(differences.between(before, _of(job, tried, culprit.id))),
        confidence=_confidence(job, graph, culprit, tried, proofs),
    )


def _at_once(job: Job) -> int:
    """Say how many guests may prove it: nothing else is under way then but one build."""
    if job.ask.plan.guests.isdigit():
        return job.crew.guests
    return max(job.crew.guests, min(PROOFS, len(os.sched_getaffinity(0))))


def _notes(span: CommitRange, culprit: Commit, proofs: list[Proof]) -> Iterator[str]:
    """Say what to think of where the proof is not what it should be."""
    broken = {one.what for one in proofs if one.holds is False}
    if verify.PARENT in broken and span.files:
        yield "its parent is not different: it is a commit that does not touch these files"
    elif broken:
        yield "the proof contradicts this: the failure is flaky, or has more than one cause"
    if span.first_parent and len(culprit.parents) > 1:
        one, two = (parent[:12] for parent in culprit.parents[:2])
        yield f"a merge: --good {one} --bad {two} looks into what it brought"


def _of(job: Job, tried: Mapping[Candidate, Decision], commit: str) -> Decision | None:
    """Give the decision that has a commit's evidence; one made for the proof rather."""
    both = [*tried.items(), *job.judge.decisions.items()]
    return next((decision for one, decision in both if one.commit == commit), None)


def _finished(job: Job, answer: Bisected, **more: object) -> Bisected:
    rate, interval = job.rate
    prober = job.judge.prober
    return dataclasses.replace(
        answer,
        rate=rate,
        interval=interval,
        built=prober.builder.built,
        booted=prober.booted,
        **more,  # type: ignore[arg-type]
    )


def _confidence(
    job: Job,
    graph: Search,
    culprit: Commit,
    tried: Mapping[Candidate, Decision],
    proofs: list[Proof],
) -> float:
    """Give the probability that it is this one, of all that were in the range.

    What compilers say is certain.
    """
    rates = job.judge.rule.rates
    if any(one.holds is False for one in proofs) or rates is None:
        return 0.0
    if job.judge.prober.signature.steady:
        return 1.0
    seen = hunt.counts(job.judge)
    for candidate, decision in tried.items():
        if candidate.commit in graph.graph.parents:
            seen[candidate.commit] = seen.get(candidate.commit, Count()) + decision.count

    def contains(commit: str, suspect: str) -> bool:
        return graph.contains(commit, suspect) is not job.ask.reverse

    return sequential.shares(graph.graph.commits, seen, rates, contains)[culprit.id]


def _log(job: Job, span: CommitRange, graph: Search, subjects: Mapping[str, str]) -> None:
    """Write what git's own bisect could go on from."""
    ends_ = [(span.bad, Call.BAD), *((good, Call.GOOD) for good in span.goods)]
    later = [(one, call) for one, call in graph.calls.items() if one != span.bad]
    text = replay.write(
        [*ends_, *later],
        subjects,
        files=span.files,
        first_parent=span.first_parent,
        reverse=job.ask.reverse,
        culprit=graph.culprit or "",
    )
    (job.state.folder / replay.NAME).write_text(text, encoding="utf-8")
