# SPDX-License-Identifier: GPL-2.0-only
"""Any command: exit status 0 passes, 4 skips, everything else fails; (K)TAP gives subtests.

A folder stands for the executable files in it.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.adaptors import AdaptedSuite, Adaptor, Entry
from harness.adaptors.execute import run
from harness.errors import UsageError


def _collect(what: str, place: Path) -> Iterator[Entry]:
    first, *rest = shlex.split(what)
    path = place / first
    if path.is_dir():
        for file in _programs(path):
            yield Entry(file.name, (str(file), *rest), path)
    else:
        yield Entry(path.name, (str(path) if path.exists() else first, *rest), place)


def _programs(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_file() and os.access(f, os.X_OK))


def _check(suite: AdaptedSuite, folder: Path) -> None:
    what = suite.what
    try:
        first = shlex.split(what)[0]
    except (ValueError, IndexError) as error:
        raise UsageError(f"--program {what!r}: {error}", hint="quote it as for a shell") from None
    path = folder / first
    if path.is_dir():
        if not _programs(path):
            raise UsageError(
                f"--program {what}: no file in {path} can be executed",
                hint=f"chmod +x {shlex.quote(str(path))}/*",
            )
    elif path.exists():
        if not os.access(path, os.X_OK):
            raise UsageError(
                f"--program {what}: {path} cannot be executed",
                hint=f"chmod +x {shlex.quote(str(path))}",
            )
    elif "/" in first or shutil.which(first) is None:
        raise UsageError(
            f"--program {what}: there is no program {first}"
            + (f" (looked in {folder})" if "/" in first else " on this machine"),
            hint="give the path of a program, or of a folder with programs",
        )


ADAPTOR = Adaptor(collect=_collect, run=run, check=_check, is_path=True)
