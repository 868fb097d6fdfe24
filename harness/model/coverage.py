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
    there is one way only.
    """

    first: int
    last: int
    tests: tuple[tuple[int, int], ...] = ()
    boot: int = 0
    branches: tuple[int, ...] = ()

    @property
    def times(self) -> int:
        """How often tests executed the lines."""
        return sum(times for _, times in self.tests)


@dataclasses.dataclass(frozen=True)
class FunctionCount:
    """A function, and the tests that called it, as indices in ``Coverage.tests``.

    ``boot``: it was called before the first test.
    """

    name: str
    first: int
    last: int
    tests: tuple[int, ...] = ()
    boot: bool = False


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
    this.
    """

    tests: tuple[str, ...] = ()
    files: tuple[FileCoverage, ...] = ()

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
        pairs: Iterable[tuple[int, int]] = (pair for count in lines for pair in count.tests)
        if not lines:
            around = (f for f in file.functions if f.first <= last and first <= f.last)
            pairs = ((test, 1) for function in around for test in function.tests)
        times: dict[int, int] = {}
        for test, count in pairs:
            times[test] = times.get(test, 0) + count
        return tuple(self.tests[test] for test in sorted(times, key=lambda t: (-times[t], t)))
