# SPDX-License-Identifier: GPL-2.0-only
"""Say what a header gained or lost, when that can only matter to who names it.  Pure.

A prototype, a #define, a struct that is only named: a translation unit in which the name does not
stand compiles to the same code, with the same warnings, whether they are there or not.
Whenever this is not certain there is no answer, and make compiles as always.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Sequence

from harness.build import declaration, header
from harness.build.declaration import Declared
from harness.build.header import Piece
from harness.build.mentions import Wanted

_TYPES_HEADER = "#include <linux/types.h>"
_SHOWN = 2


@dataclasses.dataclass(frozen=True)
class Additions:
    """``names`` that are new, gone or declared anew; ``gone`` are those that are not just new.

    ``words`` must be no macros where the header is used.  ``said`` tells people what changed.
    """

    names: frozenset[str]
    words: frozenset[str]
    gone: frozenset[str]
    said: str


def names(before: str, after: str) -> Additions | None:
    """Compare the text of a header; None when what changed may concern every unit."""
    try:
        old, new = header.pieces(before), header.pieces(after)
    except header.Unclear:
        return None
    same, left, came = _compared(old, new)
    if not all(_may_move(old[here], new[there]) for here, there in same):
        return None
    lost, gained = _understood(old, left), _understood(new, came)
    if lost is None or gained is None:
        return None
    found = frozenset(each.name for each in (*lost, *gained))
    words = frozenset(word for each in (*lost, *gained) for word in each.words)
    gone = frozenset(each.name for each in lost)
    kept = [new[there] for _, there in same]
    made = Wanted(gone=gone).search()
    if found & words or _mentioned(found, kept) or any(made(p.text.encode()) for p in kept):
        return None
    return Additions(found, words, gone, _said(lost, gained))


def _compared(
    old: Sequence[Piece], new: Sequence[Piece]
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Give the pairs of pieces that stayed, and what only one of both has."""
    keys = [piece.key for piece in old], [piece.key for piece in new]
    blocks = difflib.SequenceMatcher(None, *keys, autojunk=False).get_matching_blocks()
    same = [(b.a + i, b.b + i) for b in blocks for i in range(b.size)]
    here, there = {pair[0] for pair in same}, {pair[1] for pair in same}
    gone = [i for i in range(len(old)) if i not in here]
    return same, gone, [i for i in range(len(new)) if i not in there]


def _may_move(old: Piece, new: Piece) -> bool:
    """Whether a piece stands where it was, or what it is may stand elsewhere."""
    return old.places == new.places or new.directive or declaration.settled(new.text)


def _understood(pieces: list[Piece], chosen: list[int]) -> list[Declared] | None:
    """Understand the chosen pieces of a header; None when one is not understood.

    They must stand directly inside its include guard: without one it may be made to be
    included in the middle of something else.
    """
    guard = header.guard(pieces)
    known: set[str] = set()
    found: list[Declared] = []
    for number, piece in enumerate(pieces):
        here = bool(guard) and piece.conditions == (guard,)
        if number in chosen:
            one = _one(piece, known) if here else None
            if one is None or any(one.name == other.name for other in found):
                return None
            found.append(one)
        if here:
            known.add(declaration.types(piece.text))
            known |= declaration.TYPES if piece.text == _TYPES_HEADER else set()
    macros = {each.name for each, i in zip(found, chosen, strict=True) if pieces[i].directive}
    if _mentioned(macros, [pieces[i] for i in chosen if not pieces[i].directive]):
        return None
    return found


def _one(piece: Piece, known: set[str]) -> Declared | None:
    if piece.directive:
        return declaration.macro(piece.text)
    return declaration.forward(piece.text) or declaration.prototype(piece.text, known - {""})


def _mentioned(some: Iterable[str], pieces: Iterable[Piece]) -> bool:
    """Whether one of the names stands in one of the pieces, or in a condition around it."""
    texts = [text for piece in pieces for text in (piece.text, *piece.conditions)]
    words = set(re.findall(r"\w+", "\n".join(texts)))
    return not words.isdisjoint(some)


def _said(lost: list[Declared], gained: list[Declared]) -> str:
    gone = [each.said for each in lost]
    come = [each.said for each in gained]
    both = [each for each in come if each in gone]
    said = [
        f"{verb} {_list(some)}"
        for verb, some in (
            ("gained", [each for each in come if each not in both]),
            ("lost", [each for each in gone if each not in both]),
            ("changed", both),
        )
        if some
    ]
    return f"only {' and '.join(said)}" if said else "has only other comments"


def _list(some: list[str]) -> str:
    more = len(some) - _SHOWN
    return ", ".join(some[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
