# SPDX-License-Identifier: GPL-2.0-only
"""Which patches need each other, with invented series."""

from __future__ import annotations

import pytest

from harness.bisect import patches
from harness.model import Call, Candidate


class Series:
    """``needs`` maps a patch to those it does not apply or build without; ``bad`` are the sets of
    patches that cause the failure, ``cures`` those that fix it."""

    def __init__(
        self,
        needs: dict[int, set[int]] | None = None,
        bad: list[set[int]] | None = None,
        cures: list[set[int]] | None = None,
    ) -> None:
        self.needs, self.bad, self.cures = needs or {}, bad or [], cures or []
        self.asked: list[tuple[int, ...]] = []

    def __call__(self, candidate: Candidate) -> Call:
        assert candidate.patches is not None
        applied = set(candidate.patches)
        self.asked.append(candidate.patches)
        if any(patch in applied and not needed <= applied for patch, needed in self.needs.items()):
            return Call.SKIP
        if any(cure <= applied for cure in self.cures):
            return Call.GOOD
        return Call.BAD if any(bad <= applied for bad in self.bad) else Call.GOOD


def test_a_failure_of_one_patch() -> None:
    found, _ = patches.interactions(8, Series(bad=[{5}]))
    assert (found.full, found.decisive, found.together) == (Call.BAD, (5,), (5,))
    assert found.pairs == ()


def test_a_failure_that_needs_two_patches() -> None:
    found, _ = patches.interactions(8, Series(bad=[{3, 7}]))
    assert found.decisive == found.together == (3, 7)


def test_two_patches_that_each_fail() -> None:
    found, _ = patches.interactions(5, Series(bad=[{2}, {4}]))
    assert found.decisive == ()
    assert found.pairs == ((2, 4),)
    assert len(found.together) == 1


def test_patches_are_left_out_with_those_they_need() -> None:
    found, left_out = patches.interactions(6, Series(needs={3: {2}, 5: {2, 3}}))
    assert found.full is Call.GOOD
    assert found.needs == ((3, (2,)), (5, (2, 3)))
    assert [case.also for case in left_out] == [(), (3, 5), (5,), (), (), ()]
    assert all(case.call is Call.GOOD for case in left_out)


def test_a_conflict_is_not_a_failure() -> None:
    found, _ = patches.interactions(4, Series(needs={2: {1}, 3: {1}, 4: {1}}, bad=[{4}]))
    assert found.decisive == (1, 4)
    assert found.together == (1, 4)
    assert found.unsure == (1,)


def test_a_patch_that_a_good_outcome_needs() -> None:
    """Patch 3 fixes what patch 1 breaks."""
    found, _ = patches.interactions(4, Series(bad=[{1}], cures=[{1, 3}]))
    assert found.full is Call.GOOD
    assert found.decisive == (3,)


def test_no_candidate_is_tried_twice() -> None:
    for series in (Series(needs={3: {2}, 5: {2}}, bad=[{5, 6}]), Series(bad=[{1}, {2}])):
        patches.interactions(7, series)
        assert len(series.asked) == len(set(series.asked))


def test_an_untestable_series() -> None:
    found, _ = patches.interactions(2, Series(needs={1: {9}, 2: {9}}))
    assert found.full is Call.SKIP
    assert (found.decisive, found.pairs, found.together) == ((), (), ())


@pytest.mark.parametrize(
    ("chosen", "name"),
    [
        ((1, 2, 3), "all patches"),
        ((1, 3), "without 2"),
        ((1, 2, 3, 7), "without 4 to 6, 8"),
        ((2, 3), "only 2, 3"),
        ((), "no patch"),
    ],
)
def test_names_of_candidates(chosen: tuple[int, ...], name: str) -> None:
    total = {3: 3, 7: 8}.get(max(chosen, default=0), 3)
    total = 8 if name.startswith("only") else total
    assert patches.candidate(chosen, total).name == name
