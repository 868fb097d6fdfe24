# SPDX-License-Identifier: GPL-2.0-only
"""What may go: by age and by size, but nothing that a kept run needs, is pinned, or goes on.

Runs' folders are evidence; what lies in the cache can be made again.  So to save space the cache
goes first, and the oldest runs only if that is not enough.  Pure, but for reading what a run needs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from harness.cache import RUNS, CacheEntry
from harness.history import gather

KINDS = (RUNS, "kernels", "baselines", "images", "builds")
DAY = 86400.0


@dataclasses.dataclass(frozen=True)
class Limits:
    """Nothing last used before ``oldest`` (since the epoch), no more than ``most`` bytes in all.

    None is no limit.
    """

    oldest: float | None = None
    most: int | None = None


@dataclasses.dataclass(frozen=True)
class Held:
    """Runs' folders that stay, each with the reason; and what else lies in no folder of ours.

    ``elsewhere`` are runs' folders that are not ours to remove; what they need stays too.
    ``strange`` is what somebody put among the runs' folders.
    """

    pinned: frozenset[Path] = frozenset()
    running: frozenset[Path] = frozenset()
    elsewhere: frozenset[Path] = frozenset()
    strange: frozenset[Path] = frozenset()

    def why(self, path: Path) -> str:
        """Say why a folder stays; empty when it may go."""
        if path in self.running:
            return "in use by a run"
        if path in self.strange:
            return "no run of ours"
        return "pinned" if path in self.pinned else ""


@dataclasses.dataclass(frozen=True)
class Sorted:
    """What goes and what stays, each with the reason; ``over``: bytes above the size limit."""

    goes: tuple[tuple[CacheEntry, str], ...]
    stays: tuple[tuple[CacheEntry, str], ...]
    over: int = 0


def sort(
    entries: Iterable[CacheEntry],
    held: Held,
    limits: Limits,
    needs: Callable[[Path], frozenset[Path]],
) -> Sorted:
    """Decide for each entry of ``KINDS``; ``needs`` gives the kernels that a run's folder needs."""
    ours = [one for one in entries if one.kind.name in KINDS]
    known: dict[Path, frozenset[Path]] = {}

    def needed(kept: Iterable[Path]) -> frozenset[Path]:
        for path in kept:
            if path not in known:
                known[path] = needs(path)
        return frozenset().union(*(known[path] for path in kept))

    sorter = _Sorter(ours, held, needed)
    if limits.oldest is not None:
        sorter.by_age(limits.oldest)
    if limits.most is not None:
        sorter.by_size(limits.most)
    return sorter.result(limits.most)


class _Sorter:
    def __init__(
        self,
        ours: Sequence[CacheEntry],
        held: Held,
        needed: Callable[[Sequence[Path]], frozenset[Path]],
    ) -> None:
        self.ours, self.held, self._needed = sorted(ours, key=lambda one: one.used), held, needed
        self.goes: dict[Path, str] = {}

    def by_age(self, oldest: float) -> None:
        """Runs first: what they alone need may then go in the same way."""
        for runs in (True, False):
            for one in self._free(runs=runs):
                if one.used < oldest:
                    self.goes[one.path] = "too old"

    def by_size(self, most: int) -> None:
        """What can be made again, then the oldest run and what it alone needed, and so on."""
        while True:
            for one in self._free(runs=False):
                if self._left() <= most:
                    return
                self.goes[one.path] = "for its size"
            runs = self._free(runs=True)
            if self._left() <= most or not runs:
                return
            self.goes[runs[0].path] = "for its size"

    def _left(self) -> int:
        return sum(one.bytes for one in self.ours if one.path not in self.goes)

    def _free(self, *, runs: bool) -> list[CacheEntry]:
        """Give what may go, the oldest first."""
        return [one for one, why in self._stays() if not why and (one.kind.name == RUNS) is runs]

    def _stays(self) -> list[tuple[CacheEntry, str]]:
        """Give what has not gone, with the reason why it must stay, if there is one."""
        left = [one for one in self.ours if one.path not in self.goes]
        kept = [one.path for one in left if one.kind.name == RUNS]
        needed = self._needed([*kept, *self.held.elsewhere, *self.held.running])
        found = []
        for one in left:
            why = self.held.why(one.path) or ("in use" if one.held else "")
            if not why and one.path in needed:
                why = "a kept run needs it"
            found.append((one, why))
        return found

    def result(self, most: int | None) -> Sorted:
        goes = tuple((one, self.goes[one.path]) for one in self.ours if one.path in self.goes)
        over = max(0, self._left() - most) if most is not None else 0
        return Sorted(goes, tuple(self._stays()), over)


def kernels(folder: Path) -> frozenset[Path]:
    """Give the kernels in the cache that a run's folder needs: to decode, to run a test again."""
    return frozenset(gather.kernel_folders(folder))
