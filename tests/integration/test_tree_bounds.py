# SPDX-License-Identifier: GPL-2.0-only
"""What is applied is what the patches say, whatever git would make of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import smalltree

from harness import git, series, tree
from harness.errors import NotApplied, SeriesError
from harness.model import Source
from harness.progress import Progress
from harness.tree import bounds

QUIET = Progress(quiet=True)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return smalltree.kernel(tmp_path / "linux")


def test_a_merge_changes_no_file_that_no_patch_names(kernel: Path, tmp_path: Path) -> None:
    """git would follow a file with this content to another name: to a script, if one likes."""
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
    assert "would change fs/x.c in main, which no patch of it names" in caught.value.what


def test_a_link_that_is_there_is_not_led_outside(kernel: Path, tmp_path: Path) -> None:
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
    assert "'fs/link' a link that leads out of the tree" in caught.value.what


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
def test_where_links_lead(file: str, goal: str, out: bool) -> None:
    assert bounds.leads_out(file, goal) is out
