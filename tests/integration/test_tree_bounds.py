# SPDX-License-Identifier: GPL-2.0-only
"""Only what the patches say is applied, whatever git would do with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import smalltree

from harness import diff, git, series, tree
from harness.errors import NotApplied, SeriesError
from harness.model import Source
from harness.progress import Progress

QUIET = Progress(quiet=True)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return smalltree.kernel(tmp_path / "linux")


def test_a_merge_changes_only_files_that_patches_name(kernel: Path, tmp_path: Path) -> None:
    """git would follow a file with this content to another name, which may be a script's."""
    blob = git.line(kernel, "rev-parse", "HEAD:fs/x.c")
    smalltree.replace(kernel, "fs/x.c", "line 5\n", "line five\n")
    smalltree.commit(kernel, "fs: five")
    folder = tmp_path / "s"
    git.run(kernel, "format-patch", "--quiet", "--full-index", "-1", "-o", folder)
    git.run(kernel, "reset", "--quiet", "--hard", "HEAD^")
    (mail,) = folder.iterdir()
    text = mail.read_text()
    assert blob in text
    mail.write_text(text.replace("fs/x.c", "fs/innocent.txt"))
    tip = git.line(kernel, "rev-parse", "HEAD")
    with tree.slot(Source(kernel, tip, "main"), QUIET) as slot, pytest.raises(NotApplied) as caught:
        slot.patched(series.load(folder))
    assert "to main would change fs/x.c: git takes it for a renamed file" in caught.value.what


def renamed(kernel: Path, old: str, new: str, folder: Path) -> Source:
    """Make a series that changes ``old`` and fs/y.c, and a tree where ``old`` is called ``new``."""
    git.run(kernel, "mv", "fs/x.c", "fs/old.c")
    smalltree.write(kernel, old, smalltree.LINES.replace("line", "words of their own"))
    start = smalltree.commit(kernel, "fs: before")
    smalltree.replace(kernel, old, "words of their own 5\n", "words of their own five\n")
    smalltree.commit(kernel, "fs: five")
    smalltree.replace(kernel, "fs/y.c", "line 7\n", "line seven\n")
    smalltree.commit(kernel, "fs: seven")
    words = ("--quiet", "--full-index", "--no-base", "-o", folder, f"{start}..")
    git.run(kernel, "format-patch", *words)
    git.run(kernel, "reset", "--quiet", "--hard", start)
    text = (kernel / old).read_text()
    (kernel / old).unlink()
    smalltree.write(kernel, new, text.replace("own 30\n", "own thirty\n"))
    return Source(kernel, smalltree.commit(kernel, "fs: another name"), "main")


@pytest.mark.parametrize("new", ["fs/sub/z.c", "drivers/md/z.c"])
def test_a_file_is_followed_to_its_new_folder(
    kernel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], new: str
) -> None:
    source = renamed(kernel, "fs/z.c", new, tmp_path / "s")
    with tree.slot(source, Progress()) as slot:
        made = slot.patched(series.load(tmp_path / "s"))
        slot.check_out(made)
        text = (slot.path / new).read_text()
    assert "own five\n" in text
    assert "own thirty\n" in text
    assert f"fs/z.c is now {new} in main" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("fs/z.c", "fs/another.c"),  # a file that is like it, for all that is known
        ("fs/z.c", "scripts/z.c"),
        ("fs/z.c", "tools/objtool/z.c"),
        ("fs/z.c", "certs/z.c"),
        ("fs/z.txt", "fs/sub/z.txt"),
        ("fs/z.sh", "fs/sub/z.sh"),
        ("fs/Makefile", "fs/sub/Makefile"),
        ("fs/Kconfig", "fs/sub/Kconfig"),
        ("fs/z.yml", ".github/z.yml"),
    ],
)
def test_files_that_a_build_runs_are_not_followed(
    kernel: Path, tmp_path: Path, old: str, new: str
) -> None:
    source = renamed(kernel, old, new, tmp_path / "s")
    with tree.slot(source, QUIET) as slot, pytest.raises(NotApplied) as caught:
        slot.patched(series.load(tmp_path / "s"))
    assert "git takes it for a renamed file" in caught.value.what


def test_a_file_that_the_series_adds_was_not_renamed(kernel: Path, tmp_path: Path) -> None:
    """A new file must not stand in for one that git took for another."""
    source = renamed(kernel, "fs/innocent.c", "drivers/md/z.c", tmp_path / "s")
    mail = (tmp_path / "s" / "0002-fs-seven.patch").read_text()
    new = "diff --git a/a/z.c b/a/z.c\nnew file mode 100644\n"
    new += "--- /dev/null\n+++ b/a/z.c\n@@ -0,0 +1 @@\n+z\n"
    (tmp_path / "s" / "0002-fs-seven.patch").write_text(mail.replace("-- \n", f"{new}-- \n"))
    with tree.slot(source, QUIET) as slot, pytest.raises(NotApplied) as caught:
        slot.patched(series.load(tmp_path / "s"))
    assert "to main would change drivers/md/z.c" in caught.value.what


def test_an_existing_link_is_not_changed_to_lead_outside(kernel: Path, tmp_path: Path) -> None:
    """The diff of a link need not say that it is one."""
    (kernel / "fs" / "link").symlink_to("x.c")
    tip = smalltree.commit(kernel, "fs: a link")
    diff = "--- a/fs/link\n+++ b/fs/link\n@@ -1 +1 @@\n-x.c\n\\ No newline at end of file\n"
    mail = tmp_path / "0001.patch"
    mail.write_text(
        "From: A <a@x.org>\nSubject: [PATCH] fs: x\n\nWhy.\n---\n"
        f"{diff}+/etc/passwd\n\\ No newline at end of file\n-- \n2.43.0\n\n"
    )
    got = series.load(mail)
    with (
        tree.slot(Source(kernel, tip, "main"), QUIET) as slot,
        pytest.raises(SeriesError) as caught,
    ):
        slot.patched(got)
    assert "'fs/link' a symlink that points outside the tree" in caught.value.what


@pytest.mark.parametrize(
    ("file", "goal", "out"),
    [
        ("a/b/l", "../../c", False),
        ("a/b/l", "./c.h", False),
        ("a/b/l", "../../../c", True),
        ("l", "x/x/..", True),
        ("l", "/etc", True),
        ("l", ".git/config", True),
    ],
)
def test_links_that_lead_out_of_the_tree(file: str, goal: str, out: bool) -> None:
    assert diff.leads_out(file, goal) is out
