# SPDX-License-Identifier: GPL-2.0-only
"""Runs in guests: each crash point of the kernel's LKDTM, and a harmless test behind each."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
import points

DIRECT = Path("/sys/kernel/debug/provoke-crash/DIRECT")
LOCKDEP, ON = Path("/proc/lockdep_stats"), re.compile(r"debug_locks: +1")
LONG = 15.0  # seconds for a child to end
each = pytest.mark.parametrize(
    "name",
    [
        pytest.param(point.name, marks=() if point.chosen else pytest.mark.nightly)
        for point in points.ALL
    ],
    scope="module",
)


def trigger(name: str) -> None:
    with contextlib.suppress(OSError):
        DIRECT.write_text(name)


@each
def test_point(name: str) -> None:
    if points.BY_NAME[name].inside:
        trigger(name)
        trigger(name)  # one of them, a lock that is taken twice, needs a second time
        return
    child = os.fork()
    if child == 0:
        trigger(name)
        os._exit(0)
    end = time.monotonic() + LONG
    while time.monotonic() < end and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.02)


@each
def test_neighbour(name: str) -> None:
    # Many a splat turns lockdep off for good; then the guest was replaced.
    assert ON.search(LOCKDEP.read_text())


def test_the_table_is_complete() -> None:
    there = set(DIRECT.read_text().split()[3:])
    assert there == set(points.BY_NAME) | points.TOO_LONG
