# SPDX-License-Identifier: GPL-2.0-only
"""Delta debugging: results are 1-minimal, no set is tested twice, untestable sets are skipped."""

from __future__ import annotations

import itertools
import random

import pytest

from harness.bisect import ddmin
from harness.model import Call

Set = tuple[int, ...]


class Oracle:
    """A test that is bad with all of ``needed``; ``broken`` maps items to what they depend on."""

    def __init__(self, needed: set[int], broken: dict[int, int] | None = None) -> None:
        self.needed, self.broken = needed, broken or {}
        self.asked: list[Set] = []

    def __call__(self, part: Set) -> Call:
        self.asked.append(part)
        if any(item in part and other not in part for item, other in self.broken.items()):
            return Call.SKIP
        return Call.BAD if self.needed <= set(part) else Call.GOOD


@pytest.mark.parametrize("needed", [{0}, {63}, {17}, {5, 40}, {1, 2, 3}, {0, 20, 41, 63}])
def test_the_result_is_exactly_what_is_needed(needed: set[int]) -> None:
    oracle = Oracle(needed)
    found = ddmin.minimal(range(64), oracle)
    assert (set(found.kept), found.unsure) == (needed, ())
    assert found.tried == len(oracle.asked) == len(set(oracle.asked))


def test_one_of_many_takes_logarithmically_many_tests() -> None:
    for culprit in range(64):
        oracle = Oracle({culprit})
        ddmin.minimal(range(64), oracle)
        assert len(oracle.asked) <= 2 * 6


def test_any_two_of_ten_are_found() -> None:
    for pair in itertools.combinations(range(10), 2):
        assert ddmin.minimal(range(10), Oracle(set(pair))).kept == pair


def test_the_result_is_minimal_even_when_bad_is_not_monotone() -> None:
    rng = random.Random(3)
    for _ in range(50):
        table: dict[Set, Call] = {}

        def test(part: Set, table: dict[Set, Call] = table) -> Call:
            return table.setdefault(part, rng.choice([Call.GOOD, Call.BAD, Call.SKIP]))

        found = ddmin.minimal(range(8), test)
        for kept in found.kept:
            rest = tuple(item for item in found.kept if item != kept)
            call = table.get(rest, Call.GOOD)  # the empty set is known to be good
            assert call is not Call.BAD
            assert (call is Call.SKIP) == (kept in found.unsure)


def test_untestable_sets_are_worked_around() -> None:
    found = ddmin.minimal(range(8), Oracle({6}, broken={6: 2}))  # 6 needs 2 to be testable
    assert set(found.kept) == {2, 6}
    assert found.unsure == (2,)


def test_the_order_is_kept_and_the_ends_are_not_tested_again() -> None:
    oracle = Oracle({4, 1})
    assert ddmin.minimal([4, 3, 2, 1], oracle).kept == (4, 1)
    assert (4, 3, 2, 1) not in oracle.asked
    assert () not in oracle.asked


@pytest.mark.parametrize(("items", "kept"), [([], ()), ([9], (9,))])
def test_a_trivial_set_needs_no_test(items: list[int], kept: Set) -> None:
    oracle = Oracle(set(kept))
    found = ddmin.minimal(items, oracle)
    assert (found.kept, found.tried, oracle.asked) == (kept, 0, [])
