# SPDX-License-Identifier: GPL-2.0-only
"""The search at work, with instant trials: what is tried, how often, and what is shown."""

from __future__ import annotations

import random
import threading
from typing import Any, cast

import pytest

from harness.bisect.builder import BuiltCandidate
from harness.bisect.flaky import FailureRates, RunCount
from harness.bisect.hunt import CallRule, Hunt, Judge, SearchProgress, TrialThreads
from harness.bisect.prober import Prober
from harness.bisect.search import GraphSearch, chain
from harness.bisect.signature import TEST, Signature
from harness.errors import HostFault
from harness.model import Call, Candidate, Observation

STEADY = FailureRates(RunCount(3, 3))
FLAKY = FailureRates(RunCount(5, 15))


class Builds:
    """Replaces the builder: kernels are ready at once; ``images`` maps commits to their digests."""

    sources_only, stopped, idle = False, False, True

    def __init__(self, images: dict[str, str]) -> None:
        self.images = images
        self.begun: list[str] = []

    def result(self, candidate: Candidate) -> BuiltCandidate:
        return BuiltCandidate(digest=self.images.get(candidate.commit, candidate.commit))

    def ready(self, _: Candidate) -> bool:
        return True

    def near(self, *_: Candidate) -> bool:
        return True

    def begin(self, candidate: Candidate) -> None:
        self.begun.append(candidate.commit)

    def keep_only(self, _: set[Candidate]) -> None: ...


class Trials:
    """Replaces the prober: ``call`` returns the call for each commit."""

    signature = Signature(TEST, test="t.py::test_x")

    def __init__(self, builder: Builds, call: Any) -> None:
        self.builder, self._call = builder, call
        self.tried: list[str] = []
        self.running = 0
        self._lock = threading.Lock()

    def __call__(self, candidate: Candidate, _phase: str = "search") -> Observation:
        with self._lock:
            self.tried.append(candidate.commit)
            return Observation(self._call(candidate.commit))

    def stop(self) -> None: ...

    def go_on(self) -> None: ...


class Quiet:
    """Records decisions."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def searching(self, *_: object) -> None: ...

    def decided(self, candidate: Candidate, *_: object) -> None:
        self.said.append(candidate.commit)


def hunt(
    size: int, call: Any, rule: CallRule, guests: int = 1, images: dict[str, str] | None = None
) -> tuple[GraphSearch, Trials, Hunt]:
    trials = Trials(Builds(images or {}), call)
    search = GraphSearch(chain(f"c{number}" for number in range(size)))
    search.take(f"c{size - 1}", Call.BAD)
    with TrialThreads(cast(Prober, trials), guests) as threads:
        judge = Judge(cast(Prober, trials), rule, threads)
        shown = cast(SearchProgress, Quiet())
        running = Hunt(judge, search, lambda name: Candidate(name, name), shown)
        running.run()
    return search, trials, running


def since(culprit: int, bad: Call = Call.BAD, good: Call = Call.GOOD) -> Any:
    return lambda commit: bad if int(commit[1:]) >= culprit else good


@pytest.mark.parametrize("guests", [1, 2, 3])
def test_the_culprit_does_not_depend_on_the_number_of_guests(guests: int) -> None:
    for culprit in range(0, 40, 3):
        search, trials, found = hunt(40, since(culprit), CallRule(rates=STEADY), guests)
        assert search.culprit == f"c{culprit}"
        assert len(trials.tried) == len(set(trials.tried))
        assert not found.notes
        assert len(trials.tried) <= 6 * 2  # including those tried ahead of their turn


def test_the_same_image_is_tried_once() -> None:
    images = {f"c{number}": f"image {number // 8}" for number in range(64)}
    search, trials, _ = hunt(64, since(24), CallRule(rates=STEADY), images=images)
    assert search.culprit == "c24"
    assert len({images[commit] for commit in trials.tried}) == len(trials.tried)


def test_the_commit_that_fixed_it_is_found() -> None:
    call = since(9, bad=Call.GOOD, good=Call.BAD)
    search, _, _ = hunt(20, call, CallRule(rates=STEADY, reverse=True))
    assert search.culprit == "c9"


@pytest.mark.parametrize(
    ("other", "culprit"), [(Call.SKIP, None), (Call.GOOD, "c12"), (Call.BAD, "c8")]
)
def test_what_another_failure_counts_as(other: Call, culprit: str | None) -> None:
    def call(commit: str) -> Call:
        number = int(commit[1:])
        return Call.BAD if number >= 12 else Call.OTHER if number >= 8 else Call.GOOD

    search, _, _ = hunt(20, call, CallRule(rates=STEADY, other=other))
    assert search.culprit == culprit
    if culprit is None:
        assert search.left == ("c8", "c9", "c10", "c11", "c12")


def test_a_flaky_failure_is_tried_until_it_is_sure() -> None:
    rand = random.Random(7)

    def call(commit: str) -> Call:
        bad = int(commit[1:]) >= 9 and rand.random() < 1 / 3
        return Call.BAD if bad else Call.GOOD

    search, trials, found = hunt(20, call, CallRule(rates=FLAKY), guests=3)
    assert search.culprit == "c9"
    good = [decision for decision in found.judge.decisions.values() if decision.call is Call.GOOD]
    assert all(decision.count.runs >= 8 for decision in good)
    assert trials.tried.count("c8") >= 8


def test_a_fault_of_the_host_ends_the_search() -> None:
    def call(_: str) -> Call:
        raise HostFault("no memory")

    for guests in (1, 3):
        with pytest.raises(HostFault):
            hunt(20, call, CallRule(rates=STEADY), guests)


def test_a_contradiction_is_noted_and_the_search_goes_on() -> None:
    # c15 is good although c10 is bad: it is tried ahead of its turn, because a guest is free.
    def call(commit: str) -> Call:
        number = int(commit[1:])
        return Call.GOOD if number < 10 or number > 12 else Call.BAD

    for guests in (1, 3):
        search, _, _ = hunt(20, call, CallRule(rates=STEADY), guests)
        assert search.culprit in ("c10", "c19")


@pytest.mark.parametrize(("near", "ready", "begun"), [(1, 1, 1), (0, 1, 0), (1, 0, 0)])
def test_the_proof_is_built_ahead_where_nothing_waits_for_it(
    near: int, ready: int, begun: int
) -> None:
    builds = Builds({})
    builds.near = lambda *_: bool(near)  # type: ignore[method-assign]
    builds.ready = lambda _: bool(ready)  # type: ignore[method-assign]
    trials, reverts = Trials(builds, since(6)), set[str]()
    search = GraphSearch(chain(f"c{number}" for number in range(16)), ["c6"])
    search.take("c15", Call.BAD)

    def proof(commit: str) -> Candidate:
        reverts.add(commit)
        return Candidate("reverted", f"without {commit}")

    with TrialThreads(cast(Prober, trials), 1) as threads:
        judge = Judge(cast(Prober, trials), CallRule(rates=STEADY), threads)
        Hunt(
            judge, search, lambda name: Candidate(name, name), cast(SearchProgress, Quiet()), proof
        ).run()
    assert search.culprit == "c6"
    assert reverts == ({"c6"} if ready else set())
    assert ("without c6" in builds.begun) is bool(begun)
