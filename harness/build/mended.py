# SPDX-License-Identifier: GPL-2.0-only
"""Make a build folder whole again after make was killed.

A compiler that dies with SIGKILL leaves half an object that is newer than its sources, and the
.cmd file of an earlier build beside it: make would take it for finished.  So a mark stands in
the folder while make runs, and what is newer than a mark left behind is checked.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_MARK = ".harness-building"


def before(out: Path) -> list[Path]:
    """Set the mark; if there is one already, remove what may be half written and give that.

    An object is whole when its .cmd file is at least as new: make writes that last.
    """
    mark = out / _MARK
    removed = []
    if mark.exists():
        begin = mark.stat().st_mtime_ns
        removed = [file for file in _doubtful(out, begin) if _remove(file)]
    mark.touch()
    return removed


def after(out: Path) -> None:
    """Take the mark away: make ended by itself."""
    (out / _MARK).unlink(missing_ok=True)


def _doubtful(out: Path, begin: int) -> list[Path]:
    found = []
    for root, _, files in os.walk(out):
        present = set(files)
        for name in files:
            record = f".{name}.cmd"
            if record not in present and not name.endswith(".o"):
                continue  # nothing that make compiles or links
            with contextlib.suppress(FileNotFoundError):
                changed = Path(root, name).stat().st_mtime_ns
                if changed < begin:
                    continue
                if record not in present or changed > Path(root, record).stat().st_mtime_ns:
                    found.append(Path(root, name))
    return found


def _remove(file: Path) -> bool:
    with contextlib.suppress(OSError):
        file.unlink()
        return True
    return False
