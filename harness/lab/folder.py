# SPDX-License-Identifier: GPL-2.0-only
"""The folder of a run: checked before the work begins, and used by only one run."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness import paths
from harness.errors import HostFault, UsageError
from harness.model import Plan
from harness.results import evidence, store

ELSEWHERE = "choose another folder with --out DIR"
LEAST = 65536  # bytes that must be free after a run; with less, evidence may be lost


def check(plan: Plan) -> None:
    """Raise HostFault if the run's folder is unusable: now, not after an hour of building."""
    folder = plan.out or paths.state("runs")
    if plan.out is not None and _taken(folder):
        raise _is_taken(folder)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        elsewhere = ELSEWHERE if plan.out else "set HARNESS_STATE to a folder you can write to"
        raise HostFault(f"cannot write the run's folder {folder}", hint=elsewhere)


def make(plan: Plan, started: datetime.datetime, command: tuple[str, ...], name: str = "") -> Path:
    """Create the run's folder with the series' mails; HostFault if it already holds a run.

    ``name`` is a part of the folder's name, unless --out chooses one; otherwise the series' name.
    """
    name = name or (plan.series.name if plan.series else "kernel")
    with writing(plan.out or paths.state("runs")):
        folder = _claimed(plan.out, f"{started:%Y%m%d-%H%M%S}-{name}", shlex.join(command))
        if plan.series is not None:
            (folder / evidence.SERIES).mkdir(exist_ok=True)
            for patch in plan.series.patches:
                shutil.copyfile(patch.path, folder / evidence.SERIES / patch.path.name)
            if plan.series.cover:
                shutil.copyfile(plan.series.cover, folder / evidence.COVER)
    return folder


def _claimed(out: Path | None, name: str, command: str) -> Path:
    """Claim a folder that no other run uses, even a run that starts in the same second."""
    if out is not None:
        out = out.absolute()
        out.mkdir(parents=True, exist_ok=True)
        try:
            with (out / store.COMMAND).open(
                "x", encoding="utf-8", errors="surrogateescape"
            ) as file:
                file.write(command + "\n")
        except FileExistsError:
            raise _is_taken(out) from None
        return out
    for number in itertools.count(1):
        folder = paths.state("runs") / (name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            break
    (folder / store.COMMAND).write_text(command + "\n", encoding="utf-8", errors="surrogateescape")
    return folder


def _taken(folder: Path) -> bool:
    return any((folder / name).exists() for name in (store.COMMAND, store.RUN, store.COMPARISON))


def _is_taken(folder: Path) -> HostFault:
    return HostFault(f"{folder} already holds a run", hint=ELSEWHERE)


def to_resume(word: str, name: str, what: str) -> Path:
    """Return the folder to continue: the one that ``word`` names, or for "last" the newest.

    ``name`` is the file that such folders have.  Raises UsageError if there is none.
    """
    if word != "last":
        return Path(word).absolute()
    runs, found = paths.state("runs"), []
    for path in runs.glob(f"*/{name}"):
        with contextlib.suppress(OSError):
            found.append((path.stat().st_mtime, path.parent))
    if not found:
        raise UsageError(f"no {what} found in {runs}", hint="give its folder instead of last")
    return max(found)[1]


def free_numbers(top: Path) -> Iterator[int]:
    """Return numbers for trials' folders below ``top`` (NNN-NAME), after those of earlier runs."""
    taken = [re.match(r"\d+", path.name) for path in top.glob("[0-9]*-*")]
    return itertools.count(max((int(match[0]) for match in taken if match), default=0) + 1)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raise HostFault if the run's folder cannot be written, or its disk is full.

    With a full disk, guests and pytest fail in ways that look like kernel faults.
    """
    with paths.writing(folder, ELSEWHERE):
        yield
        if folder.exists():
            paths.need_space(folder, LEAST, "the evidence of a run", ELSEWHERE)
