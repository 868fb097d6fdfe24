# SPDX-License-Identifier: GPL-2.0-only
"""How sure one can be of a rate that was seen in a few runs: Wilson's interval."""

from __future__ import annotations

import math

_Z = 1.959964  # standard deviations of a normal distribution that hold 95 % of it


def interval(good: int, runs: int) -> tuple[float, float]:
    """Give the bounds of the true rate of good runs, with 95 % confidence.

    Without any run nothing is known: 0 to 1.
    """
    if not runs:
        return 0.0, 1.0
    rate = good / runs
    spread = _Z * math.sqrt(rate * (1 - rate) / runs + _Z**2 / (4 * runs**2))
    middle, scale = rate + _Z**2 / (2 * runs), 1 + _Z**2 / runs
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def words(good: int, runs: int) -> str:
    """Say it: "flaky: good in 1 of 3 runs (true rate 6 to 79 %, at 95 % confidence)"."""
    low, high = interval(good, runs)
    return (
        f"flaky: good in {good} of {runs} runs "
        f"(true rate {100 * low:.0f} to {100 * high:.0f} %, at 95 % confidence)"
    )
