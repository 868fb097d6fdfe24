# SPDX-License-Identifier: GPL-2.0-only
"""From counters to executed lines, with the real compiler, gcov and make."""

from __future__ import annotations

import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import faketree
import pytest

from harness import diff, gcov
from harness.build import counters, line_kinds
from harness.gcov import gcno
from harness.gcov.reader import Reader
from harness.lab import coverage
from harness.model import (
    ChangedFile,
    ChangedLine,
    Checkout,
    Coverage,
    Kernel,
    LineState,
    SeriesLines,
    Toolchain,
)
from harness.results.counters import CounterLog

GCC = Toolchain("x86_64", "gcc", "12")
SOURCE = """\
int shared(int a);

static int twice(int a)
{
	return a * 2;
}

int main(int argc, char **argv)
{
	int found =
		twice(argc);

	if (found > 4 &&
		argv)
		found = shared(found);
	return found == 77;
}
"""
HEADER = """\
static inline int never(int a)
{
	return a + 1;
}
"""
SHARED = '#include "in.h"\nint shared(int a)\n{\n\treturn a > 100 ? never(a) : a;\n}\n'


def _with_code(text: str) -> list[int]:
    numbers = range(1, text.count("\n") + 1)
    return sorted(set(numbers) - line_kinds.without_code(text, numbers, is_c=True).keys())


class Program:
    """A program that stands for a kernel: its objects have counters, each run for a test."""

    def __init__(self, folder: Path) -> None:
        self.tree, self.out = folder / "tree", folder / "out"
        self.trial = folder / "trial"
        self.trial.mkdir()
        self.out.mkdir()
        files = {"lib/a.c": SOURCE, "lib/in.h": HEADER, "lib/shared.c": SHARED}
        faketree.make(self.tree)
        self.commit = faketree.commit(self.tree, "lib: more", files)
        (self.out / "lib").mkdir()
        for name in ("a", "shared"):
            argv = ["gcc", "--coverage", "-c", "-o", f"lib/{name}.o", f"{self.tree}/lib/{name}.c"]
            subprocess.run(argv, cwd=self.out, check=True)
        argv = ["gcc", "--coverage", "-o", "program", "lib/a.o", "lib/shared.o"]
        subprocess.run(argv, cwd=self.out, check=True)
        self.notes = counters.notes(self.out, ("lib/a.o", "lib/shared.o", "lib/gone.o"))
        self.names = [
            str(file.relative_to(self.notes).with_suffix(".gcda"))
            for file in self.notes.rglob("*.gcno")
        ]
        self.log = CounterLog(self.trial, self.names)

    def run(self, guest: str, test: str, *arguments: str) -> None:
        """Run the program as a test; its counters grow like those of a kernel that stays up."""
        subprocess.run([self.out / "program", *arguments], check=True)
        self.read(guest, test)

    def read(self, guest: str, test: str) -> None:
        files = {name: zlib.compress(Path("/", name).read_bytes()) for name in self.names}
        self.log.add(guest, test, files)

    def restart(self) -> None:
        """Begin from zero, like another guest."""
        for name in self.names:
            Path("/", name).unlink()

    def coverage(self) -> Coverage:
        kernel = Kernel(
            key="k",
            folder=self.out,
            image=self.out,
            config=self.out,
            release="",
            commit="",
            arch="",
            notes=self.notes,
        )
        return coverage.collect(self.trial, kernel, self.tip, self.lines, GCC)

    @property
    def tip(self) -> Checkout:
        patches = ((self.commit, "lib: more"),)
        return Checkout(self.tree, self.commit, "tree", patches)

    @property
    def lines(self) -> SeriesLines:
        texts = {"lib/a.c": SOURCE, "lib/in.h": HEADER, "lib/shared.c": SHARED}
        return SeriesLines(
            tuple(
                ChangedFile(
                    path,
                    tuple(ChangedLine(number, LineState.COMPILED) for number in _with_code(text)),
                )
                for path, text in texts.items()
            )
        )


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def test_each_test_has_its_own_counts(program: Program) -> None:
    program.run("guest0", "")
    program.run("guest0", "t.py::one")
    program.run("guest0", "t.py::many", "x", "y")
    program.read("guest0", "t.py::nothing")
    program.restart()
    program.run("guest1", "", "x", "y")
    program.run("guest1", "t.py::one")
    program.run("guest1", "t.py::after", "x")
    found = program.coverage()
    assert found.tests == ("t.py::one", "t.py::many", "t.py::nothing", "t.py::after")
    # Twice in two guests, and before the first test in both.
    entry = {count.last: count for count in found.files[0].lines}
    assert found.tests_of("lib/a.c", 5, 5) == ("t.py::one", "t.py::many", "t.py::after")
    assert entry[5].tests[0] == (0, 2)
    assert entry[5].boot == 2
    assert found.tests_of("lib/a.c", 15, 15) == ("t.py::many",)
    # Only the first line of the statement has a counter.
    assert found.tests_of("lib/a.c", 10, 10) == found.tests_of("lib/a.c", 11, 11)
    assert found.tests_of("lib/shared.c", 4, 4) == ("t.py::many",)
    assert found.tests_of("lib/in.h", 3, 3) == ()
    functions = [function for file in found.files for function in file.functions]
    assert {function.name: function.boot for function in functions} == {
        "main": 2,
        "twice": 2,
        "shared": 1,
        "never": 0,
    }
    assert [f.times for f in functions if f.name == "main"] == [6]
    lines = coverage.with_counts(program.lines, found, program.tip)
    never = [line.number for line in lines.files[1].lines if line.executed is False]
    assert never == [1, 3]
    assert {line.why for line in lines.files[1].lines} == {"never()"}
    assert all((line.patch, line.patch_line) == (1, line.number) for line in lines.files[0].lines)
    assert [line.number for line in lines.files[0].lines if line.untaken] == [13]


def test_counters_that_a_test_resets_are_no_fault(program: Program) -> None:
    program.run("guest0", "", "x", "y")
    program.restart()
    program.run("guest0", "t.py::one")
    found = program.coverage()
    assert found.tests_of("lib/a.c", 5, 5) == ("t.py::one",)
    assert found.tests_of("lib/a.c", 15, 15) == ()


def test_what_gcov_cannot_read_counts_as_nothing(program: Program) -> None:
    program.run("guest0", "")
    good = [(program.notes / n, Path("/", n).read_bytes()) for n in sorted(program.names)]
    notes = [(path.with_suffix(".gcno"), content) for path, content in good]
    wrong = [(notes[0][0], b"nonsense"), notes[0], (notes[1][0], notes[0][1]), (notes[0][0], b"")]
    found = list(gcov.counts("gcov", wrong))
    assert [counts is None for counts in found] == [True, False, True, True]


def test_the_objects_of_a_series(tmp_path: Path) -> None:
    faketree.make(tmp_path / "tree")
    tree = tmp_path / "tree"
    files = {
        "fs/own.c": '#include "own.h"\n#include "../up/up.h"\nint own;\n',
        "fs/own.h": HEADER,
        "up/up.h": HEADER,
        "include/linux/wide.h": "static inline int wide(void)\n{\n\treturn 1;\n}\n",
        "include/linux/plain.h": "int plain(void);\n",
        "lib/user.c": "#include <linux/wide.h>\n#include <linux/plain.h>\n",
        "Documentation/x.c": "int document;\n",
        "arch/arm/kernel/a.c": "int other;\n",
        "lib/asm.S": "\tnop\n",
    }
    base = faketree.commit(tree, "user", {"lib/user.c": files.pop("lib/user.c")})
    commit = faketree.commit(tree, "series", files)
    changed = diff.parse(faketree.git(tree, "diff", "--unified=0", base, commit) + "\n")
    tip = Checkout(tree, commit, "tree")
    assert counters.counted_objects(tip, changed, "x86") == ("fs/own.o", "lib/user.o")


MAKEFILE = """\
_c = $(if $(patsubst n%,,$(GCOV_PROFILE_$(*F).o)$(GCOV_PROFILE)$(CONFIG_GCOV_PROFILE_ALL)),with)
one/a.o one/b.o two/a.o one/barred.o: %.o: FORCE
\t@echo "$@: $(_c)"
all: ; @$(MAKE) -f $(firstword $(MAKEFILE_LIST)) one/a.o one/b.o two/a.o one/barred.o
FORCE:
.PHONY: FORCE all
GCOV_PROFILE_barred.o := n
"""


def test_make_gives_counters_to_exactly_these_objects(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    words = counters.make_words(("one/a.o", "one/barred.o"))
    argv = ["make", "--no-print-directory", "-f", "Makefile", "all", *words]
    said = subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert said.splitlines() == ["one/a.o: with", "one/b.o: ", "two/a.o: ", "one/barred.o: "]


LOOPS = """\
static int sum(int first, int most)
{
	int item, total = 0;

	for (item = first; item < 8; item++)
		total += item;
	for (item = first; item < 8; item++) {
		if (item == 3 ||
			item == 5)
			continue;
		switch (item) {
		case 1:
			total++;
			break;
		case 2:
			goto out;
		}
		if (total > most)
			break;
	}
	while (total > most)
		total -= most;
out:
	return total;
}

int main(int argc, char **argv)
{
	return sum(argc, argc > 2 ? 2 : 9) < 0 ? 1 : 0;
}
"""
ONE_LINE = (
    "int main(int argc, char **argv) {\n\tfor (; argc < 9; argc++) if (argc == 5) argv++;\n}\n"
)


def _counted(folder: Path, text: str, *words: str) -> Iterator[tuple[Path, bytes, gcov.Counts]]:
    """Compile a program and run it with more and more arguments; yield what gcov counts."""
    (folder / "a.c").write_text(text)
    subprocess.run(["gcc", "--coverage", "-o", "a", "a.c", *words], cwd=folder, check=True)
    (notes,) = folder.glob("*.gcno")
    for arguments in ([], ["x"], ["x", "y"]):
        subprocess.run([folder / "a", *arguments], check=True)
        content = notes.with_suffix(".gcda").read_bytes()
        (expected,) = gcov.counts(gcov.program(GCC), [(notes, content)])
        assert expected is not None
        yield notes, content, expected


class AnyFile:
    """Stands for a tally to which every file belongs."""

    def path(self, file: str) -> str:
        return file


@pytest.mark.parametrize("word", ["-O0", "-O2"])
def test_counters_are_added_up_as_gcov_does(word: str, tmp_path: Path) -> None:
    for notes, content, expected in _counted(tmp_path, LOOPS, word):
        found = Reader(AnyFile(), notes).counts(content)
        assert found is not None
        assert (found.lines, found.functions) == (expected.lines, expected.functions)
        assert sum(expected.lines["a.c"].values()) > 10


def test_what_is_no_sum_is_left_to_gcov(tmp_path: Path) -> None:
    (*_, (notes, content, expected)) = _counted(tmp_path, ONE_LINE)
    reader = Reader(AnyFile(), notes)
    assert reader.right
    reader.check(content, expected)
    assert not reader.right


@pytest.mark.parametrize("damage", [b"", b"x", b"oncg", b"oncg*10B" + bytes(99)])
def test_notes_that_cannot_be_read_are_left_to_gcov(damage: bytes, tmp_path: Path) -> None:
    ((notes, _, _), *_) = _counted(tmp_path, LOOPS)
    notes.write_bytes(damage)
    assert not Reader(AnyFile(), notes).right


def test_gcov_would_find_the_same(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    program.run("guest0", "")
    program.run("guest0", "t.py::one", "x")
    program.restart()
    program.run("guest1", "t.py::two", *"abcdefgh")
    found = program.coverage()

    def unreadable(_: bytes) -> gcno.Formulas:
        raise gcno.UnreadableError

    monkeypatch.setattr(gcno, "formulas", unreadable)
    assert program.coverage() == found
