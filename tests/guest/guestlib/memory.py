# SPDX-License-Identifier: GPL-2.0-only
"""Memory of the kernel that something should not take every time it is done.

kmemleak finds memory that nothing points to.  What is left in a list or an xarray that nobody looks
in any more it does not find; but it is one more object of some slab cache each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.guestside import kernelfiles, wait
from harness.guestside.leaks import SLAB

# Caches of what the suites' subjects allocate.  Not included: dentries and inodes, which the kernel
# caches at will, and what a task takes for itself.
_CACHES = ("kmalloc-*", "configfs_dir_cache", "mnt_cache", "nvmet-bvec")
SETTLED = wait.PATIENCE / 4  # for RCU and workers; only a leak takes all of it


def grown(times: int, turn: Callable[[], object]) -> dict[str, int]:
    """Take ``times`` turns; return the slab caches that kept an object of each, and how many.

    It is done again before that is believed: others allocate from the same caches, but not twice
    as much as that.  A cache is shrunk before it is counted, so counts are exact; a quarter of the
    turns is left for what others free meanwhile.
    """
    turn()  # what is allocated once and kept
    for _ in range(2):
        before = _objects()
        for _ in range(times):
            turn()
        more = _settled(before, times - times // 4)
        if not more:
            break
    return more


def _settled(before: dict[str, int], most: int) -> dict[str, int]:
    deadline = time.monotonic() + SETTLED
    while True:
        late = time.monotonic() >= deadline
        now = _objects()
        more = {name: now[name] - before[name] for name in now if now[name] - before[name] >= most}
        if late or not more:
            return more
        time.sleep(wait.PAUSE)


def _objects() -> dict[str, int]:
    return {folder.name: _used(folder) for folder in _caches()}


def _caches() -> Iterator[Path]:
    for pattern in _CACHES:
        yield from (f for f in SLAB.glob(pattern) if (f / "objects").exists())


def _used(cache: Path) -> int:
    kernelfiles.store(cache / "shrink", 1)
    return int((cache / "objects").read_text().split()[0])
