# SPDX-License-Identifier: GPL-2.0-only
"""Which patch of a series needs which other: leave patches out, and see what happens.

Leaving one out may make others unable to apply or to build; then these need it, and go as well.
That is found out before any outcome is compared, so a conflict is never taken for a failure.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence

from harness.bisect import ddmin
from harness.model import Call, Candidate


@dataclasses.dataclass(frozen=True)
class Drop:
    """What the series is without ``patch``.

    ``also`` are the later patches that cannot do without it (they do not apply or the kernel does
    not build), and were left out as well.  SKIP: not even then could it be tested.
    """

    patch: int
    also: tuple[int, ...]
    call: Call


@dataclasses.dataclass(frozen=True)
class Interaction:
    """What leaving out patches says.  ``full`` is what the whole series is.

    ``pairs`` make a difference together but not alone.  ``together`` is, of a bad series, a
    smallest set of patches that is bad by itself; more than one: the failure needs all of them.
    ``unsure`` are those of them that could not be left out.
    """

    full: Call
    drops: tuple[Drop, ...]
    pairs: tuple[tuple[int, int], ...] = ()
    together: tuple[int, ...] = ()
    unsure: tuple[int, ...] = ()

    @property
    def decisive(self) -> tuple[int, ...]:
        """The patches without which the outcome is another one."""
        other = {Call.GOOD: Call.BAD, Call.BAD: Call.GOOD}.get(self.full)
        return tuple(drop.patch for drop in self.drops if drop.call is other)

    @property
    def needs(self) -> dict[int, tuple[int, ...]]:
        """For each patch that cannot be there without others: those others."""
        found: dict[int, tuple[int, ...]] = {}
        for drop in self.drops:
            for patch in drop.also:
                found[patch] = (*found.get(patch, ()), drop.patch)
        return found


def candidate(patches: Sequence[int], total: int) -> Candidate:
    """Make the candidate with these of the series' patches, counted from 1."""
    gone = [number for number in range(1, total + 1) if number not in patches]
    if not gone:
        name = "all patches"
    elif len(gone) <= len(patches):
        name = f"without {_list(gone)}"
    else:
        name = f"only {_list(patches)}" if patches else "no patch"
    return Candidate(name, patches=tuple(patches))


def search(total: int, test: Callable[[Candidate], Call]) -> Interaction:
    """Leave out each of ``total`` patches, and pairs where no single one makes a difference.

    ``test`` says what a candidate is; SKIP is one whose patches do not apply or that does not
    build.  No candidate is tested twice.
    """
    series = _Series(total, test)
    every = tuple(range(1, total + 1))
    full = series.call(every)
    drops = tuple(series.drop(patch) for patch in every)
    found = Interaction(full, drops)
    if full is Call.BAD and series.call(()) is Call.GOOD:
        small = ddmin.minimal(every, series.call)
        found = dataclasses.replace(found, together=small.kept, unsure=small.unsure)
    if not found.decisive and full in (Call.GOOD, Call.BAD):
        found = dataclasses.replace(found, pairs=series.pairs(full, drops))
    return found


class _Series:
    """What is known of a series' parts."""

    def __init__(self, total: int, test: Callable[[Candidate], Call]) -> None:
        self.total, self.test = total, test
        self.known: dict[tuple[int, ...], Call] = {}

    def call(self, patches: Sequence[int]) -> Call:
        key = tuple(patches)
        if key not in self.known:
            self.known[key] = self.test(candidate(key, self.total))
        return self.known[key]

    def drop(self, patch: int) -> Drop:
        """Leave a patch out, and then as few of the later ones as it takes."""
        before = tuple(range(1, patch))
        later = tuple(range(patch + 1, self.total + 1))
        if self.call(before + later) is not Call.SKIP:
            return Drop(patch, (), self.call(before + later))
        kept, also = before, []
        for number in later:
            if self.call((*kept, number)) is Call.SKIP:
                also.append(number)
            else:
                kept = (*kept, number)
        # With the last ones gone too, the smallest testable rest may be the patches before.
        return Drop(patch, tuple(also), self.call(kept))

    def pairs(self, full: Call, drops: Sequence[Drop]) -> tuple[tuple[int, int], ...]:
        """Find the pairs that make a difference, of patches that could be left out alone."""
        free = [drop.patch for drop in drops if drop.call is full and not drop.also]
        other = Call.GOOD if full is Call.BAD else Call.BAD
        return tuple(
            pair
            for pair in itertools.combinations(free, 2)
            if self.call([n for n in range(1, self.total + 1) if n not in pair]) is other
        )


def _list(numbers: Sequence[int]) -> str:
    """Write numbers as people do: "2, 4 to 6"."""
    words = []
    for _, group in itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        words.append(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)))
    return ", ".join(words)
