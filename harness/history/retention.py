# SPDX-License-Identifier: GPL-2.0-only
"""What ``harness gc`` may remove, by age and by size.

Anything pinned, in use, or needed by a kept run stays.  Run folders are evidence, whereas the cache
can be rebuilt: so to save space, the cache is removed first, and the oldest runs only if that is
not enough.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from harness.cache import RUNS, CacheEntry
from harness.history import run_folder

KINDS = (RUNS, "kernels", "baselines", "images", "snapshots", "builds")
DAY = 86400.0

# Returns the kernels in the cache that a run's folder needs.
Needs = Callable[[Path], frozenset[Path]]


@dataclasses.dataclass(frozen=True)
class Limits:
    """``oldest``: remove what was last used before this time (seconds since the epoch).

    ``most``: total bytes to keep.  None means no limit.
    """

    oldest: float | None = None
    most: int | None = None


@dataclasses.dataclass(frozen=True)
class Held:
    """Folders that must stay.

    ``elsewhere`` are run folders in other locations: what they need stays too.  ``strange`` are
    folders beside our run folders that are not runs.
    """

    pinned: frozenset[Path] = frozenset()
    running: frozenset[Path] = frozenset()
    elsewhere: frozenset[Path] = frozenset()
    strange: frozenset[Path] = frozenset()

    def why(self, path: Path) -> str:
        """Return why a folder must stay; empty if it may be removed."""
        if path in self.running:
            return "in use by a run"
        if path in self.strange:
            return "not a run folder"
        return "pinned" if path in self.pinned else ""


@dataclasses.dataclass(frozen=True)
class Sorted:
    """What is removed and what stays, with reasons; ``over``: bytes above the size limit."""

    goes: tuple[tuple[CacheEntry, str], ...]
    stays: tuple[tuple[CacheEntry, str], ...]
    over: int = 0


def kernels(folder: Path) -> frozenset[Path]:
    """Return the kernels that a run's folder needs, to decode splats and to repeat tests."""
    return frozenset(run_folder.kernel_folders(folder))


def sort(
    entries: Iterable[CacheEntry], held: Held, limits: Limits, needs: Needs = kernels
) -> Sorted:
    """Decide for each entry of ``KINDS`` whether it is removed."""
    sorter = _Sorter([entry for entry in entries if entry.kind.name in KINDS], held, needs)
    if limits.oldest is not None:
        sorter.by_age(limits.oldest)
    if limits.most is not None:
        sorter.by_size(limits.most)
    over = max(0, sorter.size - limits.most) if limits.most is not None else 0
    goes = tuple(
        (entry, sorter.goes[entry.path]) for entry in sorter.entries if entry.path in sorter.goes
    )
    return Sorted(goes, sorter.stays(), over)


class _Sorter:
    def __init__(self, entries: Sequence[CacheEntry], held: Held, needs: Needs) -> None:
        self.entries = sorted(entries, key=lambda entry: entry.used)
        self.goes: dict[Path, str] = {}
        self._held, self._needs = held, needs
        self._needed: dict[Path, frozenset[Path]] = {}

    @property
    def size(self) -> int:
        """The total bytes of what stays."""
        return sum(entry.bytes for entry in self._left())

    def by_age(self, oldest: float) -> None:
        # Runs first: then kernels that only these runs needed can be removed by age too.
        for runs in (True, False):
            for entry in self._removable(runs=runs):
                if entry.used < oldest:
                    self.goes[entry.path] = "too old"

    def by_size(self, most: int) -> None:
        """Remove cache entries, then the oldest run and what only it needed, and so on."""
        while True:
            for entry in self._removable(runs=False):
                if self.size <= most:
                    return
                self.goes[entry.path] = "to save space"
            runs = self._removable(runs=True)
            if self.size <= most or not runs:
                return
            self.goes[runs[0].path] = "to save space"

    def stays(self) -> tuple[tuple[CacheEntry, str], ...]:
        """Return what stays and why; the reason is empty if it merely fits the limits."""
        left = self._left()
        runs = [entry.path for entry in left if entry.kind.name == RUNS]
        needed = frozenset[Path]().union(
            *map(self._needed_by, (*runs, *self._held.elsewhere, *self._held.running))
        )
        stays = []
        for entry in left:
            why = self._held.why(entry.path) or ("in use" if entry.held else "")
            if not why and entry.path in needed:
                why = "a kept run needs it"
            stays.append((entry, why))
        return tuple(stays)

    def _left(self) -> list[CacheEntry]:
        return [entry for entry in self.entries if entry.path not in self.goes]

    def _removable(self, *, runs: bool) -> list[CacheEntry]:
        """Return what may be removed, oldest first."""
        return [
            entry for entry, why in self.stays() if not why and (entry.kind.name == RUNS) is runs
        ]

    def _needed_by(self, run: Path) -> frozenset[Path]:
        if run not in self._needed:
            self._needed[run] = self._needs(run)
        return self._needed[run]
