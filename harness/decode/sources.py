# SPDX-License-Identifier: GPL-2.0-only
"""The lines of source files, from a worktree or from a commit; only read."""

from __future__ import annotations

from pathlib import Path

from harness import git
from harness.decode.added import Added
from harness.decode.values import Line

AROUND = 2  # lines shown before and behind the one in question


class Sources:
    """The sources a kernel was built from: ``commit`` in the repository ``tree``, or its files."""

    def __init__(self, tree: Path, commit: str, added: Added) -> None:
        self._tree, self._commit, self._added = tree, commit, added
        self._known: dict[str, list[str]] = {}

    def around(self, file: str, line: int) -> tuple[Line, ...]:
        """Give a line with those around it; empty when there is no such line."""
        lines = self._lines(file)
        if not 0 < line <= len(lines):
            return ()
        numbers = range(max(line - AROUND, 1), min(line + AROUND, len(lines)) + 1)
        return tuple(Line(n, lines[n - 1], self.patch(file, n)) for n in numbers)

    def patch(self, file: str, line: int) -> str:
        """Name the patch that added a line, "" if none did."""
        return self._added.get((file, line), "")

    def _lines(self, file: str) -> list[str]:
        if file not in self._known:
            self._known[file] = self._read(file).splitlines()
        return self._known[file]

    def _read(self, file: str) -> str:
        if not file or file.startswith(("/", "..")):  # not of the tree: a compiler's own header
            return ""
        if self._commit:
            shown = git.run(self._tree, "show", f"{self._commit}:{file}", check=False)
            return shown.stdout if shown.ok else ""
        path = self._tree / file
        return path.read_text(errors="backslashreplace") if path.is_file() else ""
