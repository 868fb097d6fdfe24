# SPDX-License-Identifier: GPL-2.0-only
"""Which tests executed which lines and functions of the files that a series touches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable


@dataclasses.dataclass(frozen=True)
class LineCount:
    """Consecutive lines that were executed equally often.

    ``tests`` are pairs: a test's index in ``Coverage.tests``, and how often that test executed the
    lines.  ``boot`` is how often they were executed before the first test of a guest, in all
    guests.  ``branches`` is how often each way out of the lines was taken, all in all; empty if
    there is one way only.  ``place`` says where they are: "f()" or "an error path of f()".
    """

    first: int
    last: int
    tests: tuple[tuple[int, int], ...] = ()
    boot: int = 0
    branches: tuple[int, ...] = ()
    place: str = ""

    @property
    def times(self) -> int:
        """How often the lines were executed, all in all."""
        return self.boot + sum(times for _, times in self.tests)


@dataclasses.dataclass(frozen=True)
class FunctionCount:
    """A function, and how often it was called: see LineCount."""

    name: str
    first: int
    last: int
    tests: tuple[tuple[int, int], ...] = ()
    boot: int = 0

    @property
    def times(self) -> int:
        """How often it was called, all in all."""
        return self.boot + sum(times for _, times in self.tests)


@dataclasses.dataclass(frozen=True)
class FileCoverage:
    """A file of the series: the lines with counters that the series adds, and all functions."""

    path: str
    lines: tuple[LineCount, ...] = ()
    functions: tuple[FunctionCount, ...] = ()


@dataclasses.dataclass(frozen=True)
class Coverage:
    """What the tests of one trial executed; coverage.json is this value (see harness.results).

    ``tests`` are the ids of the tests with counts: those that ended, even if they executed none of
    this.  ``commit`` is the commit that was tested, whose line numbers these are.
    """

    commit: str = ""
    tests: tuple[str, ...] = ()
    files: tuple[FileCoverage, ...] = ()

    def counted(self, *, executed: bool = False) -> int:
        """Return the number of lines with counters; with ``executed``, those that anything ran."""
        counts = (count for file in self.files for count in file.lines)
        return sum(one.last - one.first + 1 for one in counts if one.times or not executed)

    def file(self, path: str) -> FileCoverage | None:
        """Return a file's coverage; None if nothing in it has counters."""
        return next((file for file in self.files if file.path == path), None)

    def tests_of(self, path: str, first: int, last: int) -> tuple[str, ...]:
        """Return the tests that executed any of the lines, most executions first.

        Where the lines have no counters of their own, these are the tests that called the function
        around them.  Empty if no test did, and if nothing is known about the lines.
        """
        file = self.file(path)
        if file is None:
            return ()
        lines = [count for count in file.lines if count.first <= last and first <= count.last]
        around = [f for f in file.functions if f.first <= last and first <= f.last]
        return self._most_first(lines or around)

    def tests_in(self, path: str) -> tuple[str, ...]:
        """Return the tests that executed anything of a file, most executions first."""
        file = self.file(path)
        return self._most_first((*file.lines, *file.functions)) if file else ()

    def _most_first(self, parts: Iterable[LineCount | FunctionCount]) -> tuple[str, ...]:
        times: dict[int, int] = {}
        for test, count in (pair for part in parts for pair in part.tests):
            times[test] = times.get(test, 0) + count
        return tuple(self.tests[test] for test in sorted(times, key=lambda t: (-times[t], t)))
