# SPDX-License-Identifier: GPL-2.0-only
"""Tasks that race on several CPUs, with random choices from a seed."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import mmap
import os
import random
import select
from collections import Counter
from collections.abc import Callable, Sequence

from harness.guestside import wait
from harness.guestside.task import Task, stack

# Errors that a task may get because of the other tasks.  Any other error fails the race.
LOST = frozenset(
    {errno.EEXIST, errno.ENOENT, errno.EBUSY, errno.ENOTEMPTY, errno.EAGAIN, errno.EINVAL}
)

Step = Callable[[random.Random], object]


@dataclasses.dataclass(frozen=True)
class RaceResult:
    """A task's result: its number of steps, and how often they failed, by errno name."""

    steps: int
    refused: dict[str, int]


def race(
    steps: Sequence[Step], *, seed: int, rounds: int, lost: frozenset[int] = LOST
) -> list[RaceResult]:
    """Run each step repeatedly in its own task, until every task has done ``rounds``.

    No task stops before that, so that even the slowest races against all others to its end.  A
    task's choices depend only on the seed and its index in ``steps``.  An OSError in ``lost`` is
    expected; any other exception ends the race and is raised, and a step that does not end raises
    TimeoutError.
    """
    done = memoryview(mmap.mmap(-1, 8 * len(steps))).cast("Q")  # shared: each task's steps so far
    tasks = [Task(_run, step, place, seed, done, rounds, lost) for place, step in enumerate(steps)]
    try:
        ended = _first_to_end(tasks, done)
        # A task that ended before the others has an exception, so it comes first.
        results = {t: t.result() for t in sorted(tasks, key=lambda task: task not in ended)}
        return [results[task] for task in tasks]
    finally:
        for task in tasks:
            task.kill()


def _first_to_end(tasks: Sequence[Task], done: memoryview) -> list[Task]:
    before = [0] * len(tasks)
    while True:
        ended: list[Task] = select.select(tasks, [], [], wait.PATIENCE)[0]
        if ended:
            return ended
        now = list(done)
        for task, count, earlier in zip(tasks, now, before, strict=True):
            if count == earlier:
                raise TimeoutError(f"task {task.pid} hangs in step {count + 1}:\n{stack(task.pid)}")
        before = now


def _run(
    step: Step, place: int, seed: int, done: memoryview, rounds: int, lost: frozenset[int]
) -> RaceResult:
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpus[place % len(cpus)]})
    chance = random.Random(f"{seed}:{place}")
    refused: Counter[str] = Counter()
    while min(done) < rounds:
        try:
            step(chance)
        except OSError as error:
            if error.errno not in lost:
                error.add_note(f"step {done[place] + 1} of task {place} with seed {seed}")
                raise
            refused[errno.errorcode[error.errno or 0]] += 1
        done[place] += 1
    return RaceResult(done[place], dict(refused))


def ignoring(*calls: Callable[[], object]) -> None:
    """Make all calls, and ignore OSError."""
    for call in calls:
        with contextlib.suppress(OSError):
            call()
