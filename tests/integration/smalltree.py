# SPDX-License-Identifier: GPL-2.0-only
"""Small git trees that look like a kernel, series made on them, and a tree's exact state."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from harness import git

DATE = "@1700000000 +0000"
PERSON = {
    "GIT_AUTHOR_NAME": "A Hacker",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": DATE,
    "GIT_COMMITTER_DATE": DATE,
}
MAKEFILE = "VERSION = 7\nPATCHLEVEL = 2\nSUBLEVEL = 13\nEXTRAVERSION =\nNAME = Small\n"
LINES = "".join(f"line {number}\n" for number in range(1, 41))


def kernel(path: Path) -> Path:
    """Make a repository with one commit, tag v7.2.13, that passes for a kernel."""
    path.mkdir(parents=True)
    git.run(path, "init", "--quiet")
    write(path, "Makefile", MAKEFILE)
    write(path, "Kbuild", "obj-y += fs/\n")
    write(path, "Kconfig", "mainmenu x\n")
    write(path, "fs/x.c", LINES)
    write(path, "fs/y.c", LINES)
    commit(path, "v7.2.13")
    git.run(path, "tag", "v7.2.13")
    return path


def write(path: Path, name: str, text: str) -> None:
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).write_text(text)


def replace(path: Path, name: str, old: str, new: str) -> None:
    text = (path / name).read_text()
    assert text.count(old) == 1
    (path / name).write_text(text.replace(old, new))


def commit(path: Path, subject: str) -> str:
    git.run(path, "add", "--all", "--force")
    git.run(path, "commit", "--quiet", "--message", subject, env=PERSON)
    return git.line(path, "rev-parse", "HEAD")


def patches(path: Path, out: Path, since: str = "v7.2.13") -> Path:
    """Write the commits since ``since`` as a folder of patches, and take them back."""
    git.run(path, "format-patch", "--quiet", "--no-base", "-o", out, f"{since}..", env=PERSON)
    git.run(path, "reset", "--quiet", "--hard", since)
    return out


def three(tree: Path, out: Path) -> Path:
    """Make a series of three patches on the small kernel."""
    replace(tree, "fs/x.c", "line 5\n", "line five\n")
    commit(tree, "fs: first")
    replace(tree, "fs/y.c", "line 7\n", "line seven\n")
    commit(tree, "fs: second")
    replace(tree, "fs/x.c", "line five\n", "line 5.0\n")
    write(tree, "fs/new.c", "new\n")
    commit(tree, "fs: third")
    return patches(tree, out)


def state(tree: Path) -> dict[str, str]:
    """Give everything about a tree that we must not change: every file below, bit for bit.

    .git is included, so this covers HEAD, index, refs, stashes, logs, config and worktrees.
    """
    found = {}
    for top, folders, names in os.walk(tree):
        for name in [*folders, *names]:
            path = Path(top, name)
            info = path.lstat()
            if path.is_symlink():
                what = str(path.readlink())
            elif path.is_file():
                what = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                what = "folder"
            # git refreshes the time stamp of an object that it would write and finds borrowed.
            time = 0 if "objects" in path.parts else info.st_mtime_ns
            found[str(path.relative_to(tree))] = f"{info.st_mode:o} {time} {what}"
    return found
