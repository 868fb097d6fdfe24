# SPDX-License-Identifier: GPL-2.0-only
"""How fast this machine's time stamp counter runs: under emulation guests read it as their own.

A guest that has to find out compares it with an emulated timer, and on a busy host it is wrong now
and then, by a factor of ten: its sleeps and deadlines are then as wrong.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import platform
import time
from collections.abc import Callable

_READ = bytes.fromhex("0f31 48c1e220 4809d0 c3")  # rdtsc; shl rdx, 32; or rax, rdx; ret
_PAUSE = 0.02  # seconds: enough for five digits


@functools.cache
def khz() -> int:
    """Measure the counter's frequency in kHz; 0 where there is none or it may not be read."""
    if platform.machine() != "x86_64":
        return 0
    try:
        page = mmap.mmap(-1, len(_READ), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:  # a machine on which nothing may be both written and run
        return 0
    page.write(_READ)
    place = ctypes.c_char.from_buffer(page)
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(place))
    before, first = _pair(read)
    time.sleep(_PAUSE)
    after, last = _pair(read)
    del read, place  # or the page could not be freed
    return round((last - first) * 1_000_000 / (after - before))


def _pair(read: Callable[[], int]) -> tuple[int, int]:
    """Give a time in ns and what the counter said then: the closest of several looks."""
    looks = []
    for _ in range(20):
        before = time.monotonic_ns()
        counter = read()
        after = time.monotonic_ns()
        looks.append((after - before, (before + after) // 2, counter))
    _, when, counter = min(looks)
    return when, counter
