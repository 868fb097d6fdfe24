# SPDX-License-Identifier: GPL-2.0-only
"""The search finds the culprit in any graph, in few steps, and knows when it cannot."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterable

import pytest

from harness.bisect.search import CommitGraph, Contradiction, GraphSearch, chain
from harness.model import Call


def random_graph(rand: random.Random, size: int) -> CommitGraph:
    """Make a history in which a few branches at a time are created and merged."""
    parents: dict[str, tuple[str, ...]] = {}
    heads: list[str] = []
    for number in range(size):
        name = f"c{number}"
        merged = rand.sample(heads, 2) if len(heads) > 3 else rand.sample(heads, min(1, len(heads)))
        if len(heads) == 1 and rand.random() < 0.3:  # a branch from an earlier commit
            merged = [f"c{rand.randrange(number)}"]
        parents[name] = tuple(merged)
        heads = [head for head in heads if head not in merged] + [name]
        if rand.random() < 0.2:
            heads.append(rand.choice(list(parents)))
        heads = list(dict.fromkeys(heads))
    parents["tip"] = tuple(heads)
    return CommitGraph(parents)


def above(graph: CommitGraph, culprit: str) -> set[str]:
    """Return the culprit and all its descendants."""
    found = {culprit}
    for commit, parents in graph.parents.items():
        if found & set(parents):
            found.add(commit)
    return found


def hunt(
    graph: CommitGraph,
    culprit: str,
    untestable: frozenset[str] = frozenset(),
    likely: Iterable[str] = (),
    idle: Collection[str] = (),
) -> tuple[GraphSearch, int]:
    bad, search, steps = above(graph, culprit), GraphSearch(graph, likely, idle), 0
    search.take(graph.commits[-1], Call.BAD)
    while (commit := search.next()) is not None:
        steps += 1
        assert commit not in search.calls
        call = Call.BAD if commit in bad else Call.GOOD
        search.take(commit, Call.SKIP if commit in untestable else call)
    return search, steps


@pytest.mark.parametrize("seed", range(40))
def test_the_culprit_is_always_found(seed: int) -> None:
    rand = random.Random(seed)
    graph = random_graph(rand, rand.randrange(1, 120))
    for culprit in rand.sample(graph.commits, min(12, len(graph.commits))):
        search, steps = hunt(graph, culprit)
        assert search.culprit == culprit
        assert search.next() is None
        assert steps <= 2 * math.log2(len(graph.commits)) + 1


@pytest.mark.parametrize("seed", range(40))
def test_a_guess_changes_the_order_and_not_the_answer(seed: int) -> None:
    rand = random.Random(seed)
    graph = random_graph(rand, rand.randrange(1, 120))
    likely = rand.sample(graph.commits, rand.randrange(len(graph.commits)))
    for culprit in rand.sample(graph.commits, min(12, len(graph.commits))):
        assert hunt(graph, culprit, likely=likely)[0].culprit == culprit


def test_a_right_guess_saves_steps() -> None:
    graph = chain(f"p{n}" for n in range(64))
    likely = [f"p{n}" for n in range(3, 64, 8)]
    assert max(hunt(graph, culprit, likely=likely)[1] for culprit in likely) <= 5
    assert max(hunt(graph, culprit, likely=likely)[1] for culprit in graph.commits) <= 9


def test_a_single_likely_commit_and_its_parent_come_first() -> None:
    graph = chain(f"p{n}" for n in range(64))
    search = GraphSearch(graph, ["p40"])
    search.take("p63", Call.BAD)
    assert search.suspect == "p40"
    assert set(search.ahead(2)) == {"p39", "p40"}
    assert hunt(graph, "p40", likely=["p40"])[1] == 2
    assert hunt(graph, "p41", likely=["p40"])[1] <= 8


def test_the_estimate_of_steps_takes_weights_into_account() -> None:
    graph = chain(f"p{n}" for n in range(64))
    assert GraphSearch(graph).steps() == 6
    assert GraphSearch(graph, [f"p{n}" for n in range(3, 64, 8)]).steps() == 5
    assert GraphSearch(graph, ["p40"]).steps() == 3
    assert GraphSearch(graph, idle=set(graph.commits)).steps() == 6
    assert GraphSearch(graph, idle=set(graph.commits) - {"p40"}).steps() == 1
    assert GraphSearch(chain(["p0"])).steps() == 0


def test_idle_commits_are_tried_last_and_still_found() -> None:
    graph = chain(f"p{n}" for n in range(64))
    idle = frozenset(f"p{n}" for n in range(64) if n % 8)
    others = [f"p{n}" for n in range(0, 64, 8)]
    steps = {commit: hunt(graph, commit, idle=idle)[1] for commit in graph.commits}
    # Three to find it among the other commits, and one to tell it from its idle neighbours.
    assert max(steps[commit] for commit in others) <= 4
    for culprit in graph.commits:
        assert hunt(graph, culprit, idle=idle)[0].culprit == culprit
    assert hunt(graph, "p5", idle=set(graph.commits))[0].culprit == "p5"


def test_a_suspect_is_as_likely_as_all_others_together() -> None:
    graph = chain("abcd")
    assert GraphSearch(graph).suspect is None
    search = GraphSearch(graph, idle=["b", "d"])
    assert search.suspect == "a"
    search.take("a", Call.GOOD)
    assert search.suspect == "c"
    search.take("c", Call.BAD)
    assert search.left == ("b", "c")
    search.take("b", Call.GOOD)
    assert search.suspect == search.culprit == "c"


def test_the_likelier_next_commit_comes_first() -> None:
    search = GraphSearch(chain(f"p{n}" for n in range(64)), ["p3", "p4", "p5", "p60"])
    first, second, *_ = search.ahead(3)
    assert search.supposing(first, Call.BAD).next() == second
    assert first == "p5"


def test_a_chain_takes_logarithmically_many_steps() -> None:
    for size in (1, 2, 3, 8, 64, 100):
        graph = chain(f"p{n}" for n in range(size))
        most = max(hunt(graph, culprit)[1] for culprit in graph.commits)
        assert most == math.ceil(math.log2(size))


@pytest.mark.parametrize("seed", range(40))
def test_with_untestable_commits_the_culprit_stays_a_suspect(seed: int) -> None:
    rand = random.Random(seed)
    graph = random_graph(rand, rand.randrange(2, 80))
    culprit = rand.choice(graph.commits)
    names = graph.commits[:-1]
    untestable = frozenset(rand.sample(names, rand.randrange(len(names))))
    search, _ = hunt(graph, culprit, untestable)
    assert culprit in search.left
    # All remaining suspects, except the one known to be bad, are untestable.
    known = {commit for commit in search.left if search.calls.get(commit) is Call.BAD}
    assert set(search.left) - known <= untestable
    assert search.next() is None


def test_the_next_commit_is_far_from_untestable_ones() -> None:
    graph = chain(f"p{n}" for n in range(64))
    broken = frozenset(f"p{n}" for n in range(20, 44))
    search, steps = hunt(graph, "p50", broken)
    assert search.culprit == "p50"
    assert steps <= 12


def test_no_culprit_beside_untestable_commits() -> None:
    search, _ = hunt(chain("abcdef"), "c", frozenset("c"))
    assert search.culprit is None
    assert search.left == ("c", "d")


def test_a_good_descendant_of_a_bad_commit_is_a_contradiction() -> None:
    search = GraphSearch(chain("abcd"))
    search.take("b", Call.BAD)
    with pytest.raises(Contradiction) as caught:
        search.take("c", Call.GOOD)
    assert (caught.value.good, caught.value.bad) == (("c",), ("b",))
    assert search.left == ("a", "b")


def test_calls_that_come_twice_or_from_outside_are_harmless() -> None:
    search = GraphSearch(chain("abcd"))
    for _ in range(2):
        search.take("b", Call.GOOD)
        search.take("elsewhere", Call.BAD)
    assert search.left == ("c", "d")


def test_ahead_names_the_following_commits() -> None:
    search = GraphSearch(chain(f"p{n}" for n in range(16)))
    first, *others = search.ahead(3)
    assert first == search.next()
    for call in (Call.GOOD, Call.BAD):
        assert search.supposing(first, call).next() in others
    assert search.calls == {}


def test_the_number_of_steps_is_estimated() -> None:
    assert [GraphSearch(chain(f"p{n}" for n in range(size))).steps() for size in (1, 2, 8, 64)] == [
        *(0, 1, 3, 6)
    ]


# Several commits at once


def rounds(graph: CommitGraph, culprit: str, count: int, **more: Collection[str]) -> int:
    """Return how many rounds of ``count`` trials at once find the culprit."""
    search, number = GraphSearch(graph, **more), 0
    while search.culprit is None:
        commits = search.section(count)
        assert 0 < len(commits) <= count
        for commit in commits:
            if commit in search.left:  # the others are decided by the first
                call = Call.BAD if search.contains(commit, culprit) else Call.GOOD
                search.take(commit, call)
        number += 1
    assert search.culprit == culprit
    return number


def test_a_section_divides_the_suspects_evenly() -> None:
    search = GraphSearch(chain(f"c{n}" for n in range(1, 13)))
    assert search.section(2) == ("c4", "c8")
    assert search.section(3) == ("c3", "c6", "c9")


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_k_workers_leave_one_part_of_k_and_one(count: int) -> None:
    size = (count + 1) ** 3
    graph = chain(f"c{n}" for n in range(size))
    for culprit in range(0, size, 5):
        assert rounds(graph, f"c{culprit}", count) <= 3 + (count == 1)


@pytest.mark.parametrize("seed", range(8))
def test_a_section_finds_the_culprit_in_any_graph(seed: int) -> None:
    rand = random.Random(seed)
    graph = random_graph(rand, 60)
    for culprit in rand.sample(graph.commits, 8):
        rounds(graph, culprit, rand.randint(2, 5), likely=rand.sample(graph.commits, 6))


def test_likely_commits_are_divided_more_finely() -> None:
    graph = chain(f"c{n}" for n in range(64))
    likely = [f"c{n}" for n in range(40, 48)]
    found = [int(name[1:]) for name in GraphSearch(graph, likely).section(3)]
    assert sum(40 <= number < 48 for number in found) >= 2


def test_commits_in_trial_are_kept_and_the_heaviest_part_is_divided() -> None:
    search = GraphSearch(chain(f"c{n}" for n in range(1, 17)))
    assert search.section(3, ["c8"]) == ("c8", "c12", "c4")
    search.take("c8", Call.GOOD)
    assert search.section(2, ["c4", "c12"]) == ("c12", "c14")


def test_all_commits_are_tried_if_there_are_fewer_than_workers() -> None:
    search = GraphSearch(chain(["c1", "c2", "c3"]))
    assert sorted(search.section(9)) == ["c1", "c2"]
