# SPDX-License-Identifier: GPL-2.0-only
"""Slots: their commits, their messages when a patch does not apply, and what they leave alone."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import smalltree

from harness import git, process, series, tree
from harness.errors import HarnessError, HostFault, NotApplied, SeriesError
from harness.model import Checkout, Series, Source
from harness.progress import Progress

QUIET = Progress(quiet=True)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's tree with everything that could be harmed; afterwards, nothing must have changed."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cäche with spaces"))
    path = smalltree.kernel(tmp_path / "my kërnel tree")
    smalltree.write(path, "fs/y.c", "stashed\n")
    git.run(path, "stash", env=smalltree.PERSON)
    smalltree.write(path, "fs/x.c", "staged\n")
    git.run(path, "add", "fs/x.c")
    smalltree.write(path, "fs/x.c", "dirty\n")
    smalltree.write(path, "untracked", "mine\n")
    hook = path / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\ntouch ran-a-hook\n")
    hook.chmod(0o755)
    git.run(path, "worktree", "add", "--quiet", tmp_path / "linked")
    before = smalltree.state(path)
    yield path
    assert smalltree.state(path) == before


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Another clone of the same kernel, to make series in."""
    return smalltree.kernel(tmp_path / "made")


def source(path: Path, commit: str = "v7.2.13") -> Source:
    return Source(path, git.line(path, "rev-parse", f"{commit}^{{commit}}"), commit)


def homes(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cäche with spaces" / "trees").iterdir())


def refused(kernel: Path, folder: Path, kind: type[HarnessError] = NotApplied) -> HarnessError:
    """Apply a series that fails; nothing may be left, and a good series must apply afterwards."""
    with tree.slot(source(kernel), QUIET) as slot:
        with pytest.raises(kind) as caught:
            slot.patched(series.load(folder))
        assert not (slot.path / ".git" / "worktrees").exists()
        assert sorted(path.name for path in slot.path.parent.iterdir()) == ["linux", "lock"]
        assert git.line(slot.path, "for-each-ref") == ""
    assert caught.value.hint
    return caught.value


def test_apply_and_check_out(kernel: Path, made: Path, tmp_path: Path) -> None:
    got = series.load(smalltree.three(made, tmp_path / "series"))
    with tree.slot(source(kernel), QUIET) as slot:
        base = slot.base()
        assert base.commit == git.line(kernel, "rev-parse", "v7.2.13")
        assert base.tree == git.line(kernel, "rev-parse", "v7.2.13^{tree}")
        assert base.patches == ()
        patched = slot.patched(got)
        assert [subject for _, subject in patched.patches] == [
            "fs: first", "fs: second", "fs: third",
        ]  # fmt: skip
        assert patched.patches[-1][0] == patched.commit
        assert not (slot.path / "Makefile").exists()  # applying needs no checkout
        slot.check_out(base)
        assert (slot.path / "fs/x.c").read_text() == smalltree.LINES
        slot.check_out(patched)
        moves = [move[:2] for move in git.moves(slot.path)]
        assert moves[-1] == (base.commit, patched.commit), "make's records are compared with it"
        assert "line 5.0\n" in (slot.path / "fs/x.c").read_text()
        assert (slot.path / "fs/new.c").exists()
        assert git.line(slot.path, "rev-parse", "HEAD^{tree}") == patched.tree
        slot.check_out(base)
        assert not (slot.path / "fs/new.c").exists()
        assert git.line(slot.path, "status", "--porcelain") == ""


def test_an_applied_series_is_found_again_and_moves_nothing(
    kernel: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = series.load(smalltree.three(made, tmp_path / "series"))
    with tree.slot(source(kernel), QUIET) as slot:
        first = slot.patched(got)
        slot.check_out(first)
        before = smalltree.state(slot.path)
    monkeypatch.setattr("harness.tree.apply.apply", lambda *_: pytest.fail("applied again"))
    with tree.slot(source(kernel), QUIET) as slot:
        assert slot.patched(got) == first
        assert smalltree.state(slot.path) == before


def test_a_series_comes_after_another(kernel: Path, made: Path, tmp_path: Path) -> None:
    smalltree.three(made, tmp_path / "first")
    git.run(made, "reset", "--hard", "ORIG_HEAD")
    git.run(made, "tag", "after-first")
    smalltree.replace(made, "fs/x.c", "line 5.0\n", "line 5.1\n")
    smalltree.commit(made, "fs: fourth")
    first = series.load(tmp_path / "first")
    second = series.load(smalltree.patches(made, tmp_path / "second", "after-first"))
    start = dataclasses.replace(source(kernel), after=(first,))
    assert tree.peek(start, QUIET) is None
    with tree.slot(start, QUIET) as slot:
        assert slot.base().tree == git.line(made, "rev-parse", "after-first^{tree}")
        assert slot.source.name == "v7.2.13 with first"
        patched = slot.patched(second)
        assert [subject for _, subject in patched.patches] == ["fs: fourth"]
    found = tree.peek(start, QUIET)
    assert found is not None
    assert found.applied(second) == patched


def test_a_series_is_applied_again_when_borrowed_objects_are_gone(
    kernel: Path, made: Path, tmp_path: Path
) -> None:
    got = series.load(smalltree.three(made, tmp_path / "series"))
    with tree.slot(source(kernel), QUIET) as slot:
        first = slot.patched(got)
        blob = git.line(slot.path, "rev-parse", f"{first.commit}:fs/new.c")
        (slot.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with tree.slot(source(kernel), QUIET) as slot:
        assert slot.patched(got) == first
        slot.check_out(first)


def test_commits_are_the_same_everywhere(
    kernel: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = series.load(smalltree.three(made, tmp_path / "series"))
    with tree.slot(source(kernel), QUIET) as slot:
        first = slot.patched(got)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitconfig").write_text(
        "[user]\nname=Other\n[commit]\ngpgsign=true\n[core]\nautocrlf=true\n"
        "[am]\nthreeWay=false\n[apply]\nwhitespace=fix\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Other")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cäche with spaces" / "other"))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    with tree.slot(source(made), QUIET) as slot:
        assert slot.patched(got).patches == first.patches


def test_only_files_that_differ_are_written(kernel: Path, made: Path, tmp_path: Path) -> None:
    first = series.load(smalltree.three(made, tmp_path / "first"))
    smalltree.replace(made, "fs/x.c", "line 5\n", "line five\n")
    smalltree.commit(made, "fs: first")
    smalltree.replace(made, "fs/y.c", "line 8\n", "line eight\n")
    smalltree.commit(made, "fs: other")
    smalltree.replace(made, "fs/x.c", "line five\n", "line 5.0\n")
    smalltree.commit(made, "fs: third")
    second = series.load(smalltree.patches(made, tmp_path / "second"))
    with tree.slot(source(kernel), QUIET) as slot:
        slot.check_out(slot.patched(first))
        times = {name: _aged(slot.path / name) for name in ("Makefile", "fs/x.c", "fs/y.c")}
        slot.check_out(slot.patched(second))
        same = {name: (slot.path / name).stat().st_mtime_ns == time for name, time in times.items()}
    assert same == {"Makefile": True, "fs/x.c": True, "fs/y.c": False}


def _aged(path: Path) -> int:
    """Make a file older, as a build between two checkouts does; returns its new time stamp."""
    os.utime(path, ns=(0, path.stat().st_mtime_ns - 10**10))
    return path.stat().st_mtime_ns


def test_reading_makes_no_file_newer(kernel: Path, made: Path, tmp_path: Path) -> None:
    given = series.load(smalltree.three(made, tmp_path / "series"))
    with tree.slot(source(kernel), QUIET) as slot:
        patched = slot.patched(given)
        slot.check_out(slot.base())
        files = [slot.path / name for name in ("fs/x.c", "fs/y.c", "Makefile")]
        for number, file in enumerate(files):
            os.utime(file, (1_000_000 + number, 1_000_000 + number))
        before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
        with slot.reading():
            slot.check_out(patched)
            assert [file.read_bytes() for file in files] != [text for text, _ in before]
        assert [(file.read_bytes(), file.stat().st_mtime_ns) for file in files] == before


def test_stray_files_in_the_worktree_are_removed(kernel: Path) -> None:
    with tree.slot(source(kernel), QUIET) as slot:
        slot.check_out(slot.base())
        smalltree.write(slot.path, "fs/x.c", "edited\n")
        smalltree.write(slot.path, "include/config/auto.conf", "left by make\n")
        (slot.path / ".gitignore").write_text("include/\n")
        (slot.path / ".git" / "index.lock").touch()
    with tree.slot(source(kernel), QUIET) as slot:
        slot.check_out(slot.base())
        assert (slot.path / "fs/x.c").read_text() == smalltree.LINES
        assert not (slot.path / "include").exists()


def test_a_damaged_index_is_rebuilt(kernel: Path) -> None:
    with tree.slot(source(kernel), QUIET) as slot:
        slot.check_out(slot.base())
        (slot.path / ".git" / "index").write_bytes(b"DIRCbroken")
        slot.check_out(slot.base())
        assert git.line(slot.path, "status", "--porcelain") == ""


def test_conflict(kernel: Path, made: Path, tmp_path: Path) -> None:
    smalltree.replace(made, "fs/y.c", "line 7\n", "line seven\n")
    smalltree.commit(made, "fs: fits")
    smalltree.replace(made, "fs/x.c", "line 5\n", "line other\n")
    since = smalltree.commit(made, "fs: not in the series")
    smalltree.replace(made, "fs/x.c", "line 30\n", "line thirty\n")
    smalltree.replace(made, "fs/x.c", "line other\n", "line five\n")
    smalltree.commit(made, "fs: fits not")
    folder = smalltree.patches(made, tmp_path / "series", since)
    git.run(made, "reset", "--quiet", "--hard", "v7.2.13")
    smalltree.replace(made, "fs/y.c", "line 7\n", "line seven\n")
    smalltree.commit(made, "fs: fits")
    (folder / "0001-fs-fits-not.patch").rename(folder / "0002-x.patch")
    smalltree.patches(made, folder)
    error = refused(kernel, folder)
    assert "patch 2/2 'fs: fits not' does not apply to v7.2.13: fs/x.c, hunk 1 of 2" in error.what
    assert "-line other" in error.details
    assert "--base" in error.hint


def test_a_three_way_conflict_is_shown(kernel: Path, made: Path, tmp_path: Path) -> None:
    smalltree.replace(made, "fs/x.c", "line 5\n", "line five\n")
    smalltree.commit(made, "fs: ours")
    folder = smalltree.patches(made, tmp_path / "series")
    smalltree.replace(made, "fs/x.c", "line 5\n", "line theirs\n")
    theirs = smalltree.commit(made, "fs: theirs")
    with tree.slot(source(made, theirs), QUIET) as slot, pytest.raises(NotApplied) as caught:
        slot.patched(series.load(folder))
    assert "fs/x.c, hunk 1 of 1" in caught.value.what
    assert "<<<<<<<" in caught.value.details
    assert "line theirs" in caught.value.details


def test_a_missing_file(kernel: Path, made: Path, tmp_path: Path) -> None:
    smalltree.write(made, "fs/z.c", "z\n")
    since = smalltree.commit(made, "fs: add z")
    smalltree.write(made, "fs/z.c", "zz\n")
    smalltree.commit(made, "fs: change z")
    error = refused(kernel, smalltree.patches(made, tmp_path / "series", since))
    assert "fs/z.c, no such file" in error.what


def test_a_new_file_that_already_exists(kernel: Path, made: Path, tmp_path: Path) -> None:
    smalltree.write(made, "fs/new.c", "1\n")
    smalltree.commit(made, "fs: add new")
    folder = smalltree.patches(made, tmp_path / "series")
    smalltree.write(made, "fs/new.c", "2\n")
    other = smalltree.commit(made, "fs: add another")
    with tree.slot(source(made, other), QUIET) as slot, pytest.raises(NotApplied) as caught:
        slot.patched(series.load(folder))
    assert "fs/new.c" in caught.value.what


@pytest.mark.parametrize("blobs", [True, False])
def test_already_applied(kernel: Path, made: Path, tmp_path: Path, blobs: bool) -> None:
    folder = smalltree.three(made, tmp_path / "series")
    if not blobs:  # as when the tree is a release's tarball: git am cannot merge
        for path in folder.iterdir():
            text = path.read_text().replace("\nindex ", "\nindex 1234567")
            path.write_text(text)
    for path in sorted(folder.iterdir())[:2]:
        git.run(made, "apply", "--index", path)
    two = smalltree.commit(made, "two at once")
    git.run(made, "apply", "--index", sorted(folder.iterdir())[2])
    three = smalltree.commit(made, "the third")
    with tree.slot(source(made, two), QUIET) as slot, pytest.raises(NotApplied) as caught:
        slot.patched(series.load(folder))
    assert "patch 1/3 'fs: first' is already applied" in caught.value.what
    with tree.slot(source(made, three), QUIET) as slot, pytest.raises(NotApplied) as caught:
        slot.patched(series.load(folder))
    assert "the series series is already applied" in caught.value.what


def test_fuzz(kernel: Path, made: Path, tmp_path: Path) -> None:
    smalltree.replace(made, "fs/x.c", "line 2\n", "line two\n")
    since = smalltree.commit(made, "fs: elsewhere")
    smalltree.replace(made, "fs/x.c", "line 5\n", "line five\n")
    smalltree.commit(made, "fs: fuzzy")
    error = refused(kernel, smalltree.patches(made, tmp_path / "series", since))
    assert "would only apply to v7.2.13 with fuzz: fs/x.c, hunk 1 of 1" in error.what


def test_hunks_may_have_an_offset(kernel: Path, made: Path, tmp_path: Path) -> None:
    smalltree.replace(made, "fs/x.c", "line 1\n", "0\n0\nline 1\n")
    since = smalltree.commit(made, "fs: shift")
    smalltree.replace(made, "fs/x.c", "line 20\n", "line twenty\n")
    smalltree.commit(made, "fs: twenty")
    folder = smalltree.patches(made, tmp_path / "series", since)
    with tree.slot(source(kernel), QUIET) as slot:
        assert len(slot.patched(series.load(folder)).patches) == 1


@pytest.mark.parametrize(
    ("base", "hint"),
    [
        ("other", "try --base other"),
        ("v7.3", "try --kernel 7.3"),
        ("12ab" * 10, "which is not in"),
    ],
)
def test_wrong_base(
    made: Path, tmp_path: Path, base: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    smalltree.replace(made, "fs/x.c", "line 5\n", "line other\n")
    since = smalltree.commit(made, "fs: not in the series")
    git.run(made, "tag", "other")
    smalltree.replace(made, "fs/x.c", "line other\n", "line five\n")
    smalltree.commit(made, "fs: on top")
    folder = smalltree.patches(made, tmp_path / "series", since)
    (folder / "series.toml").write_text(f'base = "{base}"\n')
    with tree.slot(source(made), QUIET) as slot, pytest.raises(NotApplied) as caught:
        slot.patched(series.load(folder))
    assert hint in caught.value.hint


def test_latin1_mail(kernel: Path, made: Path, tmp_path: Path) -> None:
    (made / "fs/x.c").write_bytes(smalltree.LINES.encode().replace(b"line 5\n", b"f\xfcnf\n"))
    smalltree.commit(made, "fs: German")
    folder = smalltree.patches(made, tmp_path / "series")
    (mail,) = folder.iterdir()
    mail.write_bytes(mail.read_bytes().replace(b"A Hacker", b"J\xf6rg"))
    with tree.slot(source(kernel), QUIET) as slot:
        slot.check_out(slot.patched(series.load(folder)))
        assert b"f\xfcnf\n" in (slot.path / "fs/x.c").read_bytes()


def test_carriage_returns(kernel: Path, made: Path, tmp_path: Path) -> None:
    """A CR in a patched file stays; CRs that a mailer put at each line's end go."""
    (made / "fs/dos.c").write_bytes(b"one\r\ntwo\r\n")
    smalltree.commit(made, "fs: add dos")
    smalltree.replace(made, "fs/x.c", "line 5\n", "line five\n")
    smalltree.commit(made, "fs: five")
    folder = smalltree.patches(made, tmp_path / "series")
    mail = folder / "0002-fs-five.patch"
    mail.write_bytes(mail.read_bytes().replace(b"\n", b"\r\n"))
    with tree.slot(source(kernel), QUIET) as slot:
        slot.check_out(slot.patched(series.load(folder)))
        assert (slot.path / "fs/dos.c").read_bytes() == b"one\r\ntwo\r\n"
        assert b"\r" not in (slot.path / "fs/x.c").read_bytes()


@pytest.mark.parametrize("kind", ["bare", "linked", "shallow", "borrowing", "sha256"])
def test_every_kind_of_repository(
    made: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    got = series.load(smalltree.three(made, tmp_path / "series"))
    smalltree.write(made, "fs/w.c", "w\n")
    smalltree.commit(made, "one more")
    path = tmp_path / kind
    local = {"GIT_ALLOW_PROTOCOL": "file"}
    if kind == "bare":
        git.run(tmp_path, "clone", "--quiet", "--bare", made, path, env=local)
    elif kind == "linked":
        git.run(made, "worktree", "add", "--quiet", path)
    elif kind == "shallow":
        git.run(tmp_path, "clone", "--quiet", "--depth=1", f"file://{made}", path, env=local)
    elif kind == "borrowing":
        git.run(tmp_path, "clone", "--quiet", "--shared", made, tmp_path / "between", env=local)
        git.run(tmp_path, "clone", "--quiet", "--shared", tmp_path / "between", path, env=local)
    else:
        path.mkdir()
        git.run(path, "init", "--quiet", "--object-format=sha256")
        shutil.copytree(made / "fs", path / "fs")
        smalltree.commit(path, "all of it")
    before = smalltree.state(path)
    with tree.slot(source(path, "HEAD"), QUIET) as slot:
        slot.check_out(slot.patched(got))
        assert (slot.path / "fs/new.c").exists()
        assert (slot.path / "fs/w.c").exists()
    assert smalltree.state(path) == before


def test_a_partial_clone_without_blobs(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    got = series.load(smalltree.three(made, tmp_path / "series"))
    path = tmp_path / "partial"
    git.run(made, "config", "uploadpack.allowFilter", "true")
    words = ("clone", "--quiet", "--filter=blob:none", "--no-checkout", f"file://{made}", path)
    git.run(tmp_path, *words, env={"GIT_ALLOW_PROTOCOL": "file"})
    before = smalltree.state(path)
    with tree.slot(source(path, "HEAD"), QUIET) as slot:
        with pytest.raises(HostFault, match="lacks objects"):
            slot.patched(got)
        with pytest.raises(HostFault, match="lacks objects"):
            slot.check_out(slot.base())
    assert smalltree.state(path) == before


def test_a_commit_that_is_gone(kernel: Path) -> None:
    gone = Source(kernel, "12" * 20, "gone")
    with (
        tree.slot(gone, QUIET) as slot,
        pytest.raises(HostFault, match="no longer has the commit 1212"),
    ):
        slot.base()


def test_a_repository_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "gone").mkdir()
    gone = Source(tmp_path / "gone", "12" * 20, "gone")
    with pytest.raises(HostFault, match="is no longer a git tree"), tree.slot(gone, QUIET):
        pass


def test_no_space(kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(kernel)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with tree.slot(source(kernel), QUIET) as slot, pytest.raises(HostFault, match="are free"):
        slot.check_out(slot.base())


def test_a_full_disk_and_a_cache_that_cannot_be_written(
    kernel: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = series.load(smalltree.three(made, tmp_path / "series"))
    for number, hint in ((errno.ENOSPC, "harness clean"), (errno.EROFS, "HARNESS_CACHE")):

        def refuse(*_: object, number: int = number, **__: object) -> str:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            patch.setattr(tempfile, "mkdtemp", refuse)
            error = _refused(kernel, got)
        assert "cannot write" in error.what
        assert hint in error.hint


def _refused(kernel: Path, got: Series) -> HostFault:
    with pytest.raises(HostFault) as caught, tree.slot(source(kernel), QUIET) as slot:
        slot.patched(got)
    return caught.value


def test_a_patch_that_leads_out_of_the_tree(kernel: Path, made: Path, tmp_path: Path) -> None:
    smalltree.replace(made, "fs/x.c", "line 5\n", "line five\n")
    smalltree.commit(made, "fs: evil")
    folder = smalltree.patches(made, tmp_path / "series")
    (mail,) = folder.iterdir()
    for name in ("../../outside.c", ".git/config"):
        mail.write_text(mail.read_text().replace("fs/x.c", name))
        with pytest.raises(SeriesError, match="outside the tree"):
            series.load(folder)
        mail.write_text(mail.read_text().replace(name, "fs/x.c"))


def test_ctrl_c_while_applying(
    kernel: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = series.load(smalltree.three(made, tmp_path / "series"))
    plain = process.run

    def interrupted(argv: process.Argv, **named: object) -> process.Result:
        result = plain(argv, **named)  # type: ignore[arg-type]
        if "am" in argv:
            raise KeyboardInterrupt
        return result

    with tree.slot(source(kernel), QUIET) as slot:
        monkeypatch.setattr(process, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            slot.patched(got)
        monkeypatch.setattr(process, "run", plain)
        assert sorted(path.name for path in slot.path.parent.iterdir()) == ["linux", "lock"]
    with tree.slot(source(kernel), QUIET) as slot:
        assert len(slot.patched(got).patches) == 3


PROGRAM = """
import sys
from pathlib import Path
from harness import series, tree
from harness.model import Source
from harness.progress import Progress
repo, commit, folder = sys.argv[1:]
with tree.slot(Source(Path(repo), commit, "x"), Progress(quiet=True)) as slot:
    checkout = slot.patched(series.load(Path(folder)))
    slot.check_out(checkout)
    print(checkout.commit)
"""


def _start(kernel: Path, folder: Path, **env: str) -> subprocess.Popen[str]:
    words: list[str | Path] = [sys.executable, "-c", PROGRAM, kernel]
    words += [source(kernel).commit, folder]
    return subprocess.Popen(
        words, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _stalling_git(folder: Path, word: str) -> Path:
    """Make a git that does its work and then hangs when it is called with ``word``."""
    folder.mkdir()
    stub = folder / "git"
    real = shutil.which("git")
    stub.write_text(
        f'#!/bin/sh\n"{real}" "$@"\nstatus=$?\n'
        f'case " $* " in *" {word} "*) touch "{folder}/reached"; sleep 60;; esac\nexit $status\n'
    )
    stub.chmod(0o755)
    return folder


@pytest.mark.parametrize("word", ["read-tree", "am", "checkout", "init"])
def test_killed_in_the_middle(kernel: Path, made: Path, tmp_path: Path, word: str) -> None:
    folder = smalltree.three(made, tmp_path / "series")
    stalling = _stalling_git(tmp_path / "bin", word)
    with _start(kernel, folder, PATH=f"{stalling}:{os.environ['PATH']}") as victim:
        while not (stalling / "reached").exists():
            assert victim.poll() is None
            time.sleep(0.01)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    with tree.slot(source(kernel), QUIET) as slot:
        slot.check_out(slot.patched(series.load(folder)))
        assert git.line(slot.path, "status", "--porcelain") == ""
        assert (slot.path / "fs/new.c").exists()
        assert sorted(path.name for path in slot.path.parent.iterdir()) == ["linux", "lock"]
    assert len(homes(tmp_path)) == 1


def test_two_at_once(kernel: Path, made: Path, tmp_path: Path) -> None:
    folder = smalltree.three(made, tmp_path / "series")
    with _start(kernel, folder) as one, _start(kernel, folder) as two:
        outputs = [run.communicate() for run in (one, two)]
        assert [one.returncode, two.returncode] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0] != ""


def test_checkouts_are_compared_by_value(kernel: Path) -> None:
    with tree.slot(source(kernel), QUIET) as slot:
        assert slot.base() == Checkout(slot.path, slot.base().commit, slot.base().tree)
