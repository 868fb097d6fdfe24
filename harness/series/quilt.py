# SPDX-License-Identifier: GPL-2.0-only
"""A quilt folder: its ``series`` file names the patches in order."""

from __future__ import annotations

from pathlib import Path

from harness.errors import SeriesError


def files(folder: Path) -> list[Path]:
    """Read ``folder``/series.  Raises SeriesError for a patch that is not there.

    A line is a file's name, perhaps with a strip level, which can only be 1, and a comment.
    """
    listed = folder / "series"
    found = []
    for number, line in enumerate(listed.read_text(errors="replace").splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[1:] not in ([], ["-p1"]):
            raise SeriesError(
                f"{listed}, line {number}: '{' '.join(words[1:])}' is not supported",
                hint="refresh the patch with quilt refresh -p1",
            )
        path = folder / words[0].replace("\0", "?")
        if path in found:
            raise SeriesError(
                f"{listed}, line {number}: {words[0]} is there already", hint="take one of them out"
            )
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            raise SeriesError(
                f"{listed}, line {number}: there is no patch {words[0]} in {folder}",
                hint="bring the patch there, or take the line out",
            )
        found.append(path)
    if not found:
        raise SeriesError(f"{listed} names no patch", hint="quilt import PATCH adds one")
    return found
