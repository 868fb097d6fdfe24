# SPDX-License-Identifier: GPL-2.0-only
"""The search at work: while one kernel boots, those that may be next are built, and tried as well.

With one guest it is a bisection that never waits for a build it could have made before.  With
more, candidates that are built are tried ahead of their turn, which cuts what is left in more
than two parts.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from harness.bisect import sequential
from harness.bisect.live import Live
from harness.bisect.prober import Prober
from harness.bisect.search import Contradiction, Search
from harness.bisect.sequential import Decision, Rates
from harness.model import Call, Candidate, Observation

AHEAD = 3  # candidates that are looked at together: the next one, and the two after it


@dataclasses.dataclass(frozen=True)
class Rule:
    """How observations become calls.

    ``other`` is what another failure than the signature counts as.  ``rates`` are those of the
    failure, once known.  ``reverse``: the search is for what made it good again.
    """

    confidence: float = 0.99
    other: Call = Call.SKIP
    rates: Rates | None = None
    reverse: bool = False

    def of(self, decision: Decision) -> Call:
        """Give the call as the search takes it."""
        call = self.other if decision.call is Call.OTHER else decision.call
        if self.reverse and call in (Call.GOOD, Call.BAD):
            return Call.BAD if call is Call.GOOD else Call.GOOD
        return call


class Crew:
    """The threads in which trials run; leaving the context ends what nobody waits for any more."""

    def __init__(self, prober: Prober, guests: int) -> None:
        self.guests, self._prober = guests, prober
        self._pool = concurrent.futures.ThreadPoolExecutor(guests)
        self._trials = concurrent.futures.ThreadPoolExecutor(guests)
        self._begun: list[concurrent.futures.Future[Any]] = []

    @property
    def busy(self) -> int:
        """How many trials are under way or waiting."""
        return sum(not one.done() for one in self._begun)

    def submit(
        self, decide: Callable[..., Decision], *words: object
    ) -> concurrent.futures.Future[Decision]:
        """Have something decided."""
        made = self._pool.submit(decide, *words)
        self._begun.append(made)
        return made

    def trial(self, observe: Callable[[], Observation]) -> concurrent.futures.Future[Observation]:
        """Have one trial made beside what is decided."""
        made = self._trials.submit(observe)
        self._begun.append(made)
        return made

    def several(self, observe: Callable[[], Observation]) -> Callable[[], Observation]:
        """Give what observes ahead: a trial in each guest, and their results in order."""
        waiting: collections.deque[concurrent.futures.Future[Observation]] = collections.deque()

        def following() -> Observation:
            while len(waiting) < self.guests:
                waiting.append(self.trial(observe))
            return waiting.popleft().result()

        return following

    def clear(self) -> None:
        """End the trials under way: what they would say is of no use any more."""
        waiting = [one for one in self._begun if not one.done() and not one.cancel()]
        while waiting:
            self._prober.stop()
            self._prober.builder.keep_only(set())
            waiting = list(concurrent.futures.wait(waiting, timeout=1).not_done)
        self._prober.go_on()
        self._begun.clear()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
        self._pool.shutdown(wait=True)
        self._trials.shutdown(wait=True)


class Judge:
    """Decides what candidates are; the same bytes are not booted again."""

    def __init__(self, prober: Prober, rule: Rule, crew: Crew) -> None:
        self.prober, self.rule, self.crew = prober, rule, crew
        self.decisions: dict[Candidate, Decision] = {}
        self._same: dict[str, tuple[Candidate, Decision]] = {}

    def decide(self, candidate: Candidate, phase: str = "search") -> Decision:
        """Try a candidate as often as it takes; with another ``phase`` also one that is known."""
        fresh = phase != "search"
        if candidate in self.decisions and not fresh:
            return self.decisions[candidate]
        digest = self.prober.builder.made(candidate).digest
        if digest in self._same and not fresh:
            other, known = self._same[digest]
            # Its runs are the other's: they must not count twice.
            why = f"the same kernel as {other.name}"
            found = dataclasses.replace(known, why=why, count=sequential.Count())
        else:
            found = self._tried(candidate, phase)
        if not fresh:
            self.decisions[candidate] = found
            if digest:
                self._same.setdefault(digest, (candidate, found))
        return found

    @property
    def patient(self) -> bool:
        """Whether one trial is not enough: the failure is flaky."""
        rates = self.rule.rates
        return rates is not None and rates.passes_needed(self.rule.confidence) > 1

    def observer(self, candidate: Candidate, phase: str) -> Callable[[], Observation]:
        """Give what tries a candidate again and again, in as many guests at once as there are."""
        return self.crew.several(functools.partial(self.prober, candidate, phase))

    def _tried(self, candidate: Candidate, phase: str) -> Decision:
        rates = self.rule.rates
        if rates is None or self.prober.signature.steady:
            one = self.prober(candidate, phase)
            failed = int(one.call is Call.BAD)
            told = one.call in (Call.GOOD, Call.BAD)
            count = sequential.Count(failed, int(told))
            return Decision(one.call, (one,), count, float(told), one.why)
        once = functools.partial(self.prober, candidate, phase)
        observe = self.observer(candidate, phase) if self.patient else once
        found = sequential.decide(observe, rates, confidence=self.rule.confidence)
        if len(found.observations) == 1:  # its own words say more than a count
            return dataclasses.replace(found, why=found.observations[0].why)
        return found

    def forget(self, call: Call) -> None:
        """Take back what was called so after too few runs; trials that were made stay on disk."""
        for candidate in [one for one, made in self.decisions.items() if made.call is call]:
            del self.decisions[candidate]
        self._same = {name: one for name, one in self._same.items() if one[1].call is not call}

    def know(self, candidate: Candidate, decision: Decision) -> None:
        """Take what was found out elsewhere."""
        self.decisions[candidate] = decision
        if digest := self.prober.builder.made(candidate).digest:
            self._same.setdefault(digest, (candidate, decision))


class Hunt:
    """Goes from the ends to the culprit.  ``candidates`` gives those of the graph's commits.

    ``proof`` gives what will be built to prove a culprit, if anything: that is done while there
    is nothing else to build.
    """

    def __init__(
        self,
        judge: Judge,
        search: Search,
        candidates: Callable[[str], Candidate],
        live: Live,
        crew: Crew,
        proof: Callable[[str], Candidate | None] = lambda _: None,
    ) -> None:
        self.judge, self.search, self.live, self.crew = judge, search, live, crew
        self.builder = judge.prober.builder
        self.notes: list[str] = []
        self._candidate, self._proof = candidates, proof
        self._trying: dict[str, concurrent.futures.Future[Decision]] = {}

    def run(self, until: Callable[[], bool] = bool, meanwhile: Callable[[], object] = bool) -> None:
        """Search until nothing more can be found out; the result is in ``search``.

        ``until`` says when it is of no use any more; ``meanwhile`` is called where a guest is free.
        """
        ahead = 1 if self.builder.sources_only else AHEAD
        wanted, known = self.search.ahead(ahead), len(self.search.calls)
        while wanted and not until():
            first, *others = ((name, self._candidate(name)) for name in wanted)
            proof = self._proven_next(first[1])
            self.builder.keep_only({candidate for _, candidate in (first, *others)} | proof)
            self.live.searching(self.search, first[1])
            self._begin(*first)
            for name, candidate in others:
                if self.builder.near(first[1], candidate):
                    self._look_ahead(name, candidate)
            if proof and self.builder.idle:
                self.builder.begin(*proof)
            if self.judge.prober.running < self.crew.guests:
                meanwhile()
            self._absorb()
            if len(self.search.calls) != known:
                wanted, known = self.search.ahead(ahead), len(self.search.calls)
        self.crew.clear()

    def _proven_next(self, now: Candidate) -> set[Candidate]:
        """Give what will be wanted if it is the one that is most likely now.

        Nothing may wait for it: not what is tried ``now``, and no later step either, as it would
        where there are headers between them.
        """
        builder = self.builder
        suspect = self.search.suspect
        if suspect is None or builder.sources_only or not builder.ready(now):
            return set()
        candidate = self._proof(suspect)
        return {candidate} if candidate and builder.near(now, candidate) else set()

    def _begin(self, name: str, candidate: Candidate) -> None:
        if name not in self._trying:
            self._trying[name] = self.crew.submit(self.judge.decide, candidate)

    def _look_ahead(self, name: str, candidate: Candidate) -> None:
        """Build what may be next; try it when a guest is free besides the next one's."""
        self.builder.begin(candidate)
        free = self.crew.busy < self.crew.guests and not self.judge.patient
        if free and self.builder.ready(candidate):
            self._begin(name, candidate)

    def _absorb(self) -> None:
        """Wait until something is known, and take it."""
        concurrent.futures.wait(
            self._trying.values(), timeout=0.2, return_when=concurrent.futures.FIRST_COMPLETED
        )
        for name in [name for name, future in self._trying.items() if future.done()]:
            decision = self._trying.pop(name).result()
            self.live.decided(self._candidate(name), decision)
            try:
                self.search.take(name, self.judge.rule.of(decision))
            except Contradiction:
                # Its answer is outside of what is left.  What is left is proven in the end.
                self.notes.append(
                    f"{self._candidate(name).name} is {decision.call}, which fits no single "
                    "culprit: the failure is flaky, or came more than once"
                )


def counts(judge: Judge) -> dict[str, sequential.Count]:
    """Give what was seen of each commit."""
    return {
        candidate.commit: decision.count
        for candidate, decision in judge.decisions.items()
        if decision.count.runs
    }
