# SPDX-License-Identifier: GPL-2.0-only
"""Which counters make up the count of a line or function, from the compiler's notes (.gcno).

gcov does the same, and takes ten milliseconds for one reading of one object; a run has thousands of
readings.  A line's count is a sum of counters with signs, so that the notes have to be read only
once.  gcov stays the authority: whoever uses this compares the result of one reading with gcov's.
"""

from __future__ import annotations

import collections
import dataclasses
import os.path
import struct
from collections.abc import Iterator, Mapping, Sequence

_NOTES, _DATA = 0x67636E6F, 0x67636461
_FUNCTION, _BLOCKS, _ARCS, _LINES = 0x01000000, 0x01410000, 0x01430000, 0x01450000
_COUNTERS = 0x01A10000
_ON_TREE = 1  # an arc without a counter
_ENTRY, _EXIT = 0, 1
_OLDEST = "B2"  # gcc 12: before, lengths were counted in words

#: A sum within a function: how often each of its counters is added.
_Sum = Mapping[int, int]
#: A sum: for each term a function's identity, the number of one of its counters, and a factor.
Terms = tuple[tuple[int, int, int], ...]


class UnreadableError(Exception):
    """These notes or counters cannot be read here, but gcov may be able to."""


@dataclasses.dataclass(frozen=True)
class Formulas:
    """What to add up for each line and function of an object, by file.

    Files have the names that the compiler was given.  A function is (name, first line, last line).
    """

    lines: Mapping[str, Mapping[int, Terms]]
    functions: Mapping[str, Mapping[tuple[str, int, int], Terms]]


@dataclasses.dataclass
class _Function:
    identity: int
    name: str
    file: str
    first: int
    last: int
    artificial: bool
    blocks: int = 0
    arcs: list[tuple[int, int, int]] = dataclasses.field(default_factory=list)
    # For each block and each of its places: a file, and the lines in it.
    places: list[tuple[int, str, list[int]]] = dataclasses.field(default_factory=list)


def formulas(notes: bytes) -> Formulas:
    """Read an object's notes.  Raises UnreadableError, also for code that has to be looked at."""
    found: dict[str, dict[int, _Line]] = {}
    functions: dict[str, dict[tuple[str, int, int], Terms]] = {}
    try:
        for function in _functions(notes):
            sums = _solved(function)
            entry = _total(sums[n] for n, arc in enumerate(function.arcs) if arc[0] == _ENTRY)
            if not function.artificial:
                key = (function.name, function.first, function.last)
                functions.setdefault(function.file, {})[key] = _terms(function, entry)
            _add_lines(function, sums, found)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise UnreadableError(f"damaged notes: {error}") from error
    lines = {
        file: {number: line.terms() for number, line in own.items()} for file, own in found.items()
    }
    return Formulas(lines, functions)


def counters(data: bytes) -> dict[int, tuple[int, ...]]:
    """Return the counters of each function from the content of a .gcda file, by identity.

    Raises UnreadableError.
    """
    found: dict[int, tuple[int, ...]] = {}
    identity = 0
    try:
        for tag, length, at in _records(data, _DATA, 16):
            if tag == _FUNCTION and length:
                (identity,) = struct.unpack_from("<I", data, at)
            elif tag == _COUNTERS:
                many = abs(length) // 8
                zero = length < 0  # all of them, and none is written
                found[identity] = (0,) * many if zero else struct.unpack_from(f"<{many}q", data, at)
    except struct.error as error:
        raise UnreadableError(f"damaged counters: {error}") from error
    return found


def value(terms: Terms, known: Mapping[int, Sequence[int]]) -> int:
    """Return a sum; a function without counters was never executed."""
    return sum(
        factor * known[identity][number] for identity, number, factor in terms if identity in known
    )


def _records(data: bytes, magic: int, begin: int) -> Iterator[tuple[int, int, int]]:
    """Yield tag, length and place of each record; a negative length has nothing behind it."""
    (found,) = struct.unpack_from("<I", data)
    version = data[7:3:-1].decode("latin-1")
    if found != magic or version < _OLDEST:
        raise UnreadableError(f"gcc {version!r} writes another format")
    at = begin
    while at + 8 <= len(data):
        tag, length = struct.unpack_from("<Ii", data, at)
        if not tag:
            return
        yield tag, length, at + 8
        at += 8 + max(length, 0)


def _functions(notes: bytes) -> Iterator[_Function]:
    (folder,) = struct.unpack_from("<I", notes, 16)
    function: _Function | None = None
    # Behind the folder is whether blocks may be marked as never executed.
    for tag, length, at in _records(notes, _NOTES, 20 + folder + 4):
        words = struct.unpack_from(f"<{length // 4}I", notes, at) if tag != _FUNCTION else ()
        if tag == _FUNCTION:
            if function:
                yield function
            function = _function(notes, at)
        elif function is None:
            continue
        elif tag == _BLOCKS:
            function.blocks = words[0]
        elif tag == _ARCS:
            pairs = zip(words[1::2], words[2::2], strict=True)
            function.arcs += [(words[0], to, flags) for to, flags in pairs]
        elif tag == _LINES:
            function.places += _places(notes, at, at + length)
    if function:
        yield function


def _text(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<I", data, at)
    return data[at + 4 : at + 3 + length].decode(), at + 4 + length


def _path(data: bytes, at: int) -> tuple[str, int]:
    """Return a file as gcov names it, and what is behind it."""
    file, at = _text(data, at)
    return os.path.normpath(file), at


def _function(notes: bytes, at: int) -> _Function:
    (identity,) = struct.unpack_from("<I", notes, at)
    name, at = _text(notes, at + 12)
    (artificial,) = struct.unpack_from("<I", notes, at)
    file, at = _path(notes, at + 4)
    first, _, last, _ = struct.unpack_from("<4I", notes, at)
    return _Function(identity, name, file, first, last, bool(artificial))


def _places(notes: bytes, at: int, end: int) -> Iterator[tuple[int, str, list[int]]]:
    (block,) = struct.unpack_from("<I", notes, at)
    at, lines, file = at + 4, [], ""
    while at < end:
        (line,) = struct.unpack_from("<I", notes, at)
        at += 4
        if line:
            lines.append(line)
            continue
        if file:
            yield block, file, lines
        (length,) = struct.unpack_from("<I", notes, at)
        if not length:
            return
        file, at = _path(notes, at)
        lines = []


def _solved(function: _Function) -> list[dict[int, int]]:
    """Return the sum of each arc: what goes into a block comes out of it."""
    sums: list[dict[int, int] | None] = [None] * len(function.arcs)
    into: list[list[int]] = [[] for _ in range(function.blocks)]
    out: list[list[int]] = [[] for _ in range(function.blocks)]
    number = 0
    for index, (source, to, flags) in enumerate(function.arcs):
        out[source].append(index)
        into[to].append(index)
        if not flags & _ON_TREE:
            sums[index] = {number: 1}
            number += 1
    waiting = collections.deque(range(function.blocks))
    while waiting:
        block = waiting.popleft()
        unknown = [index for index in (*into[block], *out[block]) if sums[index] is None]
        if block in (_ENTRY, _EXIT) or len(unknown) != 1:
            continue
        (index,) = unknown
        same, other = (into, out) if index in into[block] else (out, into)
        rest = _total((sums[i] or {} for i in same[block] if i != index), -1)
        sums[index] = _total([*(sums[i] or {} for i in other[block]), rest])
        waiting += function.arcs[index][:2]
    if None in sums:
        raise UnreadableError(f"{function.name}() has too few counters")
    return [found for found in sums if found is not None]


def _total(sums: Iterator[dict[int, int]] | Sequence[_Sum], factor: int = 1) -> dict[int, int]:
    total: collections.Counter[int] = collections.Counter()
    for one in sums:
        for number, times in one.items():
            total[number] += factor * times
    return {number: times for number, times in total.items() if times}


def _terms(function: _Function, total: _Sum) -> Terms:
    return tuple((function.identity, number, times) for number, times in sorted(total.items()))


@dataclasses.dataclass
class _Line:
    """A line: what its blocks count, and what enters those that end in it.

    gcov takes the second where there is one, so that a line that was split is not counted twice.
    """

    counted: list[tuple[int, int, int]] = dataclasses.field(default_factory=list)
    entered: list[tuple[int, int, int]] = dataclasses.field(default_factory=list)
    ends: bool = False

    def terms(self) -> Terms:
        return tuple(self.entered if self.ends else self.counted)


def _add_lines(
    function: _Function, sums: list[dict[int, int]], found: dict[str, dict[int, _Line]]
) -> None:
    ending: dict[tuple[str, int], set[int]] = collections.defaultdict(set)
    last: dict[int, tuple[str, int]] = {}
    for block, file, lines in function.places:
        entering = (sums[n] for n, arc in enumerate(function.arcs) if arc[1] == block)
        terms = _terms(function, _total(entering))
        for number in lines:
            found.setdefault(file, {}).setdefault(number, _Line()).counted += terms
        if lines:
            last[block] = (file, max(lines))
    for block, place in last.items():
        if block not in (_ENTRY, function.blocks - 1):
            ending[place].add(block)
    for (file, number), blocks in ending.items():
        arcs = [(n, arc) for n, arc in enumerate(function.arcs) if arc[1] in blocks]
        entering = (sums[n] for n, (source, _, _) in arcs if source not in blocks)
        line = found[file][number]
        line.ends = True
        line.entered += _terms(function, _total(entering))
