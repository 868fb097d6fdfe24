# SPDX-License-Identifier: GPL-2.0-only
"""List and remove what the harness keeps on disk: the cache, and the folders of past runs.

Each kind is a folder of ``paths.cache()`` with one entry per kernel, tree, image and so on; all of
these can be rebuilt.  Run folders (``paths.state("runs")``) cannot, so they are removed only on
request.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness import paths
from harness.errors import HostFault
from harness.progress import Progress

RUNS = "runs"


@dataclasses.dataclass(frozen=True)
class CacheKind:
    """A folder of the cache; ``choice`` is the option of ``harness clean`` that removes it."""

    name: str
    choice: str
    what: str


KINDS = (
    CacheKind("downloads", "sources", "downloaded kernel releases"),
    CacheKind("lists", "sources", "package lists of the mirror"),
    CacheKind("sources", "sources", "kernel releases as git repositories"),
    # Worktrees borrow the objects of the sources, so they are removed together.
    CacheKind("trees", "trees", "worktrees with series applied"),
    CacheKind("series", "sources", "series read from an mbox, one file per mail"),
    CacheKind("packs", "trees", "commits that a driver sent to this worker"),
    CacheKind("suites", "trees", "suites that a driver sent to this worker"),
    CacheKind("trials", "trees", "evidence of trials that a worker does"),
    CacheKind("builds", "builds", "build folders for incremental builds"),
    CacheKind("kernels", "kernels", "finished kernels"),
    CacheKind("baselines", "kernels", "test results of base kernels"),
    CacheKind("images", "kernels", "prepared images for guests"),
    CacheKind("snapshots", "kernels", "saved guests, from which others are copied"),
    CacheKind(RUNS, "runs", "evidence of past runs (state, not cache)"),
)
OTHER = CacheKind("other", "all", "small files")
_IMPLIED = {"sources": {"trees"}}


@dataclasses.dataclass(frozen=True)
class CacheEntry:
    """``bytes``: size on disk; ``used``: last use, seconds since the epoch; ``held``: locked."""

    kind: CacheKind
    path: Path
    bytes: int
    used: float
    held: bool = False


def entries() -> tuple[CacheEntry, ...]:
    """List everything, kind by kind, least recently used first.  Raises HostFault."""
    locked = _locked()
    listed: list[CacheEntry] = []
    for kind in KINDS:
        folder = paths.state(RUNS) if kind.name == RUNS else paths.cache() / kind.name
        listed += sorted(_measured(kind, _children(folder), locked), key=lambda entry: entry.used)
    names = {kind.name for kind in KINDS}
    others = [path for path in _children(paths.cache()) if path.name not in names]
    return (*listed, *_measured(OTHER, others, locked))


def chosen(listed: Iterable[CacheEntry], choices: frozenset[str]) -> tuple[CacheEntry, ...]:
    """Select entries by the options of ``harness clean``; "all" means everything except runs."""
    selected = choices.union(*(_IMPLIED.get(choice, set()) for choice in choices))
    if "all" in selected:
        selected |= {kind.choice for kind in (*KINDS, OTHER)} - ({"runs"} - choices)
    return tuple(entry for entry in listed if entry.kind.choice in selected)


def remove(
    doomed: Iterable[CacheEntry], progress: Progress, *, cached: bool = True
) -> tuple[CacheEntry, ...]:
    """Remove entries and return those removed; skip entries locked or used since the listing.

    ``cached``: the entries include parts of the cache, so no run may be using the cache.  Raises
    HostFault when a run is using it, or when something cannot be removed.
    """
    removed: list[CacheEntry] = []
    with (
        paths.unused() if cached else contextlib.nullcontext(True) as alone,
        progress.stage("clean") as stage,
    ):
        if not alone:
            raise HostFault("a run is using the cache", hint="try again when it has ended")
        locked = _locked()
        for entry in doomed:
            if _is_held(entry.path, locked) or _last_use(entry.path) > entry.used:
                progress.say(f"kept: {entry.path} is in use")
                continue
            stage.update(note=str(entry.path))
            _remove(entry.path)
            removed.append(entry)
        stage.finish(f"{len(removed)} removed")
    return tuple(removed)


def _last_use(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _remove(path: Path) -> None:
    """Rename the entry first, so that a half-removed entry never looks complete."""
    doomed = path.with_name(f".removed.{os.getpid()}.{path.name.lstrip('.')}")
    try:
        path.rename(doomed)
        if doomed.is_dir() and not doomed.is_symlink():
            shutil.rmtree(doomed)
        else:
            doomed.unlink()
    except FileNotFoundError:
        return  # another `harness clean` was faster
    except OSError as error:
        raise HostFault(
            f"cannot remove {error.filename or path}: {error.strerror}",
            hint="remove it by hand; you may need to be its owner or root",
        ) from error


def _children(folder: Path) -> list[Path]:
    try:
        # Empty lock files stay: a process waiting for a removed one would lock something else.
        return [path for path in folder.iterdir() if not _is_lock(path)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HostFault(
            f"cannot read {folder}: {error.strerror}", hint=f"check its owner: ls -ld {folder}"
        ) from error


def _measured(
    kind: CacheKind, files: Iterable[Path], locked: frozenset[int]
) -> Iterator[CacheEntry]:
    for path in files:
        with contextlib.suppress(FileNotFoundError):  # removed in the meantime
            used = path.lstat().st_mtime
            yield CacheEntry(kind, path, _size(path), used, _is_held(path, locked))


def _size(path: Path) -> int:
    """Return the bytes on disk; a file with several links counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    inside = (Path(top, name) for top, folders, files in os.walk(path) for name in folders + files)
    for file in (path, *inside):
        with contextlib.suppress(OSError):
            status = file.lstat()
            if status.st_nlink == 1 or (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_blocks * 512
    return total


def _is_lock(path: Path) -> bool:
    return path.name in (".in-use", "lock") or path.name.endswith(".lock")


def _is_held(path: Path, locked: frozenset[int]) -> bool:
    """Return whether a process holds a lock inside this entry, or its lock file beside it."""
    locks = [path.with_name(f"{path.name}.lock"), path.with_name(f".{path.name}.lock")]
    if path.is_dir():
        locks += [file for file in path.glob("*") if _is_lock(file)]
    for lock in locks:
        with contextlib.suppress(OSError):
            if lock.stat().st_ino in locked:
                return True
    return False


def _locked() -> frozenset[int]:
    """Return the inodes that are locked now.

    Device numbers are ignored, since some file systems show a different one in /proc/locks.  If an
    inode on another device has the same number, the entry is only kept a little longer.
    """
    try:
        text = Path("/proc/locks").read_text()
    except OSError:
        return frozenset()
    return frozenset(int(number) for number in re.findall(r":(\d+) \d+ (?:\d+|EOF)$", text, re.M))
