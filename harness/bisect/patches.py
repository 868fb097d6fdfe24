# SPDX-License-Identifier: GPL-2.0-only
"""Which patches of a series depend on each other: leaves patches out and tests the rest.

A patch that does not apply or build without another patch is left out together with that patch.
This is determined before outcomes are compared, so a conflict is never mistaken for a failure.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence

from harness.bisect import ddmin, ends
from harness.bisect.job import BisectJob
from harness.model import Bisected, Call, Candidate, PatchInteraction


def bisect_patches(job: BisectJob) -> Bisected:
    """Find the patches that only fail in combination, and those that need each other."""
    series = job.plan.run.series
    assert series is not None
    total = len(series.patches)
    everything = candidate(range(1, total + 1), total)
    # The whole series must fail; with --find-fix the base must fail.
    bad = candidate((), total) if job.plan.reverse else everything
    ends.check_failing(job, bad)
    interaction, _ = interactions(total, job.call)
    return dataclasses.replace(
        job.answer("", everything.name, total), reverse=job.plan.reverse, together=interaction
    )


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """The result of the series without ``patch``.

    ``also`` are the later patches that do not apply or build without it, and were left out too.
    The call is SKIP if even the rest could not be tested.
    """

    patch: int
    also: tuple[int, ...]
    call: Call


def interactions(
    total: int, test: Callable[[Candidate], Call]
) -> tuple[PatchInteraction, tuple[LeftOut, ...]]:
    """Leave out each of ``total`` patches, and pairs if no single one makes a difference.

    ``test`` calls a candidate SKIP when its patches do not apply or it does not build.  No
    candidate is tested twice.
    """
    series = _Series(total, test)
    patches = tuple(range(1, total + 1))
    full = series.call(patches)
    left_out = tuple(series.without(patch) for patch in patches)
    opposite = {Call.GOOD: Call.BAD, Call.BAD: Call.GOOD}.get(full)
    decisive = tuple(case.patch for case in left_out if case.call is opposite)
    smallest = ddmin.MinimalSet[int](())
    if full is Call.BAD and series.call(()) is Call.GOOD:
        smallest = ddmin.minimal(patches, series.call)
    pairs: tuple[tuple[int, int], ...] = ()
    if not decisive and opposite is not None:
        alone = [case.patch for case in left_out if case.call is full and not case.also]
        pairs = tuple(
            pair
            for pair in itertools.combinations(alone, 2)
            if series.call([patch for patch in patches if patch not in pair]) is opposite
        )
    needs = {
        patch: tuple(case.patch for case in left_out if patch in case.also)
        for case in left_out
        for patch in case.also
    }
    interaction = PatchInteraction(
        decisive, pairs, smallest.kept, smallest.unsure, tuple(needs.items()), full
    )
    return interaction, left_out


def candidate(patches: Sequence[int], total: int) -> Candidate:
    """Return the candidate with these patches of the series, counted from 1."""
    gone = [number for number in range(1, total + 1) if number not in patches]
    if not gone:
        name = "all patches"
    elif len(gone) <= len(patches):
        name = f"without {_list(gone)}"
    else:
        name = f"only {_list(patches)}" if patches else "no patch"
    return Candidate(name, patches=tuple(patches))


class _Series:
    """Subsets of a series, each tested once."""

    def __init__(self, total: int, test: Callable[[Candidate], Call]) -> None:
        self.total, self.test = total, test
        self._calls: dict[tuple[int, ...], Call] = {}

    def call(self, patches: Sequence[int]) -> Call:
        key = tuple(patches)
        if key not in self._calls:
            self._calls[key] = self.test(candidate(key, self.total))
        return self._calls[key]

    def without(self, patch: int) -> LeftOut:
        """Leave out a patch, and as few of the later ones as necessary."""
        before = tuple(range(1, patch))
        later = tuple(range(patch + 1, self.total + 1))
        if self.call(before + later) is not Call.SKIP:
            return LeftOut(patch, (), self.call(before + later))
        kept, also = before, []
        for number in later:
            if self.call((*kept, number)) is Call.SKIP:
                also.append(number)
            else:
                kept = (*kept, number)
        # If all later patches are left out, only the earlier ones are tested.
        return LeftOut(patch, tuple(also), self.call(kept))


def _list(numbers: Sequence[int]) -> str:
    """Format numbers with ranges: "2, 4 to 6"."""
    runs = []
    for _, group in itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        runs.append(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)))
    return ", ".join(runs)
