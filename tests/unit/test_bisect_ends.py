# SPDX-License-Identifier: GPL-2.0-only
"""The ends, with instant trials: the search begins after the first failure."""

from __future__ import annotations

import collections
import random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from test_bisect_hunt import Builds, Quiet, Trials

from harness.bisect import commits, ranges
from harness.bisect.flaky import FAILURES
from harness.bisect.hunt import CallRule, Judge, TrialThreads
from harness.bisect.job import BisectJob
from harness.bisect.ranges import CommitRange
from harness.bisect.search import GraphSearch, chain
from harness.errors import UsageError
from harness.model import Call, Candidate

SIZE = 20


class Shown(Quiet):
    """Ignores notes, and messages about flaky failures."""

    def note(self, *_: object) -> None: ...

    def flaky(self, *_: object, **__: object) -> None: ...


class Kept(Builds):
    """A builder whose good end is in the cache; no other machine builds."""

    workers = 0

    def kept(self, _: Candidate) -> bool:
        return True


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace what needs a repository."""
    monkeypatch.setattr(ranges, "files", lambda *_: {})
    monkeypatch.setattr(commits, "_without", lambda *_: None)


def found(
    call: Any, *, guests: int = 1, confidence: float = 0.99, other: Call = Call.SKIP
) -> tuple[GraphSearch, Trials, Judge]:
    """Search c0 to c19; ``good`` is their base."""
    trials = Trials(Kept({}), call)
    trials.repeats = False  # type: ignore[attr-defined]
    graph = chain(f"c{number}" for number in range(SIZE))
    names = ["good", *graph.commits]
    named = {name: Candidate(name, name) for name in names}
    with TrialThreads(cast(Any, trials), guests) as threads:
        judge = Judge(cast(Any, trials), CallRule(confidence, other), threads)
        plan = SimpleNamespace(reverse=False, trials=50)
        sources = SimpleNamespace(repo=None, may_use=lambda: bool)
        job = SimpleNamespace(plan=plan, judge=judge, shown=Shown(), sources=sources)
        span = CommitRange(("good",), f"c{SIZE - 1}", graph)
        search, _ = commits._search(cast(BisectJob, job), span, None, named)
    return search, trials, judge


def number(commit: str) -> int:
    return -1 if commit == "good" else int(commit[1:])


@pytest.mark.parametrize("guests", [1, 3])
@pytest.mark.parametrize("culprit", [0, 7, 19])
def test_a_steady_failure(guests: int, culprit: int) -> None:
    search, trials, judge = found(
        lambda commit: Call.BAD if number(commit) >= culprit else Call.GOOD, guests=guests
    )
    assert search.culprit == f"c{culprit}"
    assert trials.tried.count("c19") == 3, "the bad end is still run three times"
    assert max(trials.tried.count(commit) for commit in {*trials.tried} - {"c19"}) == 1
    assert judge.rule.rates is not None
    assert judge.rule.rates.bad.failures == 3


@pytest.mark.parametrize("guests", [1, 3])
def test_a_failure_that_turns_out_to_be_flaky_is_searched_again(guests: int) -> None:
    # Each commit has its own random numbers, so the order of the threads does not matter.
    rand = collections.defaultdict[str, random.Random](lambda: random.Random(3))
    first = [Call.BAD]

    def call(commit: str) -> Call:
        if commit == "c19" and first:
            return first.pop()
        return Call.BAD if number(commit) >= 9 and rand[commit].random() < 0.3 else Call.GOOD

    search, trials, judge = found(call, guests=guests)
    assert search.culprit == "c9"
    rates = judge.rule.rates
    assert rates is not None
    assert rates.bad.passes
    needed = rates.passes_needed(0.99)
    assert needed > 5
    assert trials.tried.count("c8") >= needed, "one run that passed was not enough"
    assert trials.tried.count("good") >= needed


def test_another_failure_that_counts_as_bad_does_not_restart_the_search() -> None:
    first = [Call.BAD]

    def call(commit: str) -> Call:
        if commit == "c19" and first:
            return first.pop()
        return Call.OTHER if number(commit) >= 7 else Call.GOOD

    search, trials, judge = found(call, other=Call.BAD)
    assert search.culprit == "c7"
    assert max(trials.tried.count(commit) for commit in {*trials.tried} - {"c19"}) == 1
    assert not judge.patient


def test_the_answer_is_right_as_often_as_promised() -> None:
    """Even if the bad end fails three times by chance."""
    wrong = 0
    for seed in range(150):
        rand = random.Random(seed)
        rate = rand.choice([1, 1, 1, 1, 1, 0.6, 0.3])
        search, _, _ = found(
            lambda commit, rand=rand, rate=rate: (
                Call.BAD if number(commit) >= 9 and rand.random() < rate else Call.GOOD
            )
        )
        wrong += search.culprit != "c9"
    assert wrong <= 6, "about one in 150 is expected"


def test_a_high_confidence_takes_several_runs_of_each_kernel() -> None:
    search, trials, judge = found(
        lambda commit: Call.BAD if number(commit) >= 7 else Call.GOOD, confidence=0.9999
    )
    assert search.culprit == "c7"
    assert trials.tried.count("c19") == FAILURES
    assert judge.patient
    assert trials.tried.count("c6") > 1


def test_a_bad_end_that_never_fails() -> None:
    with pytest.raises(UsageError, match="failure not reproduced"):
        found(lambda _: Call.GOOD)


def test_a_good_end_that_fails() -> None:
    with pytest.raises(UsageError, match="shows the failure as well"):
        found(lambda _: Call.BAD)
