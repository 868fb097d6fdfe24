# SPDX-License-Identifier: GPL-2.0-only
"""Reads the counters of an object without gcov, which would take longer than many tests do."""

from __future__ import annotations

import collections
import contextlib
import functools
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from harness import gcov
from harness.gcov import gcno

_Counted = TypeVar("_Counted")
#: A function: its name, its first and its last line.
_Function = tuple[str, int, int]
#: For each function of an object: a file, a line or function of it, and counters with factors.
_Parts = dict[int, list[tuple[str, _Counted, tuple[tuple[int, int], ...]]]]


class _Files(Protocol):
    def path(self, file: str) -> str:
        """Return the series' name of a file that the compiler names by its whole path, or ""."""


class Reader:
    """Reads one object's counters without gcov, as long as that gives the same."""

    def __init__(self, files: _Files, notes: Path) -> None:
        self._formulas: gcno.Formulas | None = None
        with contextlib.suppress(gcno.UnreadableError):
            formulas = gcno.formulas(notes.read_bytes())
            lines = {file: own for file, own in formulas.lines.items() if files.path(file)}
            functions = {file: own for file, own in formulas.functions.items() if files.path(file)}
            self._formulas = gcno.Formulas(lines, functions)
        self._last: dict[str, Mapping[int, tuple[int, ...]]] = {}

    @property
    def right(self) -> bool:
        """Whether gcov has not contradicted."""
        return self._formulas is not None

    def check(self, content: bytes, expected: gcov.Counts | None) -> None:
        """Compare the counts of a reading with what gcov makes of them."""
        found = self.counts(content) if self.right else None
        if found and expected:
            lines = {file: expected.lines.get(file, {}) for file in found.lines}
            functions = {file: expected.functions.get(file, {}) for file in found.functions}
            if (found.lines, found.functions) == (lines, functions):
                return
        self._formulas = None

    def counts(self, content: bytes) -> gcov.Counts | None:
        """Return the counts of a reading; None if it is damaged."""
        assert self._formulas is not None
        try:
            known = gcno.counters(content)
            lines = {f: _values(terms, known) for f, terms in self._formulas.lines.items()}
            called = {f: _values(terms, known) for f, terms in self._formulas.functions.items()}
        except (gcno.UnreadableError, IndexError):
            return None
        return gcov.Counts(lines, called, {})

    def gained(self, guest: str, content: bytes) -> gcov.Counts | None:
        """Return what was counted since the guest's last reading; None if it is damaged."""
        try:
            known = gcno.counters(content)
            before, self._last[guest] = self._last.get(guest, {}), known
            changed = {i: now for i, now in known.items() if now != before.get(i)}
            pairs = (
                pair
                for i, now in changed.items()
                for pair in zip(now, before.get(i, now), strict=True)
            )
            if any(now < old for now, old in pairs):  # reset in between
                before, changed = {}, known
            lines: dict[str, collections.Counter[int]] = {}
            called: dict[str, collections.Counter[_Function]] = {}
            for identity, now in changed.items():
                old = before.get(identity) or (0,) * len(now)
                grown = tuple(new - one for new, one in zip(now, old, strict=True))
                for file, number, terms in self._parts[0].get(identity, ()):
                    lines.setdefault(file, collections.Counter())[number] += _sum(terms, grown)
                for file, function, terms in self._parts[1].get(identity, ()):
                    called.setdefault(file, collections.Counter())[function] += _sum(terms, grown)
        except (gcno.UnreadableError, IndexError, ValueError):
            return None
        return gcov.Counts(lines, called, {})

    @functools.cached_property
    def _parts(self) -> tuple[_Parts[int], _Parts[_Function]]:
        """The formulas of lines and of functions, by the function whose counters they add up."""
        assert self._formulas is not None
        return _by_function(self._formulas.lines), _by_function(self._formulas.functions)


def _by_function(formulas: Mapping[str, Mapping[_Counted, gcno.Terms]]) -> _Parts[_Counted]:
    found: _Parts[_Counted] = {}
    for file, own in formulas.items():
        for what, terms in own.items():
            for identity, group in itertools.groupby(sorted(terms), key=lambda term: term[0]):
                pairs = tuple((number, factor) for _, number, factor in group)
                found.setdefault(identity, []).append((file, what, pairs))
    return found


def _sum(terms: Sequence[tuple[int, int]], counters: Sequence[int]) -> int:
    return sum(factor * counters[number] for number, factor in terms)


def _values(
    formulas: Mapping[_Counted, gcno.Terms], known: Mapping[int, Sequence[int]]
) -> dict[_Counted, int]:
    return {what: gcno.value(terms, known) for what, terms in formulas.items()}
