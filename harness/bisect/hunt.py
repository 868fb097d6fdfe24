# SPDX-License-Identifier: GPL-2.0-only
"""Runs the search: while one kernel is booting, others that may be needed next are built and tried.

With one guest this is an ordinary bisection that builds ahead.  With more guests, candidates that
are already built are tried ahead of their turn, which divides the suspects into more than two
parts.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable, Collection
from typing import Any

from harness.bisect import flaky
from harness.bisect.flaky import Decision, FailureRates, RunCount
from harness.bisect.prober import Prober
from harness.bisect.search import Contradiction, GraphSearch
from harness.model import Call, Candidate, Observation
from harness.progress import Progress, RowProgress, Stage, clock

AHEAD = 3  # candidates to build: the next one, and the two that may follow it
_MARKS = {Call.GOOD: "good", Call.BAD: "bad", Call.SKIP: "odd", Call.OTHER: "odd"}


@dataclasses.dataclass(frozen=True)
class CallRule:
    """How observations become calls.

    ``other`` is what a failure other than the signature counts as.  ``rates`` are the failure
    rates, once known.  ``reverse``: the search is for the commit that fixed the failure.
    """

    confidence: float = 0.99
    other: Call = Call.SKIP
    rates: FailureRates | None = None
    reverse: bool = False

    def without_other(self, call: Call) -> Call:
        """Replace OTHER with what it counts as."""
        return self.other if call is Call.OTHER else call

    def of(self, decision: Decision) -> Call:
        """Return the call for the search: with ``reverse``, good and bad are swapped."""
        call = self.without_other(decision.call)
        if self.reverse and call in (Call.GOOD, Call.BAD):
            return Call.BAD if call is Call.GOOD else Call.GOOD
        return call


class TrialThreads:
    """The threads in which trials run; leaving the context stops trials that are still running."""

    def __init__(self, prober: Prober, guests: int) -> None:
        self.guests, self._prober = guests, prober
        self._decisions = concurrent.futures.ThreadPoolExecutor(guests)
        self._trials = concurrent.futures.ThreadPoolExecutor(guests)
        self._begun: list[concurrent.futures.Future[Any]] = []

    @property
    def busy(self) -> int:
        """The number of trials and decisions that are running or queued."""
        return sum(not future.done() for future in self._begun)

    def decide(
        self, decide: Callable[..., Decision], *args: object
    ) -> concurrent.futures.Future[Decision]:
        """Call ``decide`` in a thread."""
        future = self._decisions.submit(decide, *args)
        self._begun.append(future)
        return future

    def trial(self, observe: Callable[[], Observation]) -> concurrent.futures.Future[Observation]:
        """Make one trial in a thread, in parallel with the decisions."""
        future = self._trials.submit(observe)
        self._begun.append(future)
        return future

    def ahead(self, observe: Callable[[], Observation]) -> Callable[[], Observation]:
        """Return a function like ``observe`` that keeps a trial running in every guest."""
        waiting: collections.deque[concurrent.futures.Future[Observation]] = collections.deque()

        def following() -> Observation:
            while len(waiting) < self.guests:
                waiting.append(self.trial(observe))
            return waiting.popleft().result()

        return following

    def clear(self) -> None:
        """Stop the running trials: their outcome is no longer needed."""
        waiting = [future for future in self._begun if not future.done() and not future.cancel()]
        while waiting:
            self._prober.stop()
            self._prober.builder.keep_only(set())
            waiting = list(concurrent.futures.wait(waiting, timeout=1).not_done)
        self._prober.go_on()
        self._begun.clear()

    def __enter__(self) -> TrialThreads:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
        self._decisions.shutdown(wait=True)
        self._trials.shutdown(wait=True)


class Judge:
    """Decides whether candidates are good or bad; kernels with the same code are tried once."""

    def __init__(self, prober: Prober, rule: CallRule, threads: TrialThreads) -> None:
        self.prober, self.rule, self.threads = prober, rule, threads
        self.decisions: dict[Candidate, Decision] = {}
        self._by_digest: dict[str, tuple[Candidate, Decision]] = {}

    def decide(self, candidate: Candidate, phase: str = "search") -> Decision:
        """Try a candidate as often as necessary; outside "search", ignore known decisions.

        A known decision is one about the candidate, or about a kernel with the same code.
        """
        fresh = phase != "search"
        if candidate in self.decisions and not fresh:
            return self.decisions[candidate]
        digest = self.prober.builder.result(candidate).digest
        if digest in self._by_digest and not fresh:
            other, known = self._by_digest[digest]
            # The runs belong to the other candidate and must not count twice.
            why = f"the same kernel as {other.name}"
            decision = dataclasses.replace(known, why=why, count=RunCount())
        else:
            decision = self._tried(candidate, phase)
        if not fresh:
            self._keep(candidate, decision, digest)
        return decision

    def know(self, candidate: Candidate, decision: Decision) -> None:
        """Record a decision that was made elsewhere."""
        self._keep(candidate, decision, self.prober.builder.result(candidate).digest)

    def _keep(self, candidate: Candidate, decision: Decision, digest: str) -> None:
        self.decisions[candidate] = decision
        if digest:
            self._by_digest.setdefault(digest, (candidate, decision))

    def forget(self, call: Call) -> None:
        """Discard the decisions with this call, made after too few runs; trials stay on disk."""
        for candidate, decision in list(self.decisions.items()):
            if decision.call is call:
                del self.decisions[candidate]
        self._by_digest = {
            digest: known for digest, known in self._by_digest.items() if known[1].call is not call
        }

    @property
    def patient(self) -> bool:
        """Whether one trial is not enough because the failure is flaky."""
        rates = self.rule.rates
        return rates is not None and rates.passes_needed(self.rule.confidence) > 1

    def counts(self) -> dict[str, RunCount]:
        """Return the run counts of each commit that was tried."""
        return {
            candidate.commit: decision.count
            for candidate, decision in self.decisions.items()
            if decision.count.runs
        }

    def _tried(self, candidate: Candidate, phase: str) -> Decision:
        rates = self.rule.rates
        if rates is None or self.prober.signature.kind.steady:
            trial = self.prober(candidate, phase)
            count = flaky.counted(trial)
            return Decision(trial.call, (trial,), count, float(count.runs), trial.why)
        once = functools.partial(self.prober, candidate, phase)
        observe = self.threads.ahead(once) if self.patient else once
        decision = flaky.decide(observe, rates, confidence=self.rule.confidence)
        if len(decision.observations) == 1:  # its reason is more informative than a count
            return dataclasses.replace(decision, why=decision.observations[0].why)
        return decision


class SearchProgress:
    """Shows the search: the current candidate, the number of suspects, and each decision.

    ``unit`` names the suspects: "patches" or "commits".
    """

    def __init__(self, progress: Progress, rows: RowProgress, stage: Stage, unit: str) -> None:
        self.progress, self.stage, self.unit = progress, stage, unit
        rows.around = stage
        self.steps = 0

    def searching(self, search: GraphSearch, candidate: Candidate) -> None:
        """Show the candidate to try next, and how many steps are left."""
        total = self.steps + search.steps()
        text = f"{len(search.left)} {self.unit}, step {self.steps + 1} of {total}"
        self.note(f"{text}: {candidate.name}", self.steps, total)

    def note(self, text: str, done: int | None = None, total: int | None = None) -> None:
        self.stage.update(done, total, text)

    def flaky(self, runs: int, *, repeats: bool) -> None:
        """Report that the failure is flaky: a kernel is good after ``runs`` passing runs."""
        more = "" if repeats else "; --repeat 10 makes ten runs in each guest"
        self.progress.say(
            f"the failure is flaky: {runs} runs must pass before a kernel is called good{more}"
        )

    def decided(self, candidate: Candidate, decision: Decision, phase: str = "search") -> None:
        self.steps += phase == "search"
        seconds = sum(trial.seconds for trial in decision.observations)
        line = f"{decision.call:<5} {candidate.name}  {clock(seconds)}"
        self.progress.event(_MARKS[decision.call], line, decision.why)


class Hunt:
    """Searches for the culprit.  ``candidates`` returns the candidate of a commit in the graph.

    ``proof`` returns the candidate that will be needed to prove a culprit, if any; it is built
    when there is nothing else to build.  With ``workers`` of their own machines, as many candidates
    are built and tried at once, which divides the suspects into more than two parts.
    """

    def __init__(
        self,
        judge: Judge,
        search: GraphSearch,
        candidates: Callable[[str], Candidate],
        shown: SearchProgress,
        proof: Callable[[str], Candidate | None] = lambda _: None,
        workers: int = 0,
    ) -> None:
        self.judge, self.search, self.shown, self.threads = judge, search, shown, judge.threads
        self.builder = judge.prober.builder
        self.notes: list[str] = []
        self._candidate, self._proof, self._workers = candidates, proof, workers
        self._trying: dict[str, concurrent.futures.Future[Decision]] = {}

    def run(self, until: Callable[[], bool] = bool, meanwhile: Callable[[], object] = bool) -> None:
        """Search until no further trial would help; the result is in ``search``.

        The search stops early if ``until`` returns true; ``meanwhile`` is called when a guest is
        free.
        """
        commits, calls = self._next(), len(self.search.calls)
        while commits and not until():
            (name, candidate), *others = ((name, self._candidate(name)) for name in commits)
            proof = self._next_proof(candidate)
            needed = {candidate, *proof, *(other for _, other in others)}
            self.builder.keep_only(needed)
            self.shown.searching(self.search, candidate)
            self._try(name, candidate)
            for other_name, other in others:
                if self._workers:
                    self._try(other_name, other)
                elif self.builder.near(candidate, other):
                    self._look_ahead(other_name, other)
            if proof and self.builder.idle:
                self.builder.begin(*proof)
            if self.judge.prober.running < self.threads.guests:
                meanwhile()
            self._absorb()
            if len(self.search.calls) != calls:
                commits, calls = self._next(), len(self.search.calls)
                self._drop_useless(commits)
        self.threads.clear()

    def _next(self) -> tuple[str, ...]:
        """Return the commits that are worth a trial now; the first one is needed in any case."""
        if self._workers:
            return self.search.section(self._workers, self._trying)
        return self.search.ahead(1 if self.builder.sources_only else AHEAD)

    def _drop_useless(self, commits: Collection[str]) -> None:
        """Stop trials on workers of commits that are no suspects any more."""
        if self._workers:
            for name in self._trying.keys() - set(commits):
                del self._trying[name]
                self.builder.drop(self._candidate(name))

    def _next_proof(self, now: Candidate) -> set[Candidate]:
        """Return the candidate that the proof needs if the likeliest suspect is the culprit.

        It is built only if that delays nothing: the candidate being tried (``now``) is already
        built, and no shared header differs, which would slow down a later build.
        """
        suspect = self.search.suspect
        if suspect is None or self.builder.sources_only or not self.builder.ready(now):
            return set()
        candidate = self._proof(suspect)
        return {candidate} if candidate and self.builder.near(now, candidate) else set()

    def _try(self, name: str, candidate: Candidate) -> None:
        if name not in self._trying:
            self._trying[name] = self.threads.decide(self.judge.decide, candidate)

    def _look_ahead(self, name: str, candidate: Candidate) -> None:
        """Build a candidate that may be next; try it if a guest is free."""
        self.builder.begin(candidate)
        free = self.threads.busy < self.threads.guests and not self.judge.patient
        if free and self.builder.ready(candidate):
            self._try(name, candidate)

    def _absorb(self) -> None:
        """Wait a moment for decisions, and record them."""
        concurrent.futures.wait(
            self._trying.values(), timeout=0.2, return_when=concurrent.futures.FIRST_COMPLETED
        )
        for name in [name for name, future in self._trying.items() if future.done()]:
            decision = self._trying.pop(name).result()
            candidate = self._candidate(name)
            self.shown.decided(candidate, decision)
            try:
                self.search.take(name, self.judge.rule.of(decision))
            except Contradiction:
                # The proof at the end shows whether the remaining suspects include the culprit.
                self.notes.append(
                    f"{candidate.name} is {decision.call}, which contradicts earlier results: the "
                    "failure is flaky, or was introduced more than once"
                )
