# SPDX-License-Identifier: GPL-2.0-only
"""What lies in the cache and in the state, by kind, and how to be rid of it.

Every kind is a folder of ``paths.cache()`` with one entry per thing; all of it can be made again.
The runs (``paths.state("runs")``) cannot, so they are never among what is removed by default.
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
class Kind:
    """A folder of the cache; ``choice`` is the word that chooses it for removal."""

    name: str
    choice: str
    what: str


KINDS = (
    Kind("downloads", "sources", "kernel releases as they came"),
    Kind("lists", "sources", "package lists of the mirror"),
    Kind("sources", "sources", "kernel releases as git repositories"),
    # Worktrees borrow the objects of the sources: they go with them.
    Kind("trees", "trees", "worktrees with series applied"),
    Kind("series", "sources", "series that came as an mbox, a file for each mail"),
    Kind("builds", "builds", "build folders: make goes on there"),
    Kind("kernels", "kernels", "finished kernels"),
    Kind("baselines", "kernels", "what the suites said of base kernels"),
    Kind("images", "kernels", "prepared images for guests"),
    Kind(RUNS, "runs", "evidence of past runs (state, not cache)"),
)
OTHER = Kind("other", "all", "small things")
CHOICES = ("builds", "kernels", "sources", "trees")
IMPLIED = {"sources": {"trees"}}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One thing: ``bytes`` on the disk, ``used`` last (seconds since the epoch), whether held."""

    kind: Kind
    path: Path
    bytes: int
    used: float
    held: bool = False


def entries() -> tuple[Entry, ...]:
    """List everything, kind by kind, the oldest use first."""
    locked = _locked()
    found = []
    for kind in KINDS:
        top = paths.state(RUNS) if kind.name == RUNS else paths.cache() / kind.name
        found += sorted(_listed(kind, top, locked), key=lambda one: one.used)
    known = {kind.name for kind in KINDS}
    others = [path for path in _children(paths.cache()) if path.name not in known]
    return (*found, *_measured(OTHER, others, locked))


def chosen(found: Iterable[Entry], choices: frozenset[str]) -> tuple[Entry, ...]:
    """Give the entries that the words choose ("all": the whole cache, but not the runs)."""
    words = choices.union(*(IMPLIED.get(word, set()) for word in choices))
    if "all" in words:
        words |= {kind.choice for kind in (*KINDS, OTHER)} - ({"runs"} - choices)
    return tuple(one for one in found if one.kind.choice in words)


def remove(
    chosen: Iterable[Entry], progress: Progress, *, cached: bool = True
) -> tuple[Entry, ...]:
    """Remove entries, but none that is held or was used since it was listed; gives what is gone.

    ``cached``: there may be entries of the cache among them.  Raises HostFault when there may and
    a run is using it, or when something cannot be removed.
    """
    gone: list[Entry] = []
    with (
        paths.unused() if cached else contextlib.nullcontext(True) as alone,
        progress.stage("clean") as stage,
    ):
        if not alone:
            raise HostFault("a run is using the cache", hint="wait until it has ended, then again")
        locked = _locked()
        for one in chosen:
            if _is_held(one.path, locked) or _used(one.path) > one.used:
                progress.say(f"kept: {one.path} is in use")
                continue
            stage.update(note=str(one.path))
            _remove(one.path)
            gone.append(one)
        stage.finish(f"{len(gone)} removed")
    return tuple(gone)


def _used(path: Path) -> float:
    """Give when it was last used; never, where it is gone."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _remove(path: Path) -> None:
    """Rename first: what is half removed never looks like something whole."""
    doomed = path.with_name(f".removed.{os.getpid()}.{path.name.lstrip('.')}")
    try:
        path.rename(doomed)
        if doomed.is_dir() and not doomed.is_symlink():
            shutil.rmtree(doomed)
        else:
            doomed.unlink()
    except FileNotFoundError:
        return  # somebody else's clean was faster
    except OSError as error:
        raise HostFault(
            f"cannot remove {error.filename or path}: {error.strerror}",
            hint="remove it by hand, perhaps as another user",
        ) from error


def _listed(kind: Kind, top: Path, locked: frozenset[int]) -> Iterator[Entry]:
    return _measured(kind, _children(top), locked)


def _children(top: Path) -> list[Path]:
    try:
        # Empty lock files stay: another process may be waiting for one, and then hold another.
        return [path for path in top.iterdir() if not _is_lock(path)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HostFault(
            f"cannot read {top}: {error.strerror}", hint=f"whose is it? ls -ld {top}"
        ) from error


def _measured(kind: Kind, found: Iterable[Path], locked: frozenset[int]) -> Iterator[Entry]:
    for path in found:
        with contextlib.suppress(FileNotFoundError):  # gone while we look
            used = path.lstat().st_mtime
            yield Entry(kind, path, _size(path), used, _is_held(path, locked))


def _size(path: Path) -> int:
    """Give the bytes on the disk; what is linked twice counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    inside = (Path(top, name) for top, folders, files in os.walk(path) for name in folders + files)
    for one in (path, *inside):
        with contextlib.suppress(OSError):
            about = one.lstat()
            if about.st_nlink == 1 or (about.st_dev, about.st_ino) not in seen:
                seen.add((about.st_dev, about.st_ino))
                total += about.st_blocks * 512
    return total


def _is_lock(path: Path) -> bool:
    return path.name in (".in-use", "lock") or path.name.endswith(".lock")


def _is_held(path: Path, locked: frozenset[int]) -> bool:
    """Say whether a process holds a lock in, or named after, this entry."""
    near = [path.with_name(f"{path.name}.lock"), path.with_name(f".{path.name}.lock")]
    inside = [one for one in path.glob("*") if _is_lock(one)] if path.is_dir() else []
    for lock in (*near, *inside):
        with contextlib.suppress(OSError):
            if lock.stat().st_ino in locked:
                return True
    return False


def _locked() -> frozenset[int]:
    """Give the inodes that are locked now.

    Devices are not compared, since some file systems show another one there; an inode that is
    locked elsewhere only keeps an entry a little longer.
    """
    try:
        text = Path("/proc/locks").read_text()
    except OSError:
        return frozenset()
    return frozenset(int(number) for number in re.findall(r":(\d+) \d+ (?:\d+|EOF)$", text, re.M))
