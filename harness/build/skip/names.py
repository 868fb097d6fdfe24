# SPDX-License-Identifier: GPL-2.0-only
"""Which names a header gained or lost, when only users of these names can tell the difference.

A prototype, a #define, a struct that is only named: a translation unit in which the name does not
appear compiles to the same code, with the same warnings, whether they are there or not.  Whenever
this is not certain there is no answer, and make compiles as always.
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from harness.build.skip import c_header
from harness.build.skip.c_header import Declaration, Piece

_TYPES_HEADER = "#include <linux/types.h>"
_SHOWN = 2
_SHORTEST_PART = 2  # letters: single ones are parameters, which nearly all names begin with
_NEAR = 200  # bytes beside a ## in which its word stands
_LAST_WORD = re.compile(rb"(\w+)[\s\\]*$")
_FIRST_WORD = re.compile(rb"[\s\\]*(\w+)")
_BLANK = rb"(?:\s|\\\n|/\*.*?\*/)+"


@dataclasses.dataclass(frozen=True)
class ChangedNames:
    """What to look for in a source, to tell whether a header's change may concern it.

    ``names`` are new, gone or declared differently; ``parameters`` are those of their prototypes,
    which must not be macros where the header is used.  ``gone`` are the names that are not just
    new: their users must be found however they write them, so a macro that pastes together a word
    with the same beginning or end (``x ## _show``) counts as a user too.
    """

    names: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    summary: str = ""

    def finder(self) -> Callable[[bytes], bool]:
        """Return a function: does a text mention any of this?"""
        names = [name.encode() for name in self.names]
        word = re.compile(rb"\b(?:%b)\b" % _alternatives(self.names))
        define = rb"define%b(?:%b)\b" % (_BLANK, _alternatives(self.parameters))
        macro = re.compile(define, re.DOTALL)
        lengths = [(name, at) for name in self.gone for at in range(_SHORTEST_PART, len(name))]
        begins = {name[:at].encode() for name, at in lengths}
        ends = {name[-at:].encode() for name, at in lengths}

        def mentions(text: bytes) -> bool:
            if any(name in text for name in names) and word.search(text):  # the first part is fast
                return True
            if self.parameters and macro.search(text):
                return True
            if not self.gone:
                return False
            return any(before in begins or after in ends for before, after in _pasted(text))

        return mentions


def changed(before: str, after: str) -> ChangedNames | None:
    """Compare the text of a header; None when the difference may concern every unit."""
    try:
        old, new = c_header.pieces(before), c_header.pieces(after)
    except c_header.Unclear:
        return None
    same, left, came = _compared(old, new)
    for here, there in same:
        piece = new[there]
        moved = old[here].places != piece.places
        if moved and not piece.directive and not c_header.may_move(piece.text):
            return None
    lost, gained = _declarations(old, left), _declarations(new, came)
    if lost is None or gained is None:
        return None
    names = frozenset(declaration.name for declaration in (*lost, *gained))
    parameters = frozenset().union(*(declaration.parameters for declaration in (*lost, *gained)))
    gone = frozenset(declaration.name for declaration in lost)
    kept = [new[there] for _, there in same]
    pasted = ChangedNames(gone=gone).finder()
    if names & parameters or _mentioned(names, kept):
        return None
    if any(pasted(piece.text.encode()) for piece in kept):
        return None
    return ChangedNames(names, parameters, gone, _summary(lost, gained))


def _compared(
    old: Sequence[Piece], new: Sequence[Piece]
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Return the pairs of pieces that stayed, and those that only the old or new header has."""
    keys = [piece.key for piece in old], [piece.key for piece in new]
    blocks = difflib.SequenceMatcher(None, *keys, autojunk=False).get_matching_blocks()
    same = [(b.a + i, b.b + i) for b in blocks for i in range(b.size)]
    here, there = {pair[0] for pair in same}, {pair[1] for pair in same}
    gone = [i for i in range(len(old)) if i not in here]
    return same, gone, [i for i in range(len(new)) if i not in there]


def _declarations(pieces: list[Piece], chosen: list[int]) -> list[Declaration] | None:
    """Understand the chosen pieces of a header; None when one is not understood.

    They must stand directly inside its include guard: a header without one may be made to be
    included in the middle of something else.
    """
    guard = c_header.guard(pieces)
    types: set[str] = set()
    declarations: list[Declaration] = []
    for number, piece in enumerate(pieces):
        inside = bool(guard) and piece.conditions == (guard,)
        if number in chosen:
            declaration = _declaration(piece, types) if inside else None
            if declaration is None or any(declaration.name == d.name for d in declarations):
                return None
            declarations.append(declaration)
        if inside:
            types.add(c_header.declared_type(piece.text))
            types |= c_header.TYPES if piece.text == _TYPES_HEADER else set()
    pairs = zip(declarations, chosen, strict=True)
    macros = {declaration.name for declaration, i in pairs if pieces[i].directive}
    if _mentioned(macros, [pieces[i] for i in chosen if not pieces[i].directive]):
        return None
    return declarations


def _declaration(piece: Piece, types: set[str]) -> Declaration | None:
    if piece.directive:
        return c_header.macro(piece.text)
    return c_header.forward(piece.text) or c_header.prototype(piece.text, types - {""})


def _mentioned(names: Iterable[str], pieces: Iterable[Piece]) -> bool:
    """Whether one of the names appears in one of the pieces, or in a condition around it."""
    texts = [text for piece in pieces for text in (piece.text, *piece.conditions)]
    words = set(re.findall(r"\w+", "\n".join(texts)))
    return not words.isdisjoint(names)


def _summary(lost: list[Declaration], gained: list[Declaration]) -> str:
    gone = [declaration.shown for declaration in lost]
    come = [declaration.shown for declaration in gained]
    both = [shown for shown in come if shown in gone]
    groups = {
        "gained": [shown for shown in come if shown not in both],
        "lost": [shown for shown in gone if shown not in both],
        "changed": both,
    }
    parts = [
        f"{verb} {', '.join(group[:_SHOWN])}"
        + (f" and {len(group) - _SHOWN} more" if len(group) > _SHOWN else "")
        for verb, group in groups.items()
        if group
    ]
    return f"only {' and '.join(parts)}" if parts else "has only other comments"


def _pasted(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return the words on both sides of each ##."""
    for before, after in itertools.pairwise(text.split(b"##")):
        last, first = _LAST_WORD.search(before[-_NEAR:]), _FIRST_WORD.match(after[:_NEAR])
        yield last[1] if last else b"", first[1] if first else b""


def _alternatives(words: Iterable[str]) -> bytes:
    return "|".join(sorted(words)).encode()
