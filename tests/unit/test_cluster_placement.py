# SPDX-License-Identifier: GPL-2.0-only
"""Which trial a free worker takes: builds cost what differs, so neighbours stay together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from harness.cluster.placement import (
    UNKNOWN,
    BuildPlace,
    Durations,
    KnownWorker,
    QueuedTrial,
    choose,
)

NEEDS = {"trial": 1.0}
MEASURED = Durations(trials=10, seconds=600.0, longest=300.0)


def trial(number: float, config: str = "c", **more: object) -> QueuedTrial:
    fields = {"needs": NEEDS, **more}
    return QueuedTrial(f"{config}{number:g}", BuildPlace(config, number), **fields)  # type: ignore[arg-type]


def workers(count: int) -> list[KnownWorker]:
    return [KnownWorker(f"tcp://{n}", f"w{n}", NEEDS) for n in range(count)]


def done(queue: Sequence[QueuedTrial], count: int) -> dict[str, list[float]]:
    """Let workers do trials of the same length; return the commits of each, in order."""
    queue, present, now = list(queue), workers(count), 0.0
    took: dict[str, list[float]] = {known.name: [] for known in present}
    durations = Durations(trials=1, seconds=60.0, longest=10.0)
    while queue:
        for known in present:
            chosen = choose(known, queue, present, durations, now)
            if chosen is not None:
                queue.remove(chosen)
                known.runs, known.since = chosen, now
                took[known.name].append(chosen.place.number)
        now += 60.0
        for known in present:
            if known.runs is not None:
                known.places[known.runs.place.config] = known.runs.place
                known.runs = None
    return took


def test_two_workers_go_through_neighbours_and_meet() -> None:
    took = done([trial(n) for n in range(9)], 2)
    assert took == {"w0": [0, 1, 2, 3, 4], "w1": [8, 7, 6, 5]}


def test_three_workers_begin_far_apart() -> None:
    took = done([trial(n) for n in range(9)], 3)
    assert [numbers[0] for numbers in took.values()] == [0, 8, 4]
    assert sorted(n for numbers in took.values() for n in numbers) == list(range(9))
    steps = [abs(a - b) for numbers in took.values() for a, b in itertools.pairwise(numbers)]
    assert max(steps) <= 4
    assert sum(step == 1 for step in steps) >= len(steps) - 1


def test_a_worker_with_the_config_is_nearer_than_one_without() -> None:
    old, new = workers(2)
    old.places["c"] = BuildPlace("c", UNKNOWN)
    queue = [trial(0, "d"), trial(5)]
    assert choose(old, queue, [old, new], MEASURED, 0.0) == queue[1]
    assert choose(new, queue[:1], [old, new], MEASURED, 0.0) == queue[0]


@pytest.mark.parametrize(("elapsed", "waits"), [(0.0, True), (59.0, True), (1000.0, False)])
def test_a_trial_is_left_to_a_busy_neighbour_unless_that_takes_longer_than_a_build(
    elapsed: float, waits: bool
) -> None:
    busy, free = workers(2)
    busy.runs, busy.since = trial(1), 0.0
    chosen = choose(free, [trial(2)], [busy, free], MEASURED, elapsed)
    assert (chosen is None) is waits


def test_only_one_trial_is_left_to_a_busy_worker() -> None:
    busy, free = workers(2)
    busy.runs = trial(1)
    queue = [trial(2), trial(9)]
    assert choose(free, queue, [busy, free], MEASURED, 0.0) == queue[1]


def test_a_lost_trial_goes_to_another_worker_if_there_is_one() -> None:
    first, second = workers(2)
    lost = trial(1, lost_on=("w0",))
    assert choose(first, [lost], [first, second], MEASURED, 0.0) is None
    assert choose(second, [lost], [first, second], MEASURED, 0.0) == lost
    assert choose(first, [lost], [first], MEASURED, 0.0) == lost


def test_a_worker_takes_only_what_it_can_do() -> None:
    (known,) = workers(1)
    kvm = trial(1, needs={"trial": 1.0, "kvm": 1.0})
    assert choose(known, [kvm], [known], MEASURED, 0.0) is None
    known.resources = {"trial": 1.0, "kvm": 1.0}
    assert choose(known, [kvm], [known], MEASURED, 0.0) == kvm


def test_a_worker_rests_after_a_fault_of_its_machine() -> None:
    (known,) = workers(1)
    known.rests = 10.0
    assert choose(known, [trial(1)], [known], MEASURED, 9.0) is None
    assert choose(known, [trial(1)], [known], MEASURED, 11.0) == trial(1)
