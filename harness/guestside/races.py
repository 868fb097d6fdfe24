# SPDX-License-Identifier: GPL-2.0-only
"""Tasks that do things at the same time, on several CPUs, chosen at random from a seed."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence

from harness.guestside.task import SECONDS, Task

# What one task may be told because of what the others do.  Anything else fails the race.
LOST = frozenset(
    {errno.EEXIST, errno.ENOENT, errno.EBUSY, errno.ENOTEMPTY, errno.EAGAIN, errno.EINVAL}
)

Step = Callable[[random.Random], object]


@dataclasses.dataclass(frozen=True)
class Ran:
    """What a task did: how many steps, and how many of them ended with which errno's name."""

    steps: int
    refused: dict[str, int]


def race(
    steps: Sequence[Step],
    *,
    seed: int,
    seconds: float,
    enter: Callable[[], None] | None = None,
    lost: frozenset[int] = LOST,
) -> list[Ran]:
    """Run each step again and again in a task of its own, for so many seconds.

    A task's choices depend on the seed and its place in ``steps`` alone; what the tasks do to one
    another is the kernel's.  An OSError in ``lost`` is part of the game; any other exception ends
    the race and is raised.  ``enter`` is called first in each task.
    """
    cpus = sorted(os.sched_getaffinity(0))
    deadline = time.monotonic() + seconds
    tasks = [
        Task(_run, step, f"{seed}:{place}", cpus[place % len(cpus)], deadline, lost, enter=enter)
        for place, step in enumerate(steps)
    ]
    try:
        return [task.result(seconds + SECONDS) for task in tasks]
    finally:
        for task in tasks:
            task.kill()


def _run(step: Step, seed: str, cpu: int, deadline: float, lost: frozenset[int]) -> Ran:
    os.sched_setaffinity(0, {cpu})
    chance = random.Random(seed)
    refused: Counter[str] = Counter()
    count = 0
    while time.monotonic() < deadline:
        count += 1
        try:
            step(chance)
        except OSError as error:
            if error.errno not in lost:
                error.add_note(f"step {count} of the task with seed {seed}")
                raise
            refused[errno.errorcode[error.errno or 0]] += 1
    return Ran(count, dict(refused))


def ignoring(*calls: Callable[[], object]) -> None:
    """Make all these calls, whatever becomes of each."""
    for call in calls:
        with contextlib.suppress(OSError):
            call()
