# SPDX-License-Identifier: GPL-2.0-only
"""The results of history queries.  Times are seconds since the epoch, durations seconds."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence

from harness.model import Outcome
from harness.results.statistics import interval

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = "_.,-~=*#"
_NEWEST = 5  # how many of the newest durations Trend.change compares with all earlier ones


@dataclasses.dataclass(frozen=True)
class KernelInRun:
    """A kernel in one run: the run, its side, and the revision of its series."""

    run: str
    began: float
    verb: str
    side: str
    patch: int
    series: str
    version: int
    source: str
    commit: str
    release: str
    kernel: str
    accel: str
    folder: str


@dataclasses.dataclass(frozen=True)
class PastResult:
    """A test's result in one session."""

    where: KernelInRun
    at: float
    outcome: Outcome
    seconds: float
    attempts: tuple[Outcome, ...]
    message: str = ""


@dataclasses.dataclass(frozen=True)
class Flakes:
    """How often a test was bad on kernels where it can pass.

    A test that never passed on a kernel does not fail there by chance, so such runs do not count.
    ``low`` and ``high`` bound the true rate with 95 % confidence.
    """

    bad: int
    runs: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """The fraction of runs that were bad."""
        return self.bad / self.runs if self.runs else 0.0

    @classmethod
    def of(cls, attempts: Iterable[tuple[str, Sequence[Outcome]]]) -> Flakes:
        """Count attempts of a test, each with the kernel it ran on."""
        kernels: dict[str, list[bool]] = {}
        for kernel, outcomes in attempts:
            kernels.setdefault(kernel, []).extend(
                outcome.bad for outcome in outcomes if outcome not in (Outcome.SKIP, Outcome.NOTRUN)
            )
        counted = [bad for runs in kernels.values() if not all(runs) for bad in runs]
        low, high = interval(sum(counted), len(counted))
        return cls(sum(counted), len(counted), low, high)


@dataclasses.dataclass(frozen=True)
class Trend:
    """The durations of a test's passes, in seconds, oldest first, all under the same conditions.

    ``change``: the median of the newest few divided by that of the earlier ones, minus 1; 0 if
    there are too few.
    """

    times: tuple[float, ...]
    median: float = 0.0
    low: float = 0.0
    high: float = 0.0
    change: float = 0.0

    @classmethod
    def of(cls, times: Sequence[float]) -> Trend:
        """Summarise durations, oldest first."""
        if not times:
            return cls(())
        before, newest = times[:-_NEWEST], times[-_NEWEST:]
        change = 0.0
        if len(before) >= _NEWEST and statistics.median(before) > 0:
            change = statistics.median(newest) / statistics.median(before) - 1
        return cls(tuple(times), statistics.median(times), min(times), max(times), change)

    def sparkline(self, last: int = 60, *, ascii_only: bool = False) -> str:
        """Draw the newest durations as a sparkline."""
        times = self.times[-last:]
        if not times:
            return ""
        blocks = _ASCII_BLOCKS if ascii_only else _BLOCKS
        low, width = min(times), (max(times) - min(times)) or 1.0
        return "".join(blocks[min(7, int(8 * (time - low) / width))] for time in times)


@dataclasses.dataclass(frozen=True)
class TestHistory:
    """A test in all runs.  ``seen`` are its latest results, newest first; ``runs`` counts all."""

    __test__ = False  # not for pytest to collect

    id: str
    runs: int
    counts: Mapping[Outcome, int]
    first: PastResult
    seen: tuple[PastResult, ...]
    first_failed: PastResult | None
    last_failed: PastResult | None
    last_passed: PastResult | None
    flakes: Flakes
    trend: Trend


@dataclasses.dataclass(frozen=True)
class RunRow:
    """A run in the list of runs.

    ``counts`` are for the kernel that the verdict is about; ``there``: the run's folder exists.
    """

    id: str
    verb: str
    began: float
    seconds: float | None
    ended: str
    verdict: str
    code: int | None
    error: str
    series: str
    version: int
    source: str
    release: str
    counts: Mapping[str, int]
    folder: str
    there: bool
    host: str
    command: str
    accel: str
    pinned: bool = False


@dataclasses.dataclass(frozen=True)
class SideRow:
    """A kernel of a run: its build, the boot times of its guests, its tests."""

    name: str
    patch: int
    release: str
    kernel: str
    commit: str
    toolchain: str
    seconds: float
    reused: bool
    cached: bool
    warnings: int
    error: str
    counts: Mapping[str, int]
    boots: tuple[float, ...]
    failures: tuple[tuple[str, Outcome, str], ...]


@dataclasses.dataclass(frozen=True)
class TestedRevision:
    """A revision of a series: its runs, and the last one that reached a verdict."""

    version: int
    digest: str
    name: str
    runs: int
    first: float
    last: RunRow


@dataclasses.dataclass(frozen=True)
class SeriesHistory:
    """All revisions of a series, oldest first.

    ``failures`` are the tests that failed with any revision, with their last outcome per revision;
    None if the test was not run.
    """

    title: str
    lineage: str
    link: str
    revisions: tuple[TestedRevision, ...]
    failures: tuple[tuple[str, tuple[Outcome | None, ...]], ...]


@dataclasses.dataclass(frozen=True)
class SplatHistory:
    """Where a splat was seen: ``seen`` newest first, ``tests`` with counts ("": at boot)."""

    fingerprint: str
    title: str
    kind: str
    function: str
    times: int
    runs: int
    first: KernelInRun | None
    last: KernelInRun | None
    seen: tuple[KernelInRun, ...]
    tests: tuple[tuple[str, int], ...]


@dataclasses.dataclass(frozen=True)
class Match:
    """A test, series or splat that matches a search.

    ``word`` is its exact name, ``note`` a description.
    """

    kind: str
    word: str
    note: str
    last: float
