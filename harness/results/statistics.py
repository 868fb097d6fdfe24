# SPDX-License-Identifier: GPL-2.0-only
"""Confidence of a rate from few runs, and times and sizes that changed beyond noise.  Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from harness.model import Shift

_Z = 1.959964  # 95 % of a normal distribution is within this many standard deviations

# Limits of noise when two kernels are compared.
LEAST = 0.5  # seconds: smaller differences are not reported
FACTOR = 1.5  # smaller factors are not reported either
SPREADS = 4.0  # how far outside the spread of the other tests a test must be
FEW = 8  # tests: with fewer, their spread is meaningless


def interval(good: int, runs: int) -> tuple[float, float]:
    """Return the bounds of the true rate of good runs with 95 % confidence (Wilson interval).

    Without any runs the bounds are 0 and 1.
    """
    if not runs:
        return 0.0, 1.0
    rate = good / runs
    spread = _Z * math.sqrt(rate * (1 - rate) / runs + _Z**2 / (4 * runs**2))
    middle, scale = rate + _Z**2 / (2 * runs), 1 + _Z**2 / runs
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def flaky_rate(good: int, runs: int) -> str:
    """Format the rate: "flaky: good in 1 of 3 runs (true rate 6 to 79 %, at 95 % confidence)"."""
    low, high = interval(good, runs)
    return (
        f"flaky: good in {good} of {runs} runs "
        f"(true rate {100 * low:.0f} to {100 * high:.0f} %, at 95 % confidence)"
    )


def test_times(base: Mapping[str, float], patched: Mapping[str, float]) -> list[Shift]:
    """Return the tests whose time changed beyond noise, the largest change first.

    ``base`` and ``patched`` are seconds.  On a busy machine all tests are slower together, so each
    test's factor is compared with those of the others, and their spread is the noise.
    """
    names = [name for name in patched if base.get(name, 0) > 0 and patched[name] > 0]
    factors = {name: math.log(patched[name] / base[name]) for name in names}
    if len(names) < FEW:
        return []
    middle = statistics.median(factors.values())
    spread = 1.4826 * statistics.median(abs(value - middle) for value in factors.values())
    limit = max(SPREADS * spread, math.log(FACTOR))
    shifts = [
        Shift(name, base[name], patched[name], "s")
        for name in names
        if abs(factors[name] - middle) > limit
        and abs(patched[name] - base[name] * math.exp(middle)) > LEAST
    ]
    return sorted(shifts, key=lambda shift: -abs(shift.patched - shift.base))


def boot_times(base: Sequence[float], patched: Sequence[float]) -> list[Shift]:
    """Compare the fastest boots: other load on the machine only makes boots slower."""
    if not base or not patched:
        return []
    old, new = min(base), min(patched)
    noise = max(LEAST, old * (FACTOR - 1))
    return [Shift("boot", old, new, "s")] if abs(new - old) > noise else []


def memory_sizes(base: int, patched: int) -> list[Shift]:
    """Compare the free memory at boot, in KiB, which hardly varies."""
    if not base or not patched or abs(patched - base) < max(64, base // 1000):
        return []
    return [Shift("free memory at boot", base, patched, "KiB")]
