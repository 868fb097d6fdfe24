# SPDX-License-Identifier: GPL-2.0-only
"""How often a test fails by chance, and what becomes of the time it takes.  Pure."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Sequence

from harness.model import Outcome
from harness.results.statistics import interval

_BLOCKS = "▁▂▃▄▅▆▇█"
_PLAIN = "_.,-~=*#"
_NEITHER = (Outcome.SKIP, Outcome.NOTRUN)
_FEW = 5  # of the newest times, against all those before


@dataclasses.dataclass(frozen=True)
class Flakes:
    """How often a test was bad on kernels that can pass it.

    A kernel on which it never passed tells nothing about chance, so its runs do not count.
    ``low`` and ``high`` are the bounds of the true rate, with 95 % confidence.
    """

    bad: int
    runs: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """The share of bad runs that was seen."""
        return self.bad / self.runs if self.runs else 0.0


@dataclasses.dataclass(frozen=True)
class Trend:
    """The times of a test that passed, oldest first, in seconds; all under like conditions.

    ``change`` is the newest few's median over that of those before, minus 1; 0 where there are
    too few.
    """

    times: tuple[float, ...]
    median: float = 0.0
    low: float = 0.0
    high: float = 0.0
    change: float = 0.0


def flakes(attempts: Iterable[tuple[str, Sequence[Outcome]]]) -> Flakes:
    """Judge attempts of a test, each with the name of the kernel it was made on."""
    kernels: dict[str, list[bool]] = {}
    for kernel, some in attempts:
        kernels.setdefault(kernel, []).extend(one.bad for one in some if one not in _NEITHER)
    able = [bad for some in kernels.values() if not all(some) for bad in some]
    low, high = interval(sum(able), len(able))
    return Flakes(sum(able), len(able), low, high)


def trend(times: Sequence[float]) -> Trend:
    """Sum up times, the oldest first."""
    if not times:
        return Trend(())
    before, now = times[:-_FEW], times[-_FEW:]
    change = 0.0
    if len(before) >= _FEW and statistics.median(before) > 0:
        change = statistics.median(now) / statistics.median(before) - 1
    return Trend(tuple(times), statistics.median(times), min(times), max(times), change)


def sparkline(values: Sequence[float], *, plain: bool = False) -> str:
    """Draw values as a line of letters; ``plain`` for terminals that know ASCII only."""
    if not values:
        return ""
    letters = _PLAIN if plain else _BLOCKS
    low, high = min(values), max(values)
    width = (high - low) or 1.0
    return "".join(letters[min(7, int(8 * (one - low) / width))] for one in values)
