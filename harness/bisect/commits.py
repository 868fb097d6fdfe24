# SPDX-License-Identifier: GPL-2.0-only
"""Bisection of commits: the ends, the search, the proof."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import os
from collections.abc import Collection, Iterator, Mapping, Sequence

from harness.bisect import ends, flaky, gitlog, proof, ranges, search
from harness.bisect.flaky import Decision, RunCount
from harness.bisect.gitlog import GitLog
from harness.bisect.hunt import Hunt, TrialThreads
from harness.bisect.job import BisectJob, steps
from harness.bisect.ranges import CommitRange
from harness.bisect.search import Contradiction, GraphSearch
from harness.errors import UsageError
from harness.model import Bisected, BisectMode, Call, Candidate, Commit, Proof

_PROOFS = 3  # the culprit, its parent, the bad end with the culprit reverted


def bisect_commits(job: BisectJob) -> Bisected:
    """Find the commit that introduced the failure, or fixed it, and prove it."""
    span, log = _range(job)
    subjects = ranges.subjects(job.sources.repo, [*span.goods, *span.bases, *span.graph.commits])
    named = _candidates(job, span, subjects)
    graph, notes = _search(job, span, log, named)
    (job.state.folder / gitlog.NAME).write_text(_log(job, span, graph, subjects), encoding="utf-8")
    answer = job.answer(
        ", ".join(named[good].name for good in span.goods),
        named[span.bad].name,
        len(span.graph.commits),
    )
    answer = dataclasses.replace(answer, confidence=0.0, notes=tuple(notes))
    if graph.culprit is not None:
        return _proven(job, span, graph, answer, named)
    remaining = tuple(ranges.read_commit(job.sources.repo, commit) for commit in graph.left)
    return dataclasses.replace(answer, remaining=remaining)


def _range(job: BisectJob) -> tuple[CommitRange, GitLog | None]:
    """Determine the range, and pin the refs that may move."""
    plan, sources, pins = job.plan, job.sources, job.state.pins
    if plan.mode is BisectMode.SERIES:
        series = plan.run.series
        assert series is not None
        with sources.held() as slot:
            return ranges.of_series(slot.base().commit, slot.patched(series)), None
    # Refs are resolved in the user's tree: our repository has the commits, but no branches.
    theirs = plan.run.tree or sources.repo
    log = gitlog.read(plan.log, theirs) if plan.log else None
    goods, bad = plan.goods, plan.bad
    if log and not goods:
        # The first good and bad calls are the ends, which are tested; later calls are trusted.
        goods, bad = log.of(Call.GOOD)[:1], [*log.of(Call.BAD), bad][0]
    goods = tuple(pins.get("goods", "").split()) or tuple(
        ranges.resolve(theirs, good) for good in goods
    )
    bad = pins.get("bad") or ranges.resolve(theirs, bad)
    job.state.pin({"goods": " ".join(goods), "bad": bad})
    old, new = ((bad,), goods[0]) if plan.reverse else (goods, bad)
    files = plan.files or (log.files if log else ())
    first_parent = plan.first_parent or bool(log and log.first_parent)
    span = ranges.of_history(sources.repo, old, new, first_parent=first_parent, files=files)
    return span, log


def _candidates(
    job: BisectJob, span: CommitRange, subjects: Mapping[str, str]
) -> dict[str, Candidate]:
    """Return the candidate of each commit, with its display name."""
    commits = span.graph.commits
    if job.plan.mode is BisectMode.HISTORY:
        return {
            commit: Candidate(f'{commit[:12]} ("{subjects[commit]}")', commit)
            for commit in (*span.goods, *span.bases, *commits)
        }
    base = span.goods[0]
    return {base: Candidate(f"the base {job.sources.source.name}", base)} | {
        commit: Candidate(f"{number}/{len(commits)} {subjects[commit]}", commit)
        for number, commit in enumerate(commits, 1)
    }


def _search(
    job: BisectJob, span: CommitRange, log: GitLog | None, named: Mapping[str, Candidate]
) -> tuple[GraphSearch, list[str]]:
    """Test the ends and search; search again if the failure turns out to be flaky.

    Returns the finished search, and notes about it.
    """
    judge = job.judge
    old = [named[commit] for commit in (*span.goods, *span.bases)]
    new = [named[span.bad]]
    failing, clean = (old, new) if job.plan.reverse else (new, old)
    if judge.prober.signature.unknown:
        judge.prober.signature = ends.choose_signature(job, failing[0], clean[0])
    weights = _weights(job, span)
    graph = _graph(span, log, *weights)
    early = _begin(job, [*failing[:1], *clean, *map(named.__getitem__, graph.ahead(1))], clean)
    steady = ends.first_failure(job, failing[0])
    for future in early:
        future.result()
    if steady is None and judge.patient:  # a single passing run was not enough
        judge.forget(Call.GOOD)
    while True:
        ends.check_others(job, failing[1:], Call.BAD)
        ends.check_others(job, clean, Call.GOOD)
        without = functools.cache(functools.partial(_without, job, span))
        workers = judge.prober.builder.workers
        hunt = Hunt(judge, graph, named.__getitem__, job.shown, without, workers)
        if steady is None:
            hunt.run()
            return graph, hunt.notes
        hunt.run(until=steady.refuted, meanwhile=steady.more)
        if steady.settled():
            return graph, hunt.notes
        judge.forget(Call.GOOD)
        graph, steady = _graph(span, log, *weights), None


def _without(job: BisectJob, span: CommitRange, commit: str) -> Candidate | None:
    """Return the bad end with a commit reverted; None if that is impossible."""
    culprit = ranges.read_commit(job.sources.repo, commit)
    reverted = proof.without_culprit(job.sources, span, culprit)
    return reverted if isinstance(reverted, Candidate) else None


def _weights(job: BisectJob, span: CommitRange) -> tuple[frozenset[str], frozenset[str]]:
    """Return the likely culprits, and the commits that are very unlikely to be the culprit."""
    signature = job.judge.prober.signature
    files = ranges.files(job.sources.repo, span.graph.commits)
    idle = search.idle(files, job.sources.may_use()) if signature.kind.boots else frozenset()
    return search.likely(str(signature), files), idle


def _graph(
    span: CommitRange, log: GitLog | None, likely: Collection[str], idle: Collection[str]
) -> GraphSearch:
    """Return a search with the bad end and the calls recorded in the log."""
    graph = GraphSearch(span.graph, likely, idle)
    graph.take(span.bad, Call.BAD)
    for commit, call in log.calls if log else ():
        try:
            graph.take(commit, call)
        except Contradiction as contradiction:
            raise UsageError(
                f"the log contradicts itself: {contradiction}", hint="remove the wrong line"
            ) from contradiction
    return graph


def _begin(
    job: BisectJob, candidates: Sequence[Candidate], clean: Sequence[Candidate]
) -> list[concurrent.futures.Future[Decision]]:
    """Build the first kernels; meanwhile try the ``clean`` ends whose kernels are in the cache."""
    builder = job.judge.prober.builder
    if builder.sources_only:
        return []
    kept = [candidate for candidate in clean if builder.kept(candidate)]
    for candidate in candidates:
        builder.begin(candidate)
    return [job.judge.threads.decide(job.judge.decide, candidate) for candidate in kept]


def _proven(
    job: BisectJob,
    span: CommitRange,
    graph: GraphSearch,
    answer: Bisected,
    named: Mapping[str, Candidate],
) -> Bisected:
    """Prove the culprit, and add it to the answer with its proofs."""
    assert graph.culprit is not None
    judge = job.judge
    culprit = ranges.read_commit(job.sources.repo, graph.culprit)
    job.shown.note(f"verifying the culprit: {named[culprit.id].name}")
    with TrialThreads(judge.prober, _guests(job)) as threads:
        proofs, decisions = proof.prove(job, threads, span, culprit, named)
    for candidate, decision in decisions.items():
        job.shown.decided(candidate, decision, proof.PHASE)

    def decided(commit: str) -> Decision | None:
        """Return the decision about a commit, preferably one made for the proof."""
        both = [*decisions.items(), *judge.decisions.items()]
        return next((decision for tried, decision in both if tried.commit == commit), None)

    number, message_id = 0, ""
    if job.plan.mode is BisectMode.SERIES and job.plan.run.series:
        number = 1 + span.graph.commits.index(culprit.id)
        message_id = job.plan.run.series.patches[number - 1].message_id
    before = decided(culprit.parents[0]) if culprit.parents else None
    return dataclasses.replace(
        answer,
        notes=(*answer.notes, *_notes(span, culprit, proofs)),
        culprit=culprit,
        patch=number,
        message_id=message_id,
        steps=(*steps(judge.decisions, "search"), *steps(decisions, proof.PHASE)),
        proofs=tuple(proofs),
        differences=tuple(proof.contrasts(before, decided(culprit.id))),
        confidence=_confidence(job, graph, culprit, decisions, proofs),
        built=judge.prober.builder.built,
        booted=judge.prober.booted,
    )


def _guests(job: BisectJob) -> int:
    """Return how many guests the proof may use; at most one build runs alongside them."""
    guests = job.judge.threads.guests
    if job.judge.prober.builder.workers or job.plan.run.guests.isdigit():
        return guests
    return max(guests, min(_PROOFS, len(os.sched_getaffinity(0))))


def _notes(span: CommitRange, culprit: Commit, proofs: list[Proof]) -> Iterator[str]:
    """Explain a proof that failed, and a culprit that is a merge."""
    broken = {claim.what for claim in proofs if claim.holds is False}
    if proof.PARENT in broken and span.files:
        yield "the parent, which does not touch these files, has the same result as the culprit"
    elif broken:
        yield "the proof contradicts this answer: the failure is flaky, or has more than one cause"
    if span.first_parent and len(culprit.parents) > 1:
        good, bad = (parent[:12] for parent in culprit.parents[:2])
        yield f"the culprit is a merge: --good {good} --bad {bad} searches the merged commits"


def _confidence(
    job: BisectJob,
    graph: GraphSearch,
    culprit: Commit,
    decisions: Mapping[Candidate, Decision],
    proofs: list[Proof],
) -> float:
    """Return the probability that the culprit is this commit and no other in the range.

    It is 1 for build errors and warnings: they are the same in every build.
    """
    rates = job.judge.rule.rates
    if rates is None or any(claim.holds is False for claim in proofs):
        return 0.0
    if job.judge.prober.signature.kind.steady:
        return 1.0
    seen = job.judge.counts()
    for candidate, decision in decisions.items():
        if candidate.commit in graph.graph.parents:
            seen[candidate.commit] = seen.get(candidate.commit, RunCount()) + decision.count

    def contains(commit: str, suspect: str) -> bool:
        return graph.contains(commit, suspect) is not job.plan.reverse

    return flaky.shares(graph.graph.commits, seen, rates, contains)[culprit.id]


def _log(job: BisectJob, span: CommitRange, graph: GraphSearch, subjects: Mapping[str, str]) -> str:
    """Return the text of a log that `git bisect` can continue."""
    calls = [(span.bad, Call.BAD), *((good, Call.GOOD) for good in span.goods)]
    calls += [(commit, call) for commit, call in graph.calls.items() if commit != span.bad]
    return gitlog.text(
        calls,
        subjects,
        files=span.files,
        first_parent=span.first_parent,
        reverse=job.plan.reverse,
        culprit=graph.culprit or "",
    )
