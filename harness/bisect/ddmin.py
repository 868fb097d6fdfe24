# SPDX-License-Identifier: GPL-2.0-only
"""Delta debugging: the smallest set of things that makes a failure.  Pure.

Zeller's ddmin: halves first, then what is left without one part after the other, in ever smaller
parts.  What remains is 1-minimal: without any single one of its members the failure is gone, or
nobody can tell.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Generic, TypeVar

from harness.model import Call

_T = TypeVar("_T", bound=Hashable)


@dataclasses.dataclass(frozen=True)
class Minimal(Generic[_T]):
    """What is left.

    ``unsure`` are those members that nobody could try to do without; ``tried`` counts the sets
    that were really tested.
    """

    kept: tuple[_T, ...]
    unsure: tuple[_T, ...] = ()
    tried: int = 0


def minimal(items: Sequence[_T], test: Callable[[tuple[_T, ...]], Call]) -> Minimal[_T]:
    """Find a 1-minimal part of ``items`` that ``test`` calls BAD.

    All of them must be BAD and none of them GOOD; neither is tested again.  SKIP and OTHER are no
    answer.  No set is tested twice, and each is given in the order of ``items``.
    """
    known = {frozenset(items): Call.BAD, frozenset[_T](): Call.GOOD}

    def call(part: Sequence[_T]) -> Call:
        key = frozenset(part)
        if key not in known:
            known[key] = test(tuple(part))
        return known[key]

    kept, parts = list(items), 2
    while len(kept) > 1:
        smaller = next((each for each in _smaller(kept, parts) if call(each) is Call.BAD), None)
        if smaller is not None:
            # A part that is bad by itself is cut in halves; what is left without a good part
            # stays cut as finely as it was.
            parts = 2 if len(smaller) <= -(-len(kept) // parts) else max(parts - 1, 2)
            kept = smaller
        elif parts < len(kept):
            parts = min(parts * 2, len(kept))
        else:
            break
    unsure = [each for each in kept if call(_without(kept, [each])) is not Call.GOOD]
    return Minimal(tuple(kept), tuple(unsure), len(known) - (2 if items else 1))


def _smaller(kept: Sequence[_T], parts: int) -> Iterator[list[_T]]:
    """Give the parts, then what is left without each."""
    size, more = divmod(len(kept), parts)
    starts = [number * size + min(number, more) for number in range(parts + 1)]
    pieces = [list(kept[a:b]) for a, b in itertools.pairwise(starts)]
    yield from pieces
    if parts > 2:  # of two, each is what is left without the other
        for piece in pieces:
            yield _without(kept, piece)


def _without(kept: Sequence[_T], gone: Sequence[_T]) -> list[_T]:
    out = set(gone)
    return [each for each in kept if each not in out]
