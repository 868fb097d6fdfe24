# SPDX-License-Identifier: GPL-2.0-only
"""``--coverage`` on real kernels: planted lines, which tests execute them, and a panic among these.

The lines depend on the length of a name that is looked up in configfs.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest
from conftest import KCONFIG, Job, harness

from harness import git, source
from harness.model import Coverage
from harness.progress import Progress
from harness.results import journal, store

pytestmark = pytest.mark.nightly  # two links of a whole kernel

FILE = "fs/configfs/dir.c"
AFTER = "\t\treturn ERR_PTR(-ENAMETOOLONG);\n\n\t/*\n\t * Fake invisibility if dir"
ADDED = """\
	if (dentry->d_name.len == 7)
		return ERR_PTR(-EINVAL);
	if (dentry->d_name.len == 9)
		return ERR_PTR(-EIO);
"""
SUITE = """\
# SPDX-License-Identifier: GPL-2.0-only
import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "configfs", "none", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def look_up(path: Path) -> int:
    try:
        path.stat()
    except OSError as error:
        return error.errno or 0
    return 0


def test_nothing() -> None:
    pass


def test_four(place: Path) -> None:
    assert look_up(place / "four") == errno.ENOENT


def test_seven(place: Path) -> None:
    assert [look_up(place / name) for name in ("7_chars", "seven77")] == [errno.EINVAL] * 2


def test_panic(place: Path) -> None:
    look_up(place / "four")
    Path("/proc/sys/kernel/sysrq").write_text("1")
    Path("/proc/sysrq-trigger").write_text("c")


def test_behind(place: Path) -> None:
    assert look_up(place / "four") == errno.ENOENT
"""


class Planted:
    """A series of four lines, its suite, and where they begin."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.series = folder, folder / "series.patch"
        release = source.release("7.2", Progress(quiet=True))
        self.text = git.run(release.repo, "show", f"{release.commit}:{FILE}").stdout
        head, _, _ = self.text.partition(AFTER)
        assert self.text.count(AFTER) == 1
        self.line = head.count("\n") + 3  # the first of those that are added
        (folder / "test_names.py").write_text(SUITE)
        self.write(ADDED)

    def write(self, added: str) -> None:
        first, rest = AFTER.split("\n\n", 1)
        new = self.text.replace(AFTER, f"{first}\n\n{added}\n{rest}")
        before, after = self.text.splitlines(keepends=True), new.splitlines(keepends=True)
        diff = "".join(difflib.unified_diff(before, after, f"a/{FILE}", f"b/{FILE}"))
        subject = "From: A <a@b.example>\nSubject: [PATCH] configfs: lengths of names"
        self.series.write_text(f"{subject}\n\nText.\n---\n{diff}--\n")

    def run(self, verb: str, name: str, *words: str) -> Job:
        return harness(
            *(verb, str(self.series), "--kernel", "7.2", *KCONFIG, "--json", *words),
            *("--suite", str(self.folder / "test_names.py"), "--guests", "1"),
            *("--out", str(self.folder / name), "--db", str(self.folder / "history.db")),
        )


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return Planted(tmp_path_factory.mktemp("coverage"))


@pytest.fixture(scope="module")
def counted(planted: Planted) -> dict[str, Any]:
    _, run, said = planted.run("run", "counted", "--patched-only", "--coverage")
    assert run, said
    return run


def names(tests: tuple[str, ...]) -> set[str]:
    return {test.partition("::")[2] for test in tests}


def read(planted: Planted) -> Coverage:
    found = store.load_coverage(planted.folder / "counted/patched")
    assert found is not None
    return found


@pytest.mark.usefixtures("counted")
def test_each_line_has_the_tests_that_execute_it(planted: Planted) -> None:
    found, line = read(planted), planted.line
    every = {"test_four", "test_seven", "test_behind"}
    assert names(found.tests_of(FILE, line, line)) == every
    assert names(found.tests_of(FILE, line + 1, line + 1)) == {"test_seven"}
    assert names(found.tests_of(FILE, line + 2, line + 2)) == every - {"test_seven"}
    assert names(found.tests_of(FILE, line + 3, line + 3)) == set()


@pytest.mark.usefixtures("counted")
def test_a_panic_loses_the_counts_of_its_test_only(planted: Planted) -> None:
    outcomes = {test.id: test.outcome for test in journal.read(planted.folder / "counted/patched")}
    assert {str(outcome) for id_, outcome in outcomes.items() if "panic" in id_} == {"crash"}
    assert names(read(planted).tests) == {"test_nothing", "test_four", "test_seven", "test_behind"}


def test_how_often_is_counted_too(planted: Planted, counted: dict[str, Any]) -> None:
    found = read(planted)
    file = found.file(FILE)
    assert file is not None
    (twice,) = (one for one in file.lines if one.first <= planted.line + 1 <= one.last)
    assert [times for _, times in twice.tests] == [2]
    (own,) = counted["lines"]["files"]
    tests = {one["number"]: one["tests"] for one in own["lines"]}
    assert [tests[planted.line + n] for n in range(4)] == [3, 1, 2, 0]


@pytest.mark.usefixtures("counted")
def test_only_what_a_new_revision_affects_is_run(planted: Planted) -> None:
    planted.write(ADDED.replace("EINVAL", "EINVAL + 0").replace("== 9", "== 10"))
    try:
        _, run, said = planted.run("run", "affected", "--patched-only", "--only-affected")
    finally:
        planted.write(ADDED)
    assert run, said
    tests = sorted(journal.read(planted.folder / "affected/patched"), key=lambda test: test.began)
    assert "test_nothing" not in names(tuple(test.id for test in tests))
    assert names(tuple(test.id for test in tests)) == {"test_four", "test_seven", "test_behind"}


@pytest.mark.usefixtures("counted")
def test_check_counts_its_last_patch(planted: Planted) -> None:
    words = ("--coverage", "--only", "tests", "-k", "not panic")
    _, matrix, said = planted.run("check", "checked", *words)
    assert matrix, said
    (own,) = matrix["lines"]["files"]
    tests = {one["number"]: one["tests"] for one in own["lines"]}
    assert [tests[planted.line + n] for n in range(4)] == [3, 1, 2, 0]
