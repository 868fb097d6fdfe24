# SPDX-License-Identifier: GPL-2.0-only
"""What came of a series is what its patches say: no other file, no link that leads outside.

What a series may change was judged by the names in its mails.  git takes more liberties: a
three-way merge follows a file to another name, and a diff of a link need not say that it is one.
"""

from __future__ import annotations

import posixpath
from pathlib import Path

from harness import git
from harness.errors import NotApplied, SeriesError
from harness.model import Series, Source

_LINK = "120000"


def see(repo: Path, source: Source, series: Series, commit: str) -> None:
    """Look at what ``commit`` changed since the source's.  Raises NotApplied or SeriesError."""
    words = ("diff-tree", "-r", "-z", "--no-renames", source.commit, commit)
    fields = git.run(repo, *words).stdout.split("\0")
    named = {file for patch in series.patches for file in patch.files}
    for entry, file in zip(fields[::2], fields[1::2], strict=False):
        _, mode, _, blob, _ = entry.split()
        if file not in named:
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


def leads_out(file: str, goal: str) -> bool:
    """Whether a link leads elsewhere, or might: what other links mean on its way is not known."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(file), goal))
    winding = ".." in goal.lstrip("./").split("/")
    return winding or goal.startswith("/") or path.split("/")[0] in ("..", ".git")
