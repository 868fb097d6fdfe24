# SPDX-License-Identifier: GPL-2.0-only
"""Which trial a free worker takes next.  Pure; Dask starts it there.

A build costs what differs from the last one in its folder.  So a worker goes through neighbours:
commits that follow one another, with the same config.  A worker that has built nothing of a config
begins as far from all others as it can, so that they meet in the middle.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence

_LOOKED_AT = 500  # queued trials: of more, the later ones wait
UNKNOWN = 1e9  # the place of a commit in a folder that an earlier command has left
_BUILD, _TRIAL = 600.0, 900.0  # seconds, as long as nothing was measured


@dataclasses.dataclass(frozen=True)
class BuildPlace:
    """Where a trial lies: its build folder's config, and its commit's place among the others."""

    config: str
    number: float = 0.0

    def distance(self, other: BuildPlace | None) -> float:
        """How much a build must do in a folder that has ``other``: infinite for another config."""
        if other is None or other.config != self.config:
            return math.inf
        return abs(self.number - other.number)


@dataclasses.dataclass(frozen=True)
class QueuedTrial:
    """A trial that no worker has yet.

    ``needs`` are Dask resources.  ``lost_on`` are the workers that it was lost on.
    """

    key: str
    place: BuildPlace
    needs: Mapping[str, float]
    lost_on: tuple[str, ...] = ()


@dataclasses.dataclass
class KnownWorker:
    """What the driver knows of a worker; times are those of time.monotonic().

    ``places`` are its build folders, by config.  ``runs`` is the trial that it has, ``since`` when
    it got it.  Until ``rests`` it gets none, since its machine was at fault.  ``absent`` counts how
    often the scheduler did not list it.
    """

    address: str
    name: str
    resources: Mapping[str, float]
    places: dict[str, BuildPlace] = dataclasses.field(default_factory=dict)
    runs: QueuedTrial | None = None
    since: float = 0.0
    rests: float = 0.0
    faults: int = 0
    absent: int = 0

    def can(self, trial: QueuedTrial) -> bool:
        """Whether the worker has all that a trial needs."""
        return all(self.resources.get(name, 0) >= amount for name, amount in trial.needs.items())

    def distance(self, trial: QueuedTrial) -> float:
        """How far the worker's build folder, as it will be, is from a trial's commit."""
        if self.runs is not None and self.runs.place.config == trial.place.config:
            return trial.place.distance(self.runs.place)
        return trial.place.distance(self.places.get(trial.place.config))


@dataclasses.dataclass
class Durations:
    """How long trials and the builds in them took so far, in seconds."""

    trials: int = 0
    seconds: float = 0.0
    longest: float = 0.0

    def add(self, seconds: float, building: float) -> None:
        """Count a trial that has ended."""
        self.trials, self.seconds = self.trials + 1, self.seconds + seconds
        self.longest = max(self.longest, building)

    @property
    def trial(self) -> float:
        """The mean of a trial."""
        return self.seconds / self.trials if self.trials else _TRIAL

    @property
    def build(self) -> float:
        """A build in a new folder: the longest so far, since most only do what differs."""
        return self.longest if self.trials else _BUILD


def choose(
    worker: KnownWorker,
    queue: Sequence[QueuedTrial],
    workers: Collection[KnownWorker],
    durations: Durations,
    now: float,
) -> QueuedTrial | None:
    """Return the trial for a free worker; None if it should not take any now.

    A trial that was lost goes to a worker that has not lost it, if there is one.
    """
    if worker.runs is not None or now < worker.rests:
        return None
    others = [other for other in workers if other is not worker]
    able = [
        trial
        for trial in queue[:_LOOKED_AT]
        if worker.can(trial) and not _better_elsewhere(worker, trial, others)
    ]
    if not able:
        return None
    near = [trial for trial in able if worker.distance(trial) < math.inf]
    if near:
        return min(near, key=worker.distance)
    left = _left_to_others(able, others, durations, now)
    free = [trial for trial in able if trial.key not in left]
    if not free:
        return None
    if len(free) == 1 or not any(other.runs for other in others):
        return free[0]
    # With the same worth the first is taken, so the order of the queue counts.
    return max(free, key=lambda trial: _loneliness(trial, others))


def _better_elsewhere(
    worker: KnownWorker, trial: QueuedTrial, others: Collection[KnownWorker]
) -> bool:
    """Whether the worker has lost this trial, and another one has not."""
    lost = trial.lost_on
    return worker.name in lost and any(o.can(trial) and o.name not in lost for o in others)


def _left_to_others(
    able: Sequence[QueuedTrial],
    others: Collection[KnownWorker],
    durations: Durations,
    now: float,
) -> set[str]:
    """Return the trials that a busy worker will have done sooner than a new folder is built."""
    left: set[str] = set()
    for other in others:
        if other.runs is None:
            continue
        ready = abs(durations.trial - (now - other.since))  # one that is late may stay so
        near = [t for t in able if t.key not in left and other.distance(t) < math.inf]
        if near and other.can(near[0]) and ready < durations.build:
            left.add(min(near, key=other.distance).key)
    return left


def _loneliness(trial: QueuedTrial, others: Collection[KnownWorker]) -> float:
    """How far a trial is from all that others build."""
    return min((other.distance(trial) for other in others), default=math.inf)
