# SPDX-License-Identifier: GPL-2.0-only
"""Which commit to try next: bisection of a graph of commits.  Pure; no repository is needed.

The culprit and all its descendants are bad.  So the suspects are the common ancestors of all bad
commits that are not ancestors of a good one.  The best commit to try halves the suspects.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from harness.model import Call

_SCALE = 1000  # one ordinary commit weighs as much as this many idle ones
# All likely commits together weigh this many times as much as all others.  That assumes that the
# culprit is one of them in three of four cases.  With 8 likely commits of 64, a likely culprit is
# found in four steps instead of six, any other in nine.
LIKELY = 3
_WORD = re.compile(r"[a-z][a-z0-9]{2,}")
_COMMON = 1 / 4  # a word found in the paths of a larger share of the commits is ignored
# Files that no kernel is built from.
_TEXT = re.compile(r"(?:Documentation|LICENSES|tools/testing|\.[^/]+)/|[A-Z]+$|\.[^/]+$|.*\.rst$")


@dataclasses.dataclass(frozen=True)
class CommitGraph:
    """Commits with their parents, ancestors first; the last one is the bad end.

    Parents that are not among the commits are good.
    """

    parents: Mapping[str, tuple[str, ...]]

    @property
    def commits(self) -> tuple[str, ...]:
        """All commits, ancestors first."""
        return tuple(self.parents)


def chain(commits: Iterable[str]) -> CommitGraph:
    """Return a graph of commits in a row; the oldest comes first."""
    parents: dict[str, tuple[str, ...]] = {}
    parent: tuple[str, ...] = ()
    for commit in commits:
        parents[commit] = parent
        parent = (commit,)
    return CommitGraph(parents)


def likely(text: str, files: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Choose the commits whose paths share a word with ``text``, which describes the failure.

    A change below net/ rarely breaks a test of configfs, or causes a splat in configfs_release().
    This guess only changes the order: no commit is left out.  ``files`` maps every commit to the
    paths that it touches.
    """
    wanted = set(_WORD.findall(text.lower()))
    by_word: dict[str, set[str]] = {}
    for commit, paths in files.items():
        for word in wanted & set(_WORD.findall("\n".join(paths).lower())):
            by_word.setdefault(word, set()).add(commit)
    rare = [commits for commits in by_word.values() if len(commits) <= _COMMON * len(files)]
    return frozenset().union(*rare)


def idle(
    files: Mapping[str, Sequence[str]], used: Callable[[str], bool] = lambda _: True
) -> frozenset[str]:
    """Choose the commits that touch only documentation or files this kernel is not built from.

    Merges are never idle: ``files`` has no paths for them.
    """
    return frozenset(
        commit
        for commit, paths in files.items()
        if paths and all(_TEXT.match(path) or not used(path) for path in paths)
    )


class Contradiction(Exception):
    """No single culprit explains the calls: a good commit has a bad ancestor."""

    def __init__(self, good: Sequence[str], bad: Sequence[str]) -> None:
        super().__init__(f"good: {', '.join(good)}; bad: {', '.join(bad)}")
        self.good, self.bad = tuple(good), tuple(bad)


class GraphSearch:
    """The calls so far, and the remaining suspects.  A set of commits is a bit mask.

    When the suspects are halved, all ``likely`` commits together weigh LIKELY times as much as all
    others, and ``idle`` ones next to nothing.
    """

    def __init__(
        self, graph: CommitGraph, likely: Iterable[str] = (), idle: Collection[str] = ()
    ) -> None:
        self.graph = graph
        self.calls: dict[str, Call] = {}
        self._order = graph.commits
        self._bit = {commit: 1 << number for number, commit in enumerate(self._order)}
        self._weights = self._classes(set(likely) - set(idle), set(idle))
        self._below: dict[str, int] = {}  # bit masks of each commit and its ancestors
        for commit, parents in graph.parents.items():
            below = self._bit[commit]
            for parent in parents:
                below |= self._below.get(parent, 0)
            self._below[commit] = below
        self._left = self._below[self._order[-1]]

    def _classes(self, likely: set[str], idle: set[str]) -> tuple[tuple[int, int], ...]:
        """Return sets of commits, each with the weight of one commit in it; idle ones last."""
        likely_bits, idle_bits = self._bits(likely), self._bits(idle)
        other_bits = self._bits(self._bit.keys() - likely - idle)
        if not likely_bits or not other_bits:
            return ((likely_bits | other_bits, _SCALE), (idle_bits, 1))
        likely_weight, other_weight = LIKELY * other_bits.bit_count(), likely_bits.bit_count()
        return (
            (likely_bits, likely_weight * _SCALE),
            (other_bits, other_weight * _SCALE),
            (idle_bits, 1),
        )

    def _bits(self, commits: Iterable[str]) -> int:
        return sum(self._bit.get(commit, 0) for commit in commits)

    def _weight(self, commits: int) -> int:
        return sum(weight * (commits & bits).bit_count() for bits, weight in self._weights)

    def take(self, commit: str, call: Call) -> None:
        """Record the call for a commit.  If it raises Contradiction, nothing has changed."""
        if commit not in self._bit:
            return
        left = self._left
        if call is Call.BAD:
            left &= self._below[commit]
        elif call is Call.GOOD:
            left &= ~self._below[commit]
        if not left:
            calls = {**self.calls, commit: call}
            raise Contradiction(
                [name for name, known in calls.items() if known is Call.GOOD],
                [name for name, known in calls.items() if known is Call.BAD],
            )
        self._left = left
        self.calls[commit] = call

    def contains(self, commit: str, suspect: str) -> bool:
        """Whether ``suspect`` is ``commit`` or an ancestor; False for commits outside the graph."""
        return bool(self._below.get(commit, 0) & self._bit[suspect])

    @property
    def left(self) -> tuple[str, ...]:
        """The suspects, ancestors first."""
        return tuple(commit for commit in self._order if self._left & self._bit[commit])

    @property
    def culprit(self) -> str | None:
        """The culprit, once it is the only suspect."""
        return self.left[0] if self._left.bit_count() == 1 else None

    @property
    def suspect(self) -> str | None:
        """The suspect that is at least as likely as all the others together, if there is one."""
        idle_bits, _ = self._weights[-1]
        total = self._weight(self._left & ~idle_bits) or self._weight(self._left)
        return next(
            (commit for commit in self.left if 2 * self._weight(self._bit[commit]) >= total), None
        )

    def steps(self) -> int:
        """Estimate how many trials are still needed: each gives one bit of information."""
        total = self._weight(self._left)
        bits = sum(
            (self._left & commits).bit_count() * weight / total * math.log2(total / weight)
            for commits, weight in self._weights
        )
        return max(math.ceil(bits), int(bool(self._untried())))

    def _untried(self) -> list[str]:
        """Return the suspects to try: all except the one that descends from all the others."""
        return [
            commit
            for commit in self.left
            if commit not in self.calls and self._below[commit] & self._left != self._left
        ]

    def next(self) -> str | None:
        """Return the commit to try next; None when no trial would help.

        If the best commits turned out to be untestable, the next choice is far from them: commits
        that do not build often come in groups.
        """
        untried = self._untried()
        if not untried:
            return None
        total = self._weight(self._left)

        def worth(commit: str) -> int:
            weight = self._weight(self._below[commit] & self._left)
            return min(weight, total - weight)

        ranked = sorted(untried, key=worth, reverse=True)
        skipped = [commit for commit in self.left if self.calls.get(commit) is Call.SKIP]
        in_the_way = sum(worth(commit) >= worth(ranked[0]) for commit in skipped)
        return ranked[int(_spread(in_the_way) * len(ranked))]

    def ahead(self, most: int) -> tuple[str, ...]:
        """Return the commit to try next and those that may come after it, at most ``most``.

        Commits that are needed sooner or more likely come first.
        """
        commits: dict[str, None] = {}
        searches = [self]
        while searches and len(commits) < most:
            following = [(search, commit) for search in searches if (commit := search.next())]
            commits |= dict.fromkeys(commit for _, commit in following)
            searches = [
                search.supposing(commit, call)
                for search, commit in following
                for call in search._guesses(commit)
            ]
        return tuple(commits)[:most]

    def section(self, count: int, trying: Collection[str] = ()) -> tuple[str, ...]:
        """Return ``count`` commits to try at once, so that each interval between them weighs alike.

        One of k intervals is left when all are decided, instead of one of two.  Commits that are
        being tried already (``trying``) count if they still divide the suspects, and come first.
        """
        cuts = {commit: self._cut(commit) for commit in self._untried()}
        chosen = {commit: cuts[commit] for commit in trying if commit in cuts}
        if not chosen and (first := self.next()):
            total = self._weight(self._left)
            for part in range(1, count + 1):
                free = [commit for commit in cuts if commit not in chosen]
                aim = total * part / (count + 1)
                if free:
                    best = min(free, key=lambda commit: abs(cuts[commit] - aim))
                    chosen[best] = cuts[best]
            if any(call is Call.SKIP for call in self.calls.values()):
                # What cannot be tested comes in groups: the middle is chosen far from them.
                chosen = {first: cuts[first], **chosen}
        while len(chosen) < min(count, len(cuts)):
            ends = sorted({0, *chosen.values(), self._weight(self._left)})
            _, low, high = max((b - a, a, b) for a, b in itertools.pairwise(ends))
            free = [commit for commit in cuts if commit not in chosen]
            best = min(free, key=lambda commit: abs(cuts[commit] - (low + high) / 2))
            chosen[best] = cuts[best]
        return tuple(chosen)[:count]

    def _cut(self, commit: str) -> int:
        """Return the weight of the suspects that are left if a commit is bad."""
        return self._weight(self._below[commit] & self._left)

    def _guesses(self, commit: str) -> tuple[Call, Call]:
        """Return GOOD and BAD, the likelier call for the commit first."""
        bad = self._weight(self._below[commit] & self._left)
        good_first = Call.GOOD, Call.BAD
        return good_first if 2 * bad < self._weight(self._left) else good_first[::-1]

    def supposing(self, commit: str, call: Call) -> GraphSearch:
        """Return a copy of this search with one more call."""
        other = object.__new__(GraphSearch)
        other.__dict__.update(self.__dict__, calls=dict(self.calls))
        other.take(commit, call)
        return other


def _spread(number: int) -> float:
    """Return a fraction far from the fractions of all smaller numbers: 0, 1/2, 1/4, 3/4, 1/8 ..."""
    place, step = 0.0, 0.5
    while number:
        number, bit = divmod(number, 2)
        place += step * bit
        step /= 2
    return place
