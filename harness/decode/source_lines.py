# SPDX-License-Identifier: GPL-2.0-only
"""The sources that a kernel was built from: their lines, and the patches that added them."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from unidiff.patch import Hunk

from harness import diff, git
from harness.decode.decoded import SourceLine
from harness.diff import DiffError
from harness.errors import SeriesError

#: (file relative to the top of the tree, line from 1) to the patch's name.
AddedLines = Mapping[tuple[str, int], str]

AROUND = 2  # lines of context shown before and after a line


def added_lines(patches: Iterable[tuple[str, bytes | str]]) -> dict[tuple[str, int], str]:
    """Track added lines through a series, given as (name, diff) in order.

    A later patch may move or remove the lines of an earlier patch.  The line numbers rely on
    those in the diffs: for a series that applied with an offset, use its commits instead
    (``added_by_commits``).  Raises SeriesError for a malformed diff.
    """
    files: dict[str, dict[int, str]] = {}
    for name, patch in patches:
        try:
            changes = diff.parse(patch)
        except DiffError as error:
            raise SeriesError(f"the diff of {name} cannot be read: {error}") from error
        for file in changes:
            lines = files.pop(file.old, {})
            if file.new:
                files[file.new] = _moved(lines, file.hunks, name)
    return {(file, line): name for file, lines in files.items() for line, name in lines.items()}


def added_by_commits(tree: Path, commits: Sequence[tuple[str, str]]) -> dict[tuple[str, int], str]:
    """Return the lines added by commits of the repository ``tree``, (commit, name) in order.

    Raises HostFault if a commit does not exist.
    """
    arguments = ("diff", "--no-ext-diff", "--no-color", "--unified=0", "--find-renames")
    return added_lines(
        (name, git.run(tree, *arguments, f"{commit}^", commit).stdout) for commit, name in commits
    )


def _moved(lines: dict[int, str], hunks: Iterable[Hunk], name: str) -> dict[int, str]:
    """Return the added lines of a file at their new positions, and the lines that the hunks add."""
    removed: set[int] = set()
    added: dict[int, str] = {}
    moves: list[tuple[int, int]] = []  # (old line, offset of this line and those below)
    for hunk in hunks:
        old = hunk.source_start if hunk.source_length else hunk.source_start + 1
        for line in hunk:
            if line.is_added and line.target_line_no:
                added[line.target_line_no] = name
                moves.append((old, 1))
            elif line.source_line_no:
                old = line.source_line_no + 1
                if line.is_removed:
                    removed.add(line.source_line_no)
                    moves.append((line.source_line_no, -1))
    moves.sort()
    starts = [start for start, _ in moves]
    by = [0, *itertools.accumulate(step for _, step in moves)]
    kept = {
        old + by[bisect.bisect_right(starts, old)]: patch
        for old, patch in lines.items()
        if old not in removed
    }
    return kept | added


class SourceTree:
    """The sources of a kernel: ``commit`` in the repository ``tree``, or the files in ``tree``."""

    def __init__(self, tree: Path, commit: str, added: AddedLines) -> None:
        self._tree, self._commit, self._added = tree, commit, added
        self._files: dict[str, list[str]] = {}

    def around(self, file: str, line: int) -> tuple[SourceLine, ...]:
        """Return a line with its context; empty if there is no such line."""
        if file not in self._files:
            self._files[file] = self._read(file).splitlines()
        lines = self._files[file]
        if not 0 < line <= len(lines):
            return ()
        numbers = range(max(line - AROUND, 1), min(line + AROUND, len(lines)) + 1)
        return tuple(SourceLine(n, lines[n - 1], self.patch(file, n)) for n in numbers)

    def patch(self, file: str, line: int) -> str:
        """Return the name of the patch that added a line, "" if none did."""
        return self._added.get((file, line), "")

    def _read(self, file: str) -> str:
        if not file or file.startswith(("/", "..")):  # not in the tree, such as a compiler's header
            return ""
        if self._commit:
            return git.content(self._tree, self._commit, file) or ""
        path = self._tree / file
        return path.read_text(errors="backslashreplace") if path.is_file() else ""
