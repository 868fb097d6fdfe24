# SPDX-License-Identifier: GPL-2.0-only
"""Delta debugging: the smallest set of items that causes a failure.  Pure.

Zeller's ddmin: test each part of the set, then each complement, with ever smaller parts.  The
result is 1-minimal: if any single member is left out, the failure is gone or the set is
untestable.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Generic, TypeVar

from harness.model import Call

_T = TypeVar("_T", bound=Hashable)


@dataclasses.dataclass(frozen=True)
class MinimalSet(Generic[_T]):
    """A 1-minimal set.

    ``unsure`` are the members whose absence could not be tested; ``tried`` is the number of sets
    that were tested.
    """

    kept: tuple[_T, ...]
    unsure: tuple[_T, ...] = ()
    tried: int = 0


def minimal(items: Sequence[_T], test: Callable[[tuple[_T, ...]], Call]) -> MinimalSet[_T]:
    """Find a 1-minimal subset of ``items`` that ``test`` calls BAD.

    The whole set must be BAD and the empty one GOOD; neither is tested.  SKIP and OTHER decide
    nothing.  No set is tested twice; each is in the order of ``items``.
    """
    known = {frozenset(items): Call.BAD, frozenset[_T](): Call.GOOD}

    def call(part: Sequence[_T]) -> Call:
        key = frozenset(part)
        if key not in known:
            known[key] = test(tuple(part))
        return known[key]

    kept, parts = list(items), 2
    while len(kept) > 1:
        smaller = next((part for part in _smaller(kept, parts) if call(part) is Call.BAD), None)
        if smaller is not None:
            # A bad part is split in half; for a bad complement, the part size stays the same.
            parts = 2 if len(smaller) <= -(-len(kept) // parts) else max(parts - 1, 2)
            kept = smaller
        elif parts < len(kept):
            parts = min(parts * 2, len(kept))
        else:
            break
    unsure = [item for item in kept if call(_without(kept, [item])) is not Call.GOOD]
    return MinimalSet(tuple(kept), tuple(unsure), len(known) - (2 if items else 1))


def _smaller(kept: Sequence[_T], parts: int) -> Iterator[list[_T]]:
    """Yield each part, then each complement."""
    size, remainder = divmod(len(kept), parts)
    starts = [number * size + min(number, remainder) for number in range(parts + 1)]
    pieces = [list(kept[a:b]) for a, b in itertools.pairwise(starts)]
    yield from pieces
    if parts > 2:  # with two parts, each is the complement of the other
        for piece in pieces:
            yield _without(kept, piece)


def _without(kept: Sequence[_T], gone: Sequence[_T]) -> list[_T]:
    left_out = set(gone)
    return [item for item in kept if item not in left_out]
