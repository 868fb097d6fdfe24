# SPDX-License-Identifier: GPL-2.0-only
"""From the counters that guests read after each test to the lines and functions it executed."""

from __future__ import annotations

import bisect
import collections
import dataclasses
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from harness import build, gcov, git
from harness.errors import UsageError
from harness.lab import suites
from harness.model import (
    Checkout,
    Coverage,
    FileCoverage,
    FunctionCount,
    Kernel,
    LineCount,
    LineState,
    Option,
    Plan,
    Request,
    SeriesLines,
    Toolchain,
)
from harness.results import counters
from harness.results.counters import Reading

_OPTION = "GCOV_KERNEL"

_Counted = TypeVar("_Counted")
#: A function: its name, its first and its last line.
_Function = tuple[str, int, int]


def with_counters(plan: Plan, request: Request) -> Request:
    """Add the option that counters need.  Raises UsageError if they were made impossible."""
    if plan.llvm:
        raise UsageError(
            "--coverage needs gcc: the counters that clang builds have another format",
            hint="leave out --llvm, or --coverage",
        )
    if plan.no_series:
        raise UsageError(
            "--coverage counts the lines that a series adds, and there is no series",
            hint="leave out --no-series, or --coverage",
        )
    refused = [o for o in request.options if o.name == _OPTION and o.value != "y"]
    if refused:
        raise UsageError(
            f"--coverage needs CONFIG_{_OPTION}=y, but {refused[0].value} was requested"
            f" ({refused[0].origin})",
            hint=f"CONFIG_{_OPTION}=y on the command line overrides fragments",
        )
    return suites.with_more(request, [Option(_OPTION, "y", "--coverage")])


def collect(
    folder: Path, kernel: Kernel, tip: Checkout, lines: SeriesLines, toolchain: Toolchain
) -> Coverage:
    """Return what the tests of the trial in ``folder`` executed.  Raises HostFault without gcov."""
    assert kernel.notes is not None
    notes = {
        str(file.relative_to(kernel.notes).with_suffix(".gcda")): file
        for file in sorted(kernel.notes.rglob("*.gcno"))
    }
    wanted = {
        file.path: frozenset(line.number for line in file.of(LineState.COMPILED))
        for file in lines.files
    }
    tally = _Tally(tip, wanted)
    readings = list(counters.readings(folder))
    parts = [(reading, name) for reading in readings for name in reading.files if name in notes]
    program = gcov.program(toolchain)
    found = gcov.counts(program, [(notes[n], r.files[n]) for r, n in parts])
    for reading in readings:
        tally.test(reading.test)
    for (reading, name), counts in zip(parts, found, strict=True):
        if counts is not None:
            tally.add(reading, name, counts)
    last = {(reading.guest, name): (notes[name], reading.files[name]) for reading, name in parts}
    for counts in gcov.counts(program, list(last.values()), branches=True):
        if counts is not None:
            tally.add_branches(counts)
    return tally.coverage()


@dataclasses.dataclass
class _LineTally:
    tests: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    boot: int = 0
    branches: tuple[int, ...] = ()


class _Tally:
    """Adds up the counts of all guests; ``wanted`` are the lines that matter, by file."""

    def __init__(self, tip: Checkout, wanted: Mapping[str, Collection[int]]) -> None:
        self.tip, self.wanted = tip, wanted
        self.tests: dict[str, int] = {}
        self.lines: dict[str, dict[int, _LineTally]] = {path: {} for path in wanted}
        self.functions: dict[str, dict[_Function, _LineTally]] = {path: {} for path in wanted}
        self._last: dict[tuple[str, str], gcov.Counts] = {}
        self._paths: dict[str, str] = {}
        self._spans: dict[str, Mapping[int, tuple[int, int]]] = {}
        self._sources: dict[tuple[str, str], Mapping[int, int]] = {}

    def test(self, name: str) -> int | None:
        """Return a test's index; None for the time before the first test."""
        return self.tests.setdefault(name, len(self.tests)) if name else None

    def add(self, reading: Reading, name: str, counts: gcov.Counts) -> None:
        """Add what one object's counters gained since the guest's last reading."""
        test, before = self.test(reading.test), self._last.get((reading.guest, name))
        self._last[reading.guest, name] = counts
        for file, own in counts.lines.items():
            if path := self._path(file):
                sources = self._source(name, path, own)
                gained = _gained(own, before.lines.get(file, {}) if before else {})
                for number, source in sources.items():
                    line = self.lines[path].setdefault(number, _LineTally())
                    _count(line, test, gained.get(source, 0))
        for file, called in counts.functions.items():
            if path := self._path(file):
                gained_calls = _gained(called, before.functions.get(file, {}) if before else {})
                for function in called:
                    tally = self.functions[path].setdefault(function, _LineTally())
                    _count(tally, test, gained_calls.get(function, 0))

    def add_branches(self, counts: gcov.Counts) -> None:
        """Add how often the ways out of each line were taken in one guest, from first to last."""
        for file, own in counts.branches.items():
            path = self._path(file)
            for number, ways in own.items() if path else ():
                line = self.lines[path].get(number)
                if line is not None:
                    known = line.branches if len(line.branches) == len(ways) else (0,) * len(ways)
                    line.branches = tuple(a + b for a, b in zip(known, ways, strict=True))

    def _path(self, file: str) -> str:
        """Return the series' name of a file that the compiler names by its whole path, or ""."""
        if file not in self._paths:
            paths = [path for path in self.wanted if file.endswith(f"/{path}")]
            self._paths[file] = max(paths, key=len, default="")
        return self._paths[file]

    def _source(self, name: str, path: str, counted: Mapping[int, int]) -> Mapping[int, int]:
        """Return the line whose counter tells for each wanted line, in one object.

        A statement has counters in some of its lines only.
        """
        if (name, path) not in self._sources:
            if path not in self._spans:
                argv = ("show", f"{self.tip.commit}:{path}")
                text = git.run(self.tip.path, *argv).stdout
                self._spans[path] = build.statements(text, self.wanted[path])
            numbers = sorted(counted)
            found: dict[int, int] = {}
            for number in self.wanted[path]:
                if number in counted:
                    found[number] = number
                elif (span := self._spans[path].get(number)) is not None:
                    inside = numbers[
                        bisect.bisect_left(numbers, span[0]) : bisect.bisect_right(numbers, span[1])
                    ]
                    before = [other for other in inside if other < number]
                    if inside:
                        found[number] = before[-1] if before else inside[0]
            self._sources[name, path] = found
        return self._sources[name, path]

    def coverage(self) -> Coverage:
        """Return the result; lines that follow each other with equal counts are joined."""
        files = []
        for path, lines in self.lines.items():
            functions = tuple(
                FunctionCount(*function, tuple(sorted(tally.tests)), tally.boot > 0)
                for function, tally in sorted(self.functions[path].items(), key=lambda i: i[0][1:])
            )
            if lines or functions:
                files.append(FileCoverage(path, tuple(_joined(lines)), functions))
        return Coverage(tuple(self.tests), tuple(files))


def _gained(now: Mapping[_Counted, int], before: Mapping[_Counted, int]) -> Mapping[_Counted, int]:
    """Return by how much counts grew; all of it if they were reset in between."""
    if any(now.get(key, 0) < count for key, count in before.items()):
        return now
    return {key: count - before.get(key, 0) for key, count in now.items()}


def _count(tally: _LineTally, test: int | None, times: int) -> None:
    if not times:
        return
    if test is None:
        tally.boot += times
    else:
        tally.tests[test] += times


def _joined(lines: Mapping[int, _LineTally]) -> Iterator[LineCount]:
    current: LineCount | None = None
    for number in sorted(lines):
        tally = lines[number]
        own = LineCount(
            number, number, tuple(sorted(tally.tests.items())), tally.boot, tally.branches
        )
        if current and (current.last + 1, current.tests, current.boot, current.branches) == (
            *(number, own.tests, own.boot, own.branches),
        ):
            current = dataclasses.replace(current, last=number)
            continue
        if current:
            yield current
        current = own
    if current:
        yield current


def with_counts(lines: SeriesLines, coverage: Coverage) -> SeriesLines:
    """Return the lines with how many tests executed each."""
    counts: dict[str, dict[int, LineCount]] = {
        file.path: {
            number: count for count in file.lines for number in range(count.first, count.last + 1)
        }
        for file in coverage.files
    }
    files = []
    for file in lines.files:
        own = counts.get(file.path, {})
        changed = tuple(
            dataclasses.replace(
                line,
                tests=len(count.tests),
                boot=count.boot > 0,
                untaken=count.branches.count(0),
            )
            if (count := own.get(line.number)) and line.state is LineState.COMPILED
            else line
            for line in file.lines
        )
        files.append(dataclasses.replace(file, lines=changed))
    return SeriesLines(tuple(files))
