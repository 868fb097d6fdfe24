# SPDX-License-Identifier: GPL-2.0-only
"""Which commit to try next: bisection of a graph of commits, without a commit ever being touched.

A culprit makes itself and everything above it bad.  So it is below every commit that is bad, and
not below any that is good; a commit is worth trying when it halves what is left.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from harness.model import Call

_SCALE = 1000  # so many idle commits are as likely as a usual one
# How often the culprit is a likely commit, where there is one: three times of four.  Of 64 commits
# 8 of which are likely, one of those is found in four steps instead of six, another one in nine.
LIKELY = 3


@dataclasses.dataclass(frozen=True)
class Graph:
    """Commits with their parents, ancestors first; the last one is the bad end.

    Parents that are not among the commits are good.
    """

    parents: Mapping[str, tuple[str, ...]]

    @property
    def commits(self) -> tuple[str, ...]:
        """All commits, ancestors first."""
        return tuple(self.parents)


class Contradiction(Exception):
    """What was found cannot be true of one culprit: a good commit has a bad one below it."""

    def __init__(self, good: Sequence[str], bad: Sequence[str]) -> None:
        super().__init__(f"good: {', '.join(good)}; bad: {', '.join(bad)}")
        self.good, self.bad = tuple(good), tuple(bad)


class Search:
    """What is known of a graph, as sets of commits that are bits of an integer.

    All ``likely`` commits together count LIKELY times as much as all others where what is left is
    halved, and ``idle`` ones next to nothing.
    """

    def __init__(
        self, graph: Graph, likely: Iterable[str] = (), idle: Collection[str] = ()
    ) -> None:
        self.graph = graph
        self._order = graph.commits
        self._bit = {commit: 1 << number for number, commit in enumerate(self._order)}
        self._weights = self._classes(set(likely) - set(idle), set(idle))
        self._below: dict[str, int] = {}
        for commit, parents in graph.parents.items():
            below = self._bit[commit]
            for parent in parents:
                below |= self._below.get(parent, 0)
            self._below[commit] = below
        self.calls: dict[str, Call] = {}
        self._left = self._below[self._order[-1]]

    def _classes(self, likely: set[str], idle: set[str]) -> tuple[tuple[int, int], ...]:
        """Give the commits of each weight, with it."""
        some, silent = self._bits(likely), self._bits(idle)
        others = self._bits(self._bit.keys() - likely - idle)
        if not some or not others:
            return ((some | others, _SCALE), (silent, 1))
        one, two = LIKELY * others.bit_count(), some.bit_count()
        return ((some, one * _SCALE), (others, two * _SCALE), (silent, 1))

    def _bits(self, commits: Iterable[str]) -> int:
        return sum(self._bit.get(commit, 0) for commit in commits)

    def take(self, commit: str, call: Call) -> None:
        """Take what a commit is.  Raises Contradiction, and then is what it was before."""
        if commit not in self._bit:
            return
        left = self._left
        if call is Call.BAD:
            left &= self._below[commit]
        elif call is Call.GOOD:
            left &= ~self._below[commit]
        if not left:
            raise Contradiction(
                [*self._known(Call.GOOD), *([commit] if call is Call.GOOD else [])],
                [*self._known(Call.BAD), *([commit] if call is Call.BAD else [])],
            )
        self._left = left
        self.calls[commit] = call

    def _known(self, call: Call) -> list[str]:
        return [commit for commit, one in self.calls.items() if one is call]

    def contains(self, commit: str, suspect: str) -> bool:
        """Whether a commit has the other below it; commits that are not in the graph have none."""
        return bool(self._below.get(commit, 0) & self._bit[suspect])

    @property
    def left(self) -> tuple[str, ...]:
        """The commits that may be the culprit, ancestors first."""
        return tuple(commit for commit in self._order if self._left & self._bit[commit])

    @property
    def culprit(self) -> str | None:
        """The culprit, once no other commit is left."""
        return self.left[0] if self._left.bit_count() == 1 else None

    @property
    def done(self) -> bool:
        """Whether there is nothing more to try: the culprit is known, or the rest is untestable."""
        return not self._open()

    @property
    def suspect(self) -> str | None:
        """The commit of what is left that is at least as likely to be it as all others are."""
        silent, _ = self._weights[-1]
        total = self._weight(self._left & ~silent) or self._weight(self._left)
        return next((one for one in self.left if 2 * self._weight(self._bit[one]) >= total), None)

    def steps(self) -> int:
        """Give about how many trials are still to be made: each answer is a bit."""
        total = self._weight(self._left)
        bits = sum(
            (self._left & some).bit_count() * weight / total * math.log2(total / weight)
            for some, weight in self._weights
        )
        return max(math.ceil(bits), int(not self.done))

    def _open(self) -> list[str]:
        """Give what may be tried: not the one that is the bad end of what is left."""
        return [
            commit
            for commit in self.left
            if commit not in self.calls and self._below[commit] & self._left != self._left
        ]

    def next(self) -> str | None:
        """Give the commit to try next; None when there is nothing to be gained.

        Where the best ones turned out to be untestable it goes away from them, each time to
        another place: what cannot be built seldom stands alone.
        """
        found = self._open()
        if not found:
            return None
        total = self._weight(self._left)

        def worth(commit: str) -> int:
            weight = self._weight(self._below[commit] & self._left)
            return min(weight, total - weight)

        ranked = sorted(found, key=worth, reverse=True)
        skipped = [commit for commit in self.left if self.calls.get(commit) is Call.SKIP]
        in_the_way = sum(worth(commit) >= worth(ranked[0]) for commit in skipped)
        return ranked[int(_spread(in_the_way) * len(ranked))]

    def _weight(self, commits: int) -> int:
        return sum(weight * (commits & some).bit_count() for some, weight in self._weights)

    def ahead(self, many: int) -> tuple[str, ...]:
        """Give the commit to try next, and those that may be next after it, nearest first.

        ``many`` of them in all, at most; what is more likely comes before.
        """
        found: dict[str, None] = {}
        states = [self]
        while states and len(found) < many:
            wanted = [(state, commit) for state in states if (commit := state.next())]
            found |= dict.fromkeys(commit for _, commit in wanted)
            states = [
                state.supposing(commit, call)
                for state, commit in wanted
                for call in state._guesses(commit)
            ]
        return tuple(found)[:many]

    def _guesses(self, commit: str) -> tuple[Call, Call]:
        """Give what a commit may turn out to be, the likelier first."""
        bad = self._weight(self._below[commit] & self._left)
        probably = Call.GOOD, Call.BAD
        return probably if 2 * bad < self._weight(self._left) else probably[::-1]

    def supposing(self, commit: str, call: Call) -> Search:
        """Give another search that knows this as well."""
        other = object.__new__(Search)
        other.__dict__.update(self.__dict__, calls=dict(self.calls))
        other.take(commit, call)
        return other


def _spread(number: int) -> float:
    """Give places from 0 to 1 that lie far from those before: 0, 1/2, 1/4, 3/4, 1/8 ..."""
    place, step = 0.0, 0.5
    while number:
        number, bit = divmod(number, 2)
        place += step * bit
        step /= 2
    return place


def chain(commits: Iterable[str]) -> Graph:
    """Make a graph of commits in a row, the oldest first."""
    parents: dict[str, tuple[str, ...]] = {}
    before: tuple[str, ...] = ()
    for commit in commits:
        parents[commit] = before
        before = (commit,)
    return Graph(parents)
