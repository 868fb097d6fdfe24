# SPDX-License-Identifier: GPL-2.0-only
"""Find out which of the lines that a series adds were compiled, from what the compiler says.

Each object's recorded command is run again, only to preprocess: the compiler keeps the lines that
it would compile, with markers of file and line.  Nothing is concluded from reading ``#if``.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from harness import architectures, kbuild, process
from harness.build import line_kinds, make_records
from harness.diff import FileDiff
from harness.model import ChangedFile, ChangedLine, Checkout, LineState, SeriesLines, Toolchain

_MARKER = re.compile(r'^#(?:line)? (\d+) "((?:[^"\\]|\\.)*)"')
_SOURCE = re.compile(rb"^source_\S+ := (\S+)$", re.MULTILINE)
_COMMAND = re.compile(r"^(?:saved)?cmd_\S+ := (.*)$", re.MULTILINE)
_MOST_OBJECTS = 12  # that are preprocessed to find lines of one header
_TIME_LIMIT = 120.0  # seconds for one file; it takes a fraction of one
_DROPPED = re.compile(r"-c$|-M(?:MD|D|P)$|-Wp,-M|-fplugin")
_KEEPS_LINES = "-fdirectives-only"


@dataclasses.dataclass(frozen=True)
class ObjectRecord:
    """An object of the kernel: its recorded command, its source, and the record's text."""

    name: str
    source: str
    record: bytes

    @property
    def script(self) -> str:
        """The shell's commands: the compiler, and what make runs after it."""
        match = _COMMAND.search(self.record.decode(errors="replace"))
        return match[1].replace("$$", "$").replace(r"\#", "#") if match else ""

    @property
    def command(self) -> list[str]:
        """The compiler's words, without what make runs after it."""
        words = shlex.split(self.script)
        ends = [at for at, word in enumerate(words) if word in (";", "&&") or word.endswith(";")]
        return words[: ends[0]] if ends else words


def series_lines(
    checkout: Checkout, out: Path, toolchain: Toolchain, changed: Sequence[FileDiff]
) -> SeriesLines:
    """Return the lines that ``changed`` adds to the checkout, and whether they were compiled.

    The checkout's files must be in its worktree, and ``out`` must hold its build.
    """
    finder = _Finder(checkout, out, toolchain)
    added = {file.path: frozenset(file.added_numbers) for file in changed if file.new}
    for path, lines in added.items():
        if path.endswith(kbuild.SOURCES) and not kbuild.outside_image(path, finder.folder):
            finder.read(path, lines)
    finder.preprocess()
    return SeriesLines(tuple(finder.file(file, added.get(file.path, ())) for file in changed))


def mark(top: Path, path: str) -> bytes:
    """Return how make's records name a file of the worktree ``top``, to search for it."""
    return os.fsencode(f" {top}/{path}")


def object_records(
    top: Path, out: Path, toolchain: Toolchain, marks: Iterable[bytes]
) -> Iterator[ObjectRecord]:
    """Yield the objects of the kernel in ``out`` that were compiled from files with these marks."""
    marks = tuple(marks)
    modules = (out / "modules.order").exists()
    linked = make_records.object_names(out, toolchain, modules=modules)
    arch = f"arch/{architectures.named(toolchain.arch).folder}/"
    for file in sorted(out.rglob(".*.o.cmd")) if marks else ():
        name = str(file.relative_to(out).with_name(file.name[1:-4]))
        # The records of an earlier configuration stay; parts of arch/ are linked separately.
        if name not in linked and not name.startswith(arch):
            continue
        record = file.read_bytes()
        source = _SOURCE.search(record)
        if source and any(mark in record for mark in marks):
            yield ObjectRecord(name, _relative(top, out, os.fsdecode(source[1])), record)


def _relative(top: Path, out: Path, name: str) -> str:
    path = os.path.normpath(out / name)
    return os.path.relpath(path, top) if path.startswith(f"{top}/") else path


class _Finder:
    def __init__(self, checkout: Checkout, out: Path, toolchain: Toolchain) -> None:
        self.top, self.out, self.toolchain = checkout.path, out, toolchain
        self.folder = architectures.named(toolchain.arch).folder
        self.texts: dict[str, str] = {}
        self.plain: dict[str, dict[int, str]] = {}  # what lines without code are instead, by file
        self.code: dict[str, frozenset[int]] = {}  # the other lines
        self.kept: dict[str, set[int]] = {}  # lines that the preprocessor kept, by file
        self.built: set[str] = set()  # changed files that are part of some object

    def read(self, path: str, added: frozenset[int]) -> None:
        """Read a changed file; only its lines with code are searched for."""
        text = (self.top / path).read_text(errors="replace") if added else ""
        plain = line_kinds.without_code(text, added, is_c=not path.endswith(".S"))
        self.texts[path], self.plain[path] = text, plain
        self.code[path] = added - plain.keys()

    def preprocess(self) -> None:
        """Preprocess objects of the changed files until all lines are found, or no more."""
        wanted = {path: lines for path, lines in self.code.items() if lines}
        marks = {path: self._mark(path) for path in wanted}
        records = list(self._records(marks.values()))
        tried: dict[str, int] = dict.fromkeys(wanted, 0)
        # Sources first: they include most of the headers that changed with them.
        for path in sorted(wanted, key=lambda name: name.endswith(".h")):
            for record in records:
                if record.source != path and marks[path] not in record.record:
                    continue
                self.built.add(path)
                if tried[path] >= _MOST_OBJECTS or wanted[path] <= self.kept.get(path, set()):
                    break
                tried[path] += 1
                self._keep_lines(record, wanted)

    def _mark(self, path: str) -> bytes:
        return mark(self.top, path)

    def _records(self, marks: Iterable[bytes]) -> Iterator[ObjectRecord]:
        return object_records(self.top, self.out, self.toolchain, marks)

    def _relative(self, name: str) -> str:
        return _relative(self.top, self.out, name)

    def _keep_lines(self, record: ObjectRecord, wanted: Collection[str]) -> None:
        """Preprocess an object, and remember which lines of the wanted files are left."""
        words = [word for word in record.command if not _DROPPED.match(word)]
        if "-o" in words:
            at = words.index("-o")
            del words[at : at + 2]
        if not words:
            return
        keeps = [] if self.toolchain.llvm else [_KEEPS_LINES]
        argv = [*words, "-w", "-E", *keeps, "-o", "-"]
        env = kbuild.environment()
        done = process.run(argv, cwd=self.out, env=env, timeout=_TIME_LIMIT, check=False)
        path, number = "", 0
        for line in done.stdout.split("\n") if done.ok else ():
            if line.startswith("#") and (match := _MARKER.match(line)):
                path, number = self._relative(match[2]), int(match[1])
                continue
            if path in wanted and line and not line.isspace():
                self.kept.setdefault(path, set()).add(number)
            number += 1

    def file(self, diff: FileDiff, added: Collection[int]) -> ChangedFile:
        """Return a changed file with the state of its added lines."""
        path = diff.path
        outside = kbuild.outside_image(path, self.folder)
        if outside:
            document = outside.startswith("a ")
            state = LineState.NO_CODE if document else LineState.NOT_COMPILED
            return _all(path, added, state, outside, in_kernel=False)
        if kbuild.KCONFIG.match(path) or kbuild.MAKE.match(path):
            return _all(path, added, LineState.NO_CODE, "a build rule or Kconfig text")
        if path.endswith(".rs"):
            return _all(path, added, LineState.NOT_COMPILED, "Rust is not examined")
        if not path.endswith(kbuild.SOURCES):
            return _all(path, added, LineState.NO_CODE, "neither C nor assembly")
        return ChangedFile(path, tuple(self._lines(path, added)))

    def _lines(self, path: str, added: Collection[int]) -> Iterator[ChangedLine]:
        text, plain = self.texts.get(path, ""), self.plain.get(path, {})
        conditions = line_kinds.conditions(text, added)
        kept = self._with_continued(text, self.kept.get(path, set()))
        for number in sorted(added):
            if number in plain:
                yield ChangedLine(number, LineState.NO_CODE, plain[number])
            elif number in kept:
                yield ChangedLine(number, LineState.COMPILED)
            elif path not in self.built:
                what = "no file that is built includes it" if path.endswith(".h") else "not built"
                yield ChangedLine(number, LineState.NOT_COMPILED, what)
            else:
                why = conditions.get(number) or "left out by the preprocessor"
                yield ChangedLine(number, LineState.NOT_COMPILED, why)

    @staticmethod
    def _with_continued(text: str, kept: set[int]) -> set[int]:
        """Add the lines that a backslash joins to a line that was kept."""
        rows = text.split("\n")
        for number, row in enumerate(rows, 1):
            if number in kept and row.endswith("\\"):
                kept.add(number + 1)
        return kept


def _all(
    path: str, added: Collection[int], state: LineState, why: str, *, in_kernel: bool = True
) -> ChangedFile:
    lines = tuple(ChangedLine(number, state, why) for number in sorted(added))
    return ChangedFile(path, lines, in_kernel)
