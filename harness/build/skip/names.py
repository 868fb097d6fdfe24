# SPDX-License-Identifier: GPL-2.0-only
"""Find the names that a header gained or lost, if only users of these names are affected.

A prototype, a #define, a forward declaration: a translation unit that does not contain the name
compiles to the same code and the same warnings with or without these lines.  If this is not
certain, the result is None, and make compiles as usual.
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
_SHORTEST_PART = 2  # letters; single letters would match nearly all names
_NEAR = 200  # bytes next to a ## that contain its operand
_LAST_WORD = re.compile(rb"(\w+)[\s\\]*$")
_FIRST_WORD = re.compile(rb"[\s\\]*(\w+)")
_BLANK = rb"(?:\s|\\\n|/\*.*?\*/)+"


@dataclasses.dataclass(frozen=True)
class ChangedNames:
    """What to look for in a source, to see if a change of a header may affect it.

    ``names`` were added, removed or changed; ``parameters`` are the parameters of their prototypes,
    which must not be macros where the header is used.  ``gone`` are the removed or changed names:
    all of their users must be found, so a macro that pastes together a word with the same
    beginning or end (``x ## _show``) counts as a user too.
    """

    names: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    summary: str = ""

    def finder(self) -> Callable[[bytes], bool]:
        """Return a function that checks whether a text mentions any of these names."""
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
    """Compare two versions of a header; None if the difference may affect any source."""
    try:
        old, new = c_header.pieces(before), c_header.pieces(after)
    except c_header.Unclear:
        return None
    same, removed, added = _compared(old, new)
    for old_index, new_index in same:
        piece = new[new_index]
        moved = old[old_index].places != piece.places
        if moved and not piece.directive and not c_header.may_move(piece.text):
            return None
    lost, gained = _declarations(old, removed), _declarations(new, added)
    if lost is None or gained is None:
        return None
    names = frozenset(declaration.name for declaration in (*lost, *gained))
    parameters = frozenset().union(*(declaration.parameters for declaration in (*lost, *gained)))
    gone = frozenset(declaration.name for declaration in lost)
    kept = [new[index] for _, index in same]
    pasted = ChangedNames(gone=gone).finder()
    if names & parameters or _mentioned(names, kept):
        return None
    if any(pasted(piece.text.encode()) for piece in kept):
        return None
    return ChangedNames(names, parameters, gone, _summary(lost, gained))


def _compared(
    old: Sequence[Piece], new: Sequence[Piece]
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Return pairs of unchanged pieces, and the pieces of only the old or the new header."""
    keys = [piece.key for piece in old], [piece.key for piece in new]
    blocks = difflib.SequenceMatcher(None, *keys, autojunk=False).get_matching_blocks()
    same = [(b.a + i, b.b + i) for b in blocks for i in range(b.size)]
    kept_old, kept_new = {pair[0] for pair in same}, {pair[1] for pair in same}
    gone = [i for i in range(len(old)) if i not in kept_old]
    return same, gone, [i for i in range(len(new)) if i not in kept_new]


def _declarations(pieces: list[Piece], chosen: list[int]) -> list[Declaration] | None:
    """Parse the chosen pieces of a header; None if one cannot be parsed.

    They must be directly inside its include guard: a header without a guard may be meant to be
    included in the middle of other code.
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
    """Whether one of the names appears in one of the pieces, or in an enclosing condition."""
    texts = [text for piece in pieces for text in (piece.text, *piece.conditions)]
    mentioned = set(re.findall(r"\w+", "\n".join(texts)))
    return not mentioned.isdisjoint(names)


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
    return f"only {' and '.join(parts)}" if parts else "differs only in comments"


def _pasted(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the words on both sides of each ##."""
    for before, after in itertools.pairwise(text.split(b"##")):
        last, first = _LAST_WORD.search(before[-_NEAR:]), _FIRST_WORD.match(after[:_NEAR])
        yield last[1] if last else b"", first[1] if first else b""


def _alternatives(words: Iterable[str]) -> bytes:
    return "|".join(sorted(words)).encode()
