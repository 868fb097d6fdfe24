# SPDX-License-Identifier: GPL-2.0-only
"""Which line of the patched tree which patch of a series added."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from unidiff.errors import UnidiffParseError
from unidiff.patch import Hunk, PatchSet

from harness import git
from harness.errors import SeriesError

#: (file below the top of the tree, line from 1) to the patch's name.
Added = Mapping[tuple[str, int], str]


def added_lines(patches: Iterable[tuple[str, str]]) -> dict[tuple[str, int], str]:
    """Follow added lines through a series, given as (name, diff) in its order.

    A later patch moves the lines of an earlier one, or takes them out again.  The numbers are
    right as far as the diffs' own are: for a series that was applied at other lines than it was
    made for, ask its commits (``of_commits``).  Raises SeriesError for a diff that is none.
    """
    files: dict[str, dict[int, str]] = {}
    for name, diff in patches:
        try:
            touched = PatchSet(diff.splitlines(keepends=True))
        except UnidiffParseError as error:
            raise SeriesError(f"the diff of {name} cannot be read: {error}") from error
        for file in touched:
            before = _plain(file.source_file)
            known = files.pop(before, {})
            if not file.is_removed_file:
                files[_plain(file.target_file)] = _moved(known, file, name)
    return {(file, line): name for file, lines in files.items() for line, name in lines.items()}


def of_commits(tree: Path, commits: Sequence[tuple[str, str]]) -> dict[tuple[str, int], str]:
    """Give the added lines of commits, (commit, name) in their order, of the repository ``tree``.

    Only reads.  Raises HostFault when a commit is not there.
    """
    words = ("diff", "--no-ext-diff", "--no-color", "--unified=0", "--find-renames")
    return added_lines(
        (name, git.run(tree, *words, f"{commit}^", commit).stdout) for commit, name in commits
    )


def _plain(name: str | None) -> str:
    name = name or ""
    return name[2:] if name.startswith(("a/", "b/")) else name


def _moved(known: dict[int, str], hunks: Iterable[Hunk], name: str) -> dict[int, str]:
    """Give the known lines at their new places, with those the hunks add."""
    gone: set[int] = set()
    fresh: dict[int, str] = {}
    moves: list[tuple[int, int]] = []  # from this old line on, lines move by so many
    for hunk in hunks:
        old = hunk.source_start if hunk.source_length else hunk.source_start + 1
        for line in hunk:
            if line.is_added and line.target_line_no:
                fresh[line.target_line_no] = name
                moves.append((old, 1))
            elif line.source_line_no:
                old = line.source_line_no + 1
                if line.is_removed:
                    gone.add(line.source_line_no)
                    moves.append((line.source_line_no, -1))
    moves.sort()
    starts = [start for start, _ in moves]
    by = [0, *itertools.accumulate(step for _, step in moves)]
    kept = {
        old + by[bisect.bisect_right(starts, old)]: patch
        for old, patch in known.items()
        if old not in gone
    }
    return kept | fresh
