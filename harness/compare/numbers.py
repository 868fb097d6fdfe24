# SPDX-License-Identifier: GPL-2.0-only
"""Times and memory: what changed by more than it changes anyway.  Pure."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence

LEAST = 0.5  # seconds: less is not worth a word
FACTOR = 1.5  # and so is less than this
SPREADS = 4.0  # how far out of the others' spread a test must lie
FEW = 8  # tests from which on their spread means something


@dataclasses.dataclass(frozen=True)
class Shift:
    """A number that changed; ``unit`` is s or KiB."""

    what: str
    base: float
    patched: float
    unit: str


def slower(base: Mapping[str, float], patched: Mapping[str, float]) -> list[Shift]:
    """Give the tests whose time changed beyond noise, the largest change first.

    ``base`` and ``patched`` are seconds.  All tests of a busy machine are slower together, so it
    is each test's factor against that of the others that counts, and their spread is the noise.
    """
    names = [name for name in patched if base.get(name, 0) > 0 and patched[name] > 0]
    factors = {name: math.log(patched[name] / base[name]) for name in names}
    if len(names) < FEW:
        return []
    middle = statistics.median(factors.values())
    spread = 1.4826 * statistics.median(abs(value - middle) for value in factors.values())
    limit = max(SPREADS * spread, math.log(FACTOR))
    found = [
        Shift(name, base[name], patched[name], "s")
        for name in names
        if abs(factors[name] - middle) > limit
        and abs(patched[name] - base[name] * math.exp(middle)) > LEAST
    ]
    return sorted(found, key=lambda one: -abs(one.patched - one.base))


def boots(base: Sequence[float], patched: Sequence[float]) -> list[Shift]:
    """Compare the fastest boots: what else ran on the machine only makes one slower."""
    if not base or not patched:
        return []
    old, new = min(base), min(patched)
    noise = max(LEAST, old * (FACTOR - 1))
    return [Shift("boot", old, new, "s")] if abs(new - old) > noise else []


def memory(base: int, patched: int) -> list[Shift]:
    """Compare what the kernel leaves free at boot, in KiB; that hardly varies."""
    if not base or not patched or abs(patched - base) < max(64, base // 1000):
        return []
    return [Shift("free memory at boot", base, patched, "KiB")]
