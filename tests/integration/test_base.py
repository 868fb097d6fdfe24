# SPDX-License-Identifier: GPL-2.0-only
"""The base of a series: the one it names, the one its files show, and where it would apply."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import smalltree

from harness import git, series, tree
from harness.errors import NotApplied
from harness.lab import kernels
from harness.model import Plan, Series, Source
from harness.progress import Progress
from harness.tree import base

QUIET = Progress(quiet=True)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return smalltree.kernel(tmp_path / "linux")


def change(path: Path, file: str, line: int, word: str) -> str:
    """Change a line of a file; returns the commit."""
    smalltree.replace(path, file, f"line {line}\n", f"line {word}\n")
    return smalltree.commit(path, f"{file}: {word}")


def made(path: Path, out: Path, *options: str) -> Series:
    """Make a series of the last commit, and reset the branch."""
    words = ("format-patch", "--quiet", "-1", "-o", out)
    git.run(path, *words, *options, env=smalltree.PERSON)
    git.run(path, "reset", "--quiet", "--hard", "HEAD^")
    return series.load(out)


def test_head_is_used_where_the_files_match(kernel: Path, tmp_path: Path) -> None:
    change(kernel, "fs/x.c", 5, "five")
    got = base.choose(kernel, made(kernel, tmp_path / "s"))
    assert (got.name, got.whole) == ("HEAD", True)


def test_the_newest_commit_with_the_files(kernel: Path, tmp_path: Path) -> None:
    change(kernel, "fs/x.c", 5, "five")
    change(kernel, "fs/x.c", 9, "nine")
    got = made(kernel, tmp_path / "s")
    smalltree.write(kernel, "fs/other.c", "1\n")
    good = smalltree.commit(kernel, "fs: other")
    change(kernel, "fs/x.c", 9, "no")
    found = base.choose(kernel, got)
    assert found.commit == good
    assert "(certain): 1 of the 1 files" in str(found)


def test_a_commit_on_a_branch(kernel: Path, tmp_path: Path) -> None:
    git.run(kernel, "checkout", "--quiet", "-b", "topic")
    tip = change(kernel, "fs/x.c", 5, "topic")
    change(kernel, "fs/x.c", 9, "nine")
    got = made(kernel, tmp_path / "s")
    git.run(kernel, "checkout", "--quiet", "main")
    assert base.choose(kernel, got).commit == tip


def test_fewest_mismatches(kernel: Path, tmp_path: Path) -> None:
    change(kernel, "fs/x.c", 5, "five")
    half = git.line(kernel, "rev-parse", "HEAD")
    smalltree.replace(kernel, "fs/y.c", "line 3\n", "lost\n")
    smalltree.commit(kernel, "fs: never published")
    for name in ("fs/x.c", "fs/y.c"):
        smalltree.replace(kernel, name, "line 9\n", "line nine\n")
    smalltree.write(kernel, "fs/new.c", "1\n")
    smalltree.commit(kernel, "fs: all of it")
    got = made(kernel, tmp_path / "s")
    git.run(kernel, "reset", "--quiet", "--hard", half)
    change(kernel, "fs/x.c", 20, "later")
    found = base.choose(kernel, got)
    assert found.commit == half
    assert "(likely): 2 of the 3 files" in str(found)


def test_the_base_that_the_series_names(kernel: Path, tmp_path: Path) -> None:
    change(kernel, "fs/x.c", 5, "five")
    got = made(kernel, tmp_path / "s", "--base=v7.2.13")
    change(kernel, "fs/x.c", 5, "no")
    found = base.choose(kernel, got)
    assert found.commit == git.line(kernel, "rev-parse", "v7.2.13")
    assert "named by the series" in str(found)


def test_a_named_base_that_is_missing(kernel: Path, tmp_path: Path) -> None:
    change(kernel, "fs/x.c", 5, "five")
    made(kernel, tmp_path / "s")
    (mail,) = (tmp_path / "s").iterdir()
    mail.write_text(mail.read_text().replace("\n-- \n", f"\nbase-commit: {'12' * 20}\n-- \n"))
    found = base.choose(kernel, series.load(tmp_path / "s"))
    assert found.name == "HEAD"
    assert "not in this tree" in str(found)


def test_prerequisites(kernel: Path, tmp_path: Path) -> None:
    start = git.line(kernel, "rev-parse", "HEAD")
    git.run(kernel, "checkout", "--quiet", "-b", "topic")
    change(kernel, "fs/y.c", 5, "before")
    before = change(kernel, "fs/y.c", 9, "before too")
    change(kernel, "fs/x.c", 5, "five")
    got = made(kernel, tmp_path / "s", f"--base={start}")
    assert len(got.prerequisites) == 2
    git.run(kernel, "checkout", "--quiet", "main")
    found = base.choose(kernel, got)
    assert found.commit == before
    assert "2 prerequisite patches" in str(found)
    git.run(kernel, "branch", "--quiet", "-D", "topic")
    assert "2 of them are not in this tree" in str(base.choose(kernel, got))


def test_prerequisites_in_files_that_are_not_utf8(kernel: Path, tmp_path: Path) -> None:
    (kernel / "fs/l.c").write_bytes(b"gr\xfc\xdfe\n" * 3)
    smalltree.commit(kernel, "fs: latin")
    start = git.line(kernel, "rev-parse", "HEAD")
    git.run(kernel, "checkout", "--quiet", "-b", "topic")
    (kernel / "fs/l.c").write_bytes(b"gr\xfc\xdfe\n" * 2 + b"t\xfcr\n")
    before = smalltree.commit(kernel, "fs: latin too")
    change(kernel, "fs/x.c", 5, "five")
    got = made(kernel, tmp_path / "s", f"--base={start}")
    git.run(kernel, "checkout", "--quiet", "main")
    assert base.choose(kernel, got).commit == before


def test_the_hint_names_where_the_series_applies(kernel: Path, tmp_path: Path) -> None:
    change(kernel, "fs/x.c", 5, "five")
    got = made(kernel, tmp_path / "s")
    smalltree.replace(kernel, "fs/x.c", "line 6\n", "line is rewritten\n")
    smalltree.commit(kernel, "fs: in the way")
    smalltree.replace(kernel, "fs/x.c", "line 5\n", "line is gone\n")
    tip = smalltree.commit(kernel, "fs: more in the way")
    with tree.slot(Source(kernel, tip, "main"), QUIET) as slot, pytest.raises(NotApplied) as caught:
        slot.patched(got)
    assert "hunk 1 of 1" in caught.value.what
    assert caught.value.hint == "it applies to v7.2.13: try --base v7.2.13"


@pytest.mark.parametrize("lost", [("index ",), ("index ", "diff --git ")])
def test_mails_without_ids_of_files(kernel: Path, tmp_path: Path, lost: tuple[str, ...]) -> None:
    """Mails of quilt and diff are like that; the files' history shows where they apply."""
    smalltree.replace(kernel, "fs/x.c", "line 7\n", "a line that goes away\n")
    start = smalltree.commit(kernel, "fs: before")
    change(kernel, "fs/x.c", 5, "five")
    made(kernel, tmp_path / "s")
    (mail,) = (tmp_path / "s").iterdir()
    lines = mail.read_text().splitlines(keepends=True)
    mail.write_text("".join(line for line in lines if not line.startswith(lost)))
    smalltree.replace(kernel, "fs/x.c", "a line that goes away\n", "another\n")
    smalltree.replace(kernel, "fs/x.c", "line 5\n", "line is gone\n")
    tip = smalltree.commit(kernel, "fs: in the way")
    got = series.load(tmp_path / "s")
    assert "have no blob ids (index lines)" in str(base.choose(kernel, got))
    with tree.slot(Source(kernel, tip, "main"), QUIET) as slot, pytest.raises(NotApplied) as caught:
        slot.patched(got)
    assert "fs/x.c, hunk 1 of 1" in caught.value.what
    assert git.line(kernel, "describe", "--tags", "--abbrev=12", start) in caught.value.hint
    assert "fs: in the way" in caught.value.because


def test_a_lost_base_and_the_one_found_are_both_shown(kernel: Path, tmp_path: Path) -> None:
    change(kernel, "fs/x.c", 5, "five")
    made(kernel, tmp_path / "s")
    change(kernel, "fs/x.c", 5, "no")
    (mail,) = (tmp_path / "s").iterdir()
    mail.write_text(mail.read_text().replace("\n-- \n", f"\nbase-commit: {'12' * 20}\n-- \n"))
    said = str(base.choose(kernel, series.load(tmp_path / "s")))
    assert "base v7.2.13 (certain): 1 of the 1" in said
    assert f"its base-commit {'12' * 20} is not in this tree" in said


def test_the_commit_that_changed_a_line(kernel: Path, tmp_path: Path) -> None:
    smalltree.replace(kernel, "fs/x.c", "line 5\n", "a line of some length\n")
    smalltree.commit(kernel, "fs: lengthen")
    smalltree.replace(kernel, "fs/x.c", "a line of some length\n", "short\n")
    smalltree.commit(kernel, "fs: shorten")
    got = made(kernel, tmp_path / "s")
    smalltree.replace(kernel, "fs/x.c", "a line of some length\n", "another line altogether\n")
    tip = smalltree.commit(kernel, "fs: in the way")
    with tree.slot(Source(kernel, tip, "main"), QUIET) as slot, pytest.raises(NotApplied) as caught:
        slot.patched(got)
    assert "removed by" in caught.value.details
    assert "fs: in the way" in caught.value.details


def test_a_run_finds_the_base(kernel: Path, tmp_path: Path) -> None:
    change(kernel, "fs/x.c", 9, "nine")
    got = made(kernel, tmp_path / "s")
    change(kernel, "fs/x.c", 9, "no")
    asked = Plan(tmp_path, got, "", kernel, "HEAD", (), (), (), search_base=True)
    start = git.line(kernel, "rev-parse", "v7.2.13")
    assert kernels.find_source(asked, QUIET).commit == start
    named = dataclasses.replace(asked, search_base=False)
    assert kernels.find_source(named, QUIET).commit != start


def test_files_of_a_series() -> None:
    mail = (
        b"diff --git a/fs/x.c b/fs/x.c\nindex 1234567..2222222 100644\n"
        b"diff --git a/fs/n.c b/fs/n.c\nnew file mode 100644\nindex 0000000..3333333\n"
        b"diff --git a/fs/old.c b/fs/moved.c\nsimilarity index 100%\nrename from fs/old.c\n"
    )
    mail += b"diff --git a/a b.c b/a b.c\nindex 7654321..2222222 100644\n"
    again = b"diff --git a/fs/x.c b/fs/x.c\nindex 2222222..4444444 100644\n"
    names = {"fs/x.c": "1234567", "fs/n.c": "", "a b.c": "7654321"}
    assert base.expected([mail, again]) == names
    assert base.expected([b"--- a/fs/x.c\n+++ b/fs/x.c\n"]) == {}
