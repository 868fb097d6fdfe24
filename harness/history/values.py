# SPDX-License-Identifier: GPL-2.0-only
"""What the history answers.  Times are seconds since the epoch, durations seconds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from harness.history.flakes import Flakes, Trend
from harness.model import Outcome


@dataclasses.dataclass(frozen=True)
class Where:
    """One kernel in one run: the run's id, which side, which revision of which series."""

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
class Seen:
    """A test's result in one session."""

    where: Where
    at: float
    outcome: Outcome
    seconds: float
    attempts: tuple[Outcome, ...]
    message: str = ""


@dataclasses.dataclass(frozen=True)
class TestHistory:
    """A test through all runs.  ``seen`` are the newest, newest first; ``runs`` counts all."""

    __test__ = False  # not for pytest to collect

    id: str
    runs: int
    counts: Mapping[Outcome, int]
    first: Seen
    seen: tuple[Seen, ...]
    first_failed: Seen | None
    last_failed: Seen | None
    last_passed: Seen | None
    flakes: Flakes
    trend: Trend


@dataclasses.dataclass(frozen=True)
class RunRow:
    """A run in a line.  ``counts`` are of the kernel it judged; ``there``: its folder exists."""

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
    """A kernel of a run: how it was made, how its guests booted, what its tests said."""

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
class Revision:
    """A revision of a series: its runs, and the last one that came to a verdict."""

    version: int
    digest: str
    name: str
    runs: int
    first: float
    last: RunRow


@dataclasses.dataclass(frozen=True)
class SeriesHistory:
    """All revisions of a series, the oldest first.

    ``failures`` are tests that failed with any revision: for each revision the last outcome, none
    where it was not run.
    """

    title: str
    lineage: str
    link: str
    revisions: tuple[Revision, ...]
    failures: tuple[tuple[str, tuple[Outcome | None, ...]], ...]


@dataclasses.dataclass(frozen=True)
class SplatHistory:
    """Where a splat was seen: ``seen`` newest first, ``tests`` with how often ("": at boot)."""

    fingerprint: str
    title: str
    kind: str
    function: str
    times: int
    runs: int
    first: Where | None
    last: Where | None
    seen: tuple[Where, ...]
    tests: tuple[tuple[str, int], ...]


@dataclasses.dataclass(frozen=True)
class Match:
    """Something that words could mean: a test, a series or a splat.

    ``word`` means it alone; ``note`` says what it is.
    """

    kind: str
    word: str
    note: str
    last: float
