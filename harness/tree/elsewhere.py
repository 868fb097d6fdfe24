# SPDX-License-Identifier: GPL-2.0-only
"""Where a series that does not fit would fit, and which commit is in its way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from harness import git
from harness.model import Source
from harness.tree import base

_TRIES = 5  # commits at which the whole series is tried
_MORE = 20  # the same, where nothing tells which are near
_HUNK = re.compile(r"^@@ .*$", re.MULTILINE)
_LEAST = 8  # letters of a line that tell it from others


def fitting(
    place: Path, source: Source, mails: list[Path], names: Sequence[str]
) -> base.Base | None:
    """Give the nearest commit of the source's tree where all ``mails`` apply.

    ``names`` are the files that they change.

    ``place`` is a worktree of ours that borrows the tree's objects; only an index of its own is
    written.
    """
    files = base.expected(mail.read_bytes() for mail in mails)
    env = {"GIT_INDEX_FILE": str(place.parent / "try-index")}
    near = base.nearest(source.repo, files, _TRIES)
    for one in near or base.touching(source.repo, names, _MORE):
        if one.commit == source.commit:
            continue
        read = git.run(place, "read-tree", one.commit, env=env, check=False)
        if read.ok and all(
            git.run(place, "apply", "--cached", mail, env=env, check=False).ok for mail in mails
        ):
            return one
    return None


def changed_by(source: Source, patch: str, file: str, hunk: int) -> str:
    """Name the commit that took away a line which hunk number ``hunk`` of ``file`` needs.

    Empty when the history does not tell, as in a tree of one commit.
    """
    shown = git.run(source.repo, "cat-file", "blob", f"{source.commit}:{file}", check=False)
    there = set(shown.stdout.splitlines()) if shown.ok else set()
    lost = [line for line in _needed(patch, file, hunk) if line not in there]
    for line in sorted(lost, key=lambda text: len(text.strip()), reverse=True)[:3]:
        if len(line.strip()) < _LEAST:
            break
        words = ("log", "-1", "--no-textconv", "--format=%h (%an, %as) %s", f"-S{line}")
        found = git.run(source.repo, *words, source.commit, "--", file, check=False).stdout.strip()
        if found:
            return f"the line\n  {line}\nof {file} was taken away by {found}"
    return ""


def _needed(patch: str, file: str, hunk: int) -> list[str]:
    """Give the lines that must be there for a hunk."""
    for part in re.split(r"^(?=--- .*\n\+\+\+ )", patch, flags=re.MULTILINE):
        if any(line.partition("\t")[0].endswith(f"/{file}") for line in part.split("\n")[:2]):
            hunks = _HUNK.split(part)
            lines = hunks[hunk].splitlines() if hunk < len(hunks) else []
            return [line[1:] for line in lines if line.startswith((" ", "-"))]
    return []
