# SPDX-License-Identifier: GPL-2.0-only
"""The search at work: while one kernel boots, those that may be next are built, and tried as well.

With one guest it is a bisection that never waits for a build it could have made before.  With
more, candidates that are built are tried ahead of their turn, which cuts what is left in more
than two parts.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from harness.bisect import sequential
from harness.bisect.lab import Builder
from harness.bisect.live import Live
from harness.bisect.prober import Prober
from harness.bisect.search import Contradiction, Search
from harness.bisect.sequential import Decision, Rates
from harness.bisect.values import Call, Candidate, Observation

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


class Judge:
    """Decides what candidates are; the same bytes are not booted again."""

    def __init__(self, prober: Prober, rule: Rule) -> None:
        self.prober, self.rule = prober, rule
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
            found = dataclasses.replace(known, why=f"the same kernel as {other.name}")
        else:
            found = self._tried(candidate, phase)
        if not fresh:
            self.decisions[candidate] = found
            if digest:
                self._same.setdefault(digest, (candidate, found))
        return found

    def _tried(self, candidate: Candidate, phase: str) -> Decision:
        rates = self.rule.rates

        def observe() -> Observation:
            return self.prober(candidate, phase)

        if rates is None or self.prober.signature.steady:
            one = observe()
            failed = int(one.call is Call.BAD)
            told = one.call in (Call.GOOD, Call.BAD)
            count = sequential.Count(failed, int(told))
            return Decision(one.call, (one,), count, float(told), one.why)
        found = sequential.decide(observe, rates, confidence=self.rule.confidence)
        if len(found.observations) == 1:  # its own words say more than a count
            return dataclasses.replace(found, why=found.observations[0].why)
        return found

    def know(self, candidate: Candidate, decision: Decision) -> None:
        """Take what was found out elsewhere."""
        self.decisions[candidate] = decision
        if digest := self.prober.builder.made(candidate).digest:
            self._same.setdefault(digest, (candidate, decision))


class Hunt:
    """Goes from the ends to the culprit.  ``candidates`` are those of the graph's commits."""

    def __init__(
        self,
        judge: Judge,
        builder: Builder,
        search: Search,
        candidates: Callable[[str], Candidate],
        live: Live,
        guests: int,
    ) -> None:
        self.judge, self.builder, self.search = judge, builder, search
        self._candidate, self.live, self.guests = candidates, live, guests
        self.notes: list[str] = []
        self._pool = concurrent.futures.ThreadPoolExecutor(guests)
        self._trying: dict[str, concurrent.futures.Future[Decision]] = {}

    def run(self) -> None:
        """Search until nothing more can be found out; the result is in ``search``."""
        ahead = 1 if self.builder.sources_only else AHEAD
        with self._working():
            while wanted := self.search.ahead(ahead):
                first, *others = ((name, self._candidate(name)) for name in wanted)
                self.live.searching(self.search, first[1])
                self.builder.keep_only({candidate for _, candidate in (first, *others)})
                self._begin(*first)
                for name, candidate in others:
                    self._look_ahead(name, candidate)
                self._absorb()

    def _begin(self, name: str, candidate: Candidate) -> None:
        if name not in self._trying:
            self._trying[name] = self._pool.submit(self.judge.decide, candidate)

    def _look_ahead(self, name: str, candidate: Candidate) -> None:
        """Build what may be next; try it when a guest is free besides the next one's."""
        self.builder.begin(candidate)
        busy = sum(not future.done() for future in self._trying.values())
        if self.builder.ready(candidate) and busy < self.guests:
            self._begin(name, candidate)

    def _absorb(self) -> None:
        """Wait until something is known, and take it."""
        waiting = list(self._trying.values())
        concurrent.futures.wait(
            waiting, timeout=0.2, return_when=concurrent.futures.FIRST_COMPLETED
        )
        for name in [name for name, future in self._trying.items() if future.done()]:
            decision = self._trying.pop(name).result()
            self.live.decided(self._candidate(name), decision)
            try:
                self.search.take(name, self.judge.rule.of(decision))
            except Contradiction as one:
                # Its answer is outside of what is left.  What is left is proven in the end.
                self.notes.append(
                    f"{self._candidate(name).name} is {decision.call} against the others "
                    f"({one}): the failure is flaky, or came more than once"
                )

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Hold the threads; on the way out end what they run."""
        try:
            yield
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self.builder.keep_only(set())
            if any(not future.done() for future in self._trying.values()):
                self.judge.prober.stop()  # trials ahead of their turn that nobody waits for
            self._pool.shutdown(wait=True)
            self.judge.prober.stopped = False


def counts(judge: Judge, names: Mapping[Candidate, str]) -> dict[str, sequential.Count]:
    """Give what was seen of each commit."""
    return {
        names[candidate]: decision.count
        for candidate, decision in judge.decisions.items()
        if candidate in names and decision.count.runs
    }
