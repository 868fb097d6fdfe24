# SPDX-License-Identifier: GPL-2.0-only
"""What came of a series is what its patches say: no other file, no link that leads outside.

What a series may change was judged by the names in its mails.  git takes more liberties: a
three-way merge follows a file to another name, which may be that of one that is only like it, or
of a script; and a diff of a link need not say that it is one.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from harness import git, kbuild
from harness.errors import NotApplied, SeriesError
from harness.model import Series, Source

_LINK = "120000"
_SOURCES = (".c", ".h", ".S", ".rst")


def see(repo: Path, source: Source, series: Series, commit: str) -> tuple[str, ...]:
    """Look at what ``commit`` changed since the source's.  Raises NotApplied or SeriesError.

    A source file that is in another folder now, under its own name, may be followed there: gives
    a line about each.
    """
    words = ("diff-tree", "-r", "-z", "--no-renames", source.commit, commit)
    fields = git.run(repo, *words).stdout.split("\0")
    named = {file for patch in series.patches for file in patch.files}
    followed = []
    for entry, file in zip(fields[::2], fields[1::2], strict=False):
        before, mode, _, blob, _ = entry.split()
        old = "" if file in named else _followed(repo, (source.commit, commit), named, file)
        if old and before[1:] == mode:
            followed.append(f"{old} is {file} in {source.name}: it is changed there")
        elif file not in named:
            raise NotApplied(
                f"the series {series.name} would change {file} in {source.name}, which no patch of"
                " it names: a file of it has another name there",
                hint=f"rebase the series onto {source.name}, or name its own base with --base",
            )
        if mode == _LINK and leads_out(file, git.run(repo, "cat-file", "blob", blob).stdout):
            raise SeriesError(
                f"the series {series.name} makes '{file}' a link that leads out of the tree",
                hint="do not use this series, or ask who sent it what it is for",
            )
    return tuple(followed)


def _followed(repo: Path, commits: tuple[str, str], named: Collection[str], file: str) -> str:
    """Give the file that a patch names, and that is ``file`` in these sources; empty if none is.

    It is for certain only where the name in its folder is the same, and the old one is in neither
    of ``commits``: not there before, nor made by the series.
    """
    path = PurePosixPath(file)
    if path.suffix not in _SOURCES or kbuild.runs(file):
        return ""
    same = sorted(one for one in named if PurePosixPath(one).name == path.name)
    for commit in commits if same else ():
        said = git.run(repo, "ls-tree", "-z", "--name-only", commit, "--", *same).stdout
        there = set(said.split("\0"))
        same = [one for one in same if one not in there]
    return same[0] if len(same) == 1 else ""


def leads_out(file: str, goal: str) -> bool:
    """Whether a link leads elsewhere, or might: what other links mean on its way is not known."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(file), goal))
    winding = ".." in goal.lstrip("./").split("/")
    return winding or goal.startswith("/") or path.split("/")[0] in ("..", ".git")
