# SPDX-License-Identifier: GPL-2.0-only
"""From the counters that guests read after each test to the lines and functions it executed."""

from __future__ import annotations

import bisect
import collections
import dataclasses
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from harness import build, gcov, git
from harness.errors import UsageError
from harness.gcov.reader import Reader
from harness.lab import suites
from harness.model import (
    ChangedFile,
    ChangedLine,
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

_OPTION = "GCOV_KERNEL"

_Counted = TypeVar("_Counted")
# A line's commit, and its numbers in that commit and now, in `git blame --porcelain`.
_BLAMED = re.compile(r"^([0-9a-f]{40,64}) (\d+) (\d+)(?: \d+)?$", re.MULTILINE)
#: Two lines for each line.
_Spans = Mapping[int, tuple[int, int]]
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
    last = {(reading.guest, name): (notes[name], reading.files[name]) for reading, name in parts}
    final = dict(zip(last, gcov.counts(program, list(last.values()), branches=True), strict=True))
    readers = {name: Reader(tally, file) for name, file in notes.items()}
    for (guest, name), counts in final.items():
        readers[name].check(last[guest, name][1], counts)
        if counts is not None:
            tally.register(name, counts)
    slow = [(notes[name], r.files[name]) for r, name in parts if not readers[name].right]
    slowly = gcov.counts(program, slow)
    for reading in readings:
        tally.test(reading.test)
    for reading, name in parts:
        if readers[name].right:
            gained = readers[name].gained(reading.guest, reading.files[name])
        else:
            gained = tally.gained(reading.guest, name, next(slowly))
        if gained is not None:
            tally.add(reading.test, name, gained)
    for counts in final.values():
        if counts is not None:
            tally.add_branches(counts)
    return tally.coverage()


@dataclasses.dataclass
class _LineTally:
    tests: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    boot: int = 0
    branches: tuple[int, ...] = ()

    def count(self, number: int, places: Mapping[int, str]) -> LineCount:
        tests = tuple(sorted(self.tests.items()))
        place = places.get(number, "")
        return LineCount(number, number, tests, self.boot, self.branches, place)


class _Tally:
    """Adds up the counts of all guests; ``wanted`` are the lines that matter, by file."""

    def __init__(self, tip: Checkout, wanted: Mapping[str, Collection[int]]) -> None:
        self.tip, self.wanted = tip, wanted
        self.tests: dict[str, int] = {}
        self.lines: dict[str, dict[int, _LineTally]] = {path: {} for path in wanted}
        self.functions: dict[str, dict[_Function, _LineTally]] = {path: {} for path in wanted}
        self._last: dict[tuple[str, str], gcov.Counts] = {}
        self._paths: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._spans: dict[str, tuple[_Spans, _Spans]] = {}
        self._sources: dict[tuple[str, str], _Spans] = {}
        # By object and file: what a line's counter tells about, with which sign.
        self._tells: dict[tuple[str, str], dict[int, list[tuple[int, int]]]] = {}

    def test(self, name: str) -> int | None:
        """Return a test's index; None for the time before the first test."""
        return self.tests.setdefault(name, len(self.tests)) if name else None

    def register(self, name: str, counts: gcov.Counts) -> None:
        """Remember what an object counts, of which ``counts`` is an example."""
        for file, own in counts.lines.items():
            path = self.path(file)
            if path and (name, file) not in self._tells:
                tells = self._tells[name, file] = {}
                for number, (source, behind) in self._source(name, path, own).items():
                    self.lines[path].setdefault(number, _LineTally())
                    for line, factor in ((source, 1), (behind, -1)):
                        tells.setdefault(line, []).append((number, factor))
        for file, called in counts.functions.items():
            if path := self.path(file):
                for function in called:
                    self.functions[path].setdefault(function, _LineTally())

    def gained(self, guest: str, name: str, counts: gcov.Counts | None) -> gcov.Counts | None:
        """Return what one object's counters gained since the guest's last reading."""
        if counts is None:
            return None
        self.register(name, counts)
        before = self._last.get((guest, name), gcov.Counts({}, {}, {}))
        self._last[guest, name] = counts
        lines = {f: _gained(own, before.lines.get(f, {})) for f, own in counts.lines.items()}
        called = {
            f: _gained(own, before.functions.get(f, {})) for f, own in counts.functions.items()
        }
        return gcov.Counts(lines, called, {})

    def add(self, name: str, of: str, gained: gcov.Counts) -> None:
        """Add what the counters of an object gained during a test."""
        test = self.test(name)
        for file, own in gained.lines.items():
            path, tells = self.path(file), self._tells.get((of, file), {})
            times: collections.Counter[int] = collections.Counter()
            for line, count in own.items():
                for number, factor in tells.get(line, ()) if count else ():
                    times[number] += factor * count
            for number, count in times.items():
                _count(self.lines[path][number], test, count)
        for file, called in gained.functions.items():
            if path := self.path(file):
                for function, count in called.items():
                    _count(self.functions[path].setdefault(function, _LineTally()), test, count)

    def add_branches(self, counts: gcov.Counts) -> None:
        """Add how often the ways out of each line were taken in one guest, from first to last."""
        for file, own in counts.branches.items():
            path = self.path(file)
            for number, ways in own.items() if path else ():
                line = self.lines[path].get(number)
                if line is not None:
                    known = line.branches if len(line.branches) == len(ways) else (0,) * len(ways)
                    line.branches = tuple(a + b for a, b in zip(known, ways, strict=True))

    def path(self, file: str) -> str:
        """Return the series' name of a file that the compiler names by its whole path, or ""."""
        if file not in self._paths:
            paths = [path for path in self.wanted if file.endswith(f"/{path}")]
            self._paths[file] = max(paths, key=len, default="")
        return self._paths[file]

    def _source(
        self, name: str, path: str, counted: Mapping[int, int]
    ) -> Mapping[int, tuple[int, int]]:
        """Return the lines whose counters tell for each wanted line, in one object.

        A statement has counters in some of its lines only.  Of a statement that only leaves, and
        has none, it is what was counted before it less what was counted behind it; otherwise the
        second line is 0.
        """
        if (name, path) not in self._sources:
            spans, leaving = self._statements(path)
            numbers = sorted(counted)

            def counter(number: int) -> int:
                if number in counted or number not in spans:
                    return number if number in counted else 0
                first, last = spans[number]
                inside = numbers[bisect.bisect_left(numbers, first) :]
                inside = inside[: bisect.bisect_right(inside, last)]
                before = [other for other in inside if other < number]
                return before[-1] if before else next(iter(inside), 0)

            found: dict[int, tuple[int, int]] = {}
            for number in self.wanted[path]:
                own, pair = counter(number), leaving.get(number, (0, 0))
                before, behind = map(counter, pair)
                if own:
                    found[number] = (own, 0)
                elif before and behind:
                    found[number] = (before, behind)
            self._sources[name, path] = found
        return self._sources[name, path]

    def _statements(self, path: str) -> tuple[_Spans, _Spans]:
        """Return the statements around lines, and the lines around those that only leave."""
        if path not in self._spans:
            text = self._text(path)
            leaving = build.leaving(text, self.wanted[path])
            lines = {*self.wanted[path], *(n for pair in leaving.values() for n in pair)}
            self._spans[path] = (build.statements(text, lines), leaving)
        return self._spans[path]

    def _text(self, path: str) -> str:
        if path not in self._texts:
            argv = ("show", f"{self.tip.commit}:{path}")
            self._texts[path] = git.run(self.tip.path, *argv).stdout
        return self._texts[path]

    def coverage(self) -> Coverage:
        """Return the result; lines that follow each other with equal counts are joined."""
        files = []
        for path, lines in self.lines.items():
            functions = tuple(
                FunctionCount(*function, tuple(sorted(tally.tests.items())), tally.boot)
                for function, tally in sorted(self.functions[path].items(), key=lambda i: i[0][1:])
            )
            if not lines and not functions:
                continue
            places = self._places(path, functions)
            counts = (tally.count(number, places) for number, tally in sorted(lines.items()))
            files.append(FileCoverage(path, tuple(_joined(counts)), functions))
        return Coverage(self.tip.commit, tuple(self.tests), tuple(files))

    def _places(self, path: str, functions: Sequence[FunctionCount]) -> Mapping[int, str]:
        """Return where each line of a file is."""
        failing = build.error_paths(self._text(path), self.lines[path])
        found = {}
        for function in functions:
            for number in range(function.first, function.last + 1):
                prefix = "an error path of " if number in failing else ""
                found[number] = f"{prefix}{function.name}()"
        return found


def _gained(now: Mapping[_Counted, int], before: Mapping[_Counted, int]) -> Mapping[_Counted, int]:
    """Return by how much counts grew; all of it if they were reset in between."""
    if any(now.get(key, 0) < count for key, count in before.items()):
        return now
    return {key: count - before.get(key, 0) for key, count in now.items()}


def _count(tally: _LineTally, test: int | None, times: int) -> None:
    if times <= 0:
        return
    if test is None:
        tally.boot += times
    else:
        tally.tests[test] += times


def _joined(counts: Iterable[LineCount]) -> Iterator[LineCount]:
    current: LineCount | None = None
    for count in counts:
        if current and count == dataclasses.replace(
            current, first=count.first, last=current.last + 1
        ):
            current = dataclasses.replace(current, last=count.last)
            continue
        if current:
            yield current
        current = count
    if current:
        yield current


def with_counts(lines: SeriesLines, coverage: Coverage, tip: Checkout) -> SeriesLines:
    """Return the lines with how many tests executed each, and which patch wrote it."""
    return SeriesLines(
        tuple(
            dataclasses.replace(file, lines=tuple(_with_count(file, coverage, tip)))
            for file in lines.files
        )
    )


def _with_count(file: ChangedFile, coverage: Coverage, tip: Checkout) -> Iterator[ChangedLine]:
    counted = coverage.file(file.path)
    counts = {
        number: count
        for count in (counted.lines if counted else ())
        for number in range(count.first, count.last + 1)
    }
    written = _written(file.path, tip) if file.of(LineState.COMPILED) else {}
    for line in file.lines:
        patch, patch_line = written.get(line.number, (0, 0))
        line = dataclasses.replace(line, patch=patch, patch_line=patch_line)
        if line.state is not LineState.COMPILED:
            yield line
        elif (count := counts.get(line.number)) is None:
            yield dataclasses.replace(line, why=_uncounted(file.path, counted))
        else:
            yield dataclasses.replace(
                line,
                tests=len(count.tests),
                boot=count.boot > 0,
                ways=len(count.branches),
                untaken=count.branches.count(0),
                why="" if count.times else count.place,
            )


def _uncounted(path: str, counted: FileCoverage | None) -> str:
    """Return why a compiled line has no counter."""
    if counted is not None:
        return "it has no code of its own: data, or merged with other code by the compiler"
    if path.endswith(".S"):
        return "assembly has no counters"
    if path.endswith(".h"):
        return "no object with counters has code of this file"
    return "its counters never appeared; it may be a module that was not loaded"


def _written(path: str, tip: Checkout) -> Mapping[int, tuple[int, int]]:
    """Return the number of the patch that wrote each line of a file, and the line's number there.

    Lines that no patch of the series wrote are left out.
    """
    if not tip.patches:
        return {}
    numbers = {commit: number for number, (commit, _) in enumerate(tip.patches, 1)}
    since = f"{tip.patches[0][0]}^..{tip.commit}"
    blamed = git.run(tip.path, "blame", "--porcelain", since, "--", path, check=False).stdout
    return {
        int(final): (numbers[commit], int(own))
        for commit, own, final in _BLAMED.findall(blamed)
        if commit in numbers
    }
