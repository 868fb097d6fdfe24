# SPDX-License-Identifier: GPL-2.0-only
"""How sure a rate from few runs is, and which times and sizes changed beyond noise.  Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from harness.model import Shift

_Z = 1.959964  # standard deviations of a normal distribution that hold 95 % of it

# What is noise when two kernels are compared.
LEAST = 0.5  # seconds: a smaller difference is not worth a word
FACTOR = 1.5  # and neither is a smaller factor
SPREADS = 4.0  # how far out of the others' spread a test must lie
FEW = 8  # tests: with fewer, their spread means nothing


def interval(good: int, runs: int) -> tuple[float, float]:
    """Return the bounds of the true rate of good runs with 95 % confidence (Wilson's interval).

    Without any run nothing is known: 0 to 1.
    """
    if not runs:
        return 0.0, 1.0
    rate = good / runs
    spread = _Z * math.sqrt(rate * (1 - rate) / runs + _Z**2 / (4 * runs**2))
    middle, scale = rate + _Z**2 / (2 * runs), 1 + _Z**2 / runs
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def flaky_rate(good: int, runs: int) -> str:
    """Say it: "flaky: good in 1 of 3 runs (true rate 6 to 79 %, at 95 % confidence)"."""
    low, high = interval(good, runs)
    return (
        f"flaky: good in {good} of {runs} runs "
        f"(true rate {100 * low:.0f} to {100 * high:.0f} %, at 95 % confidence)"
    )


def test_times(base: Mapping[str, float], patched: Mapping[str, float]) -> list[Shift]:
    """Return the tests whose time changed beyond noise, the largest change first.

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


def boot_times(base: Sequence[float], patched: Sequence[float]) -> list[Shift]:
    """Compare the fastest boots: what else ran on the machine only makes one slower."""
    if not base or not patched:
        return []
    old, new = min(base), min(patched)
    noise = max(LEAST, old * (FACTOR - 1))
    return [Shift("boot", old, new, "s")] if abs(new - old) > noise else []


def memory_sizes(base: int, patched: int) -> list[Shift]:
    """Compare what the kernel leaves free at boot, in KiB; that hardly varies."""
    if not base or not patched or abs(patched - base) < max(64, base // 1000):
        return []
    return [Shift("free memory at boot", base, patched, "KiB")]
