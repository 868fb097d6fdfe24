# SPDX-License-Identifier: GPL-2.0-only
"""The scheduler of trials: 200 simulated workers, 10,000 trials; how long jobs take on N workers.

The first part is Dask itself with our driver, in one process: a scheduler, 200 workers that sleep
instead of building and testing.  Durations are those that docs/measurements.md and real runs have,
divided by SCALE.  The second part is arithmetic: the driver's own choices in virtual time.
"""

from __future__ import annotations

import dataclasses
import heapq
import json
import math
import os
import random
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import dask.config
import distributed

from harness import serial
from harness.bisect.search import GraphSearch, chain
from harness.cluster import connect, driver, placement, request, worker
from harness.cluster.placement import BuildPlace, Durations, KnownWorker, QueuedTrial
from harness.cluster.request import TrialReply, TrialRequest
from harness.model import NOTHING_FOLLOWED, Accel, Call, Checkout, Plan, Request, Side, Toolchain
from harness.progress import Progress

WORKERS, TRIALS = 200, 10_000
SCALE = float(sys.argv[3]) if sys.argv[3:] else 30.0
# Seconds on two processors without KVM, from docs/measurements.md and recorded runs.
FULL, HEADER, FILE = 600.0, 169.0, 25.0  # builds: a new folder, a header of everybody, one file
TESTS = (460.0, 568.0, 145.0, 88.0, 64.0, 24.0)  # suites of a kernel, whole and in parts
BOOT = 15.0  # one test alone in one guest
MUTANT = 40.0  # the tests that execute a line

# 200 workers have processes of their own; here each would measure the same machine twice
# a second, which took a third of all CPU time.
ONE_PROCESS = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "10m",
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.admin.tick.interval": "10m",
    "distributed.comm.timeouts.connect": "10m",
    "distributed.comm.timeouts.tcp": "10m",
}

TOOLCHAIN = Toolchain("x86_64", "gcc", "12.2")
EVIDENCE = request.archive(())
_built: dict[str, tuple[str, float]] = {}  # what each simulated worker built last
_slept: list[tuple[float, float]] = []  # when each trial began and ended


def described(name: str, token: str = "") -> worker.WorkerRecord:
    """Stand in for worker.describe."""
    return dataclasses.replace(
        worker.versions(name), qemu=True, memory=32_000, compilers=(worker.compiler(TOOLCHAIN),)
    )


def slept(
    key: str, text: str, topic: str, name: str, _work: worker.Work, _pack: bytes, _suites: bytes
) -> tuple[str, bytes]:
    """Stand in for worker.perform: sleep as long as a build and the tests would take."""
    wanted = json.loads(text)
    config, number = wanted["suites"], float(wanted["number"])
    before = _built.get(name)
    near = before is not None and before[0] == config
    build = (HEADER if number % 7 == 0 else FILE) if near else FULL
    tests = random.Random(key).choice(TESTS)
    begin = time.monotonic()
    time.sleep((build + tests) / SCALE)
    _slept.append((begin, time.monotonic()))
    _built[name] = config, number
    reply = TrialReply(
        key, name, checksum=request.digest_of(EVIDENCE), seconds=(build + tests) / SCALE,
        building=build / SCALE,
    )  # fmt: skip
    return json.dumps(serial.to_json(reply)), EVIDENCE


def wanted(number: int) -> TrialRequest:
    """One of the 10,000: commits in a row, of 50 configs."""
    checkout = Checkout(Path("linux"), f"{number:040x}", f"{number:040x}")
    config = f"config {number * 50 // TRIALS}"
    return TrialRequest(
        Plan(), Request(()), TOOLCHAIN, Accel.TCG, NOTHING_FOLLOWED, None, None, Side.PATCHED,
        checkout, config, number=number,
    )  # fmt: skip


def resident() -> float:
    """Return this process's memory in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def simulate(workers: int, trials: int) -> None:
    """Run the trials and print utilisation, CPU time per trial, and memory on the way."""
    library: Any = distributed  # its functions have no types
    local = library.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=False,
        memory_limit=0,
        dashboard_address=None,
    )
    with tempfile.TemporaryDirectory() as folder, local, library.Client(local) as client:
        quiet = Progress(quiet=True)
        with driver.Cluster(client, quiet, {}).working() as cluster:
            cluster.wait(workers)
            # A verb keeps only so many requests open.
            room, memory = threading.Semaphore(2 * workers), {0: resident()}
            begin, before = time.monotonic(), cpu()
            busy, left = 0.0, list[Any]()
            for number in range(trials):
                room.acquire()
                place = Path(folder) / str(number % (4 * workers))
                promise = cluster.submit(wanted(number), (b"pack", b"suites"), number, place)
                promise.add_done_callback(lambda _: room.release())
                left.append(promise)
                if number % (trials // 10) == 0:
                    busy += sum(one.result().seconds for one in left if one.done())
                    left = [one for one in left if not one.done()]
                    memory[number] = resident()
            queued = time.monotonic()
            busy += sum(promise.result().seconds for promise in left)
            wall, used = time.monotonic() - begin, cpu() - before
            own = time.thread_time() + thread_seconds("harness-cluster")
            memory[trials] = resident()
    ideal = busy / workers
    print(f"{workers} workers, {trials} trials, mean {busy / trials:.2f} s, wall {wall:.0f} s")
    print(f"utilisation {ideal / wall:.1%}: without scheduling it would take {ideal:.0f} s")
    steady = sum(max(0.0, min(end, queued) - start) for start, end in _slept)
    print(f"utilisation while trials were queued: {steady / workers / (queued - begin):.1%}")
    print(f"CPU a trial: {1000 * own / trials:.1f} ms in the driver's threads,")
    print(f"{1000 * used / trials:.1f} ms with Dask's scheduler and all workers")
    print("memory in MiB:", ", ".join(f"{number}: {mib:.0f}" for number, mib in memory.items()))


def thread_seconds(name: str) -> float:
    """Return the CPU time of a thread of this process."""
    (thread,) = (one for one in threading.enumerate() if one.name == name)
    fields = Path(f"/proc/self/task/{thread.native_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# Virtual time


def queue_seconds(
    workers: int, spots: list[BuildPlace], build: Callable[[float], float], tests: float
) -> float:
    """Return how long independent trials take; ``build`` maps a distance to seconds."""
    queue = [QueuedTrial(str(n), spot, {}) for n, spot in enumerate(spots)]
    present = [KnownWorker(str(n), str(n), {}) for n in range(workers)]
    durations, now, ends = Durations(), 0.0, list[tuple[float, int]]()
    while queue or ends:
        for number, known in enumerate(present):
            chosen = placement.choose(known, queue, present, durations, now)
            if chosen is not None:
                queue.remove(chosen)
                building = build(known.distance(chosen))
                known.runs, known.since = chosen, now
                durations.add(building + tests, building)
                heapq.heappush(ends, (now + building + tests, number))
        now, number = heapq.heappop(ends)
        done = present[number]
        assert done.runs is not None
        done.places[done.runs.place.config] = done.runs.place
        done.runs = None
    return now


def bisect_seconds(workers: int, size: int, culprit: int) -> float:
    """Return how long a bisection takes in which every worker tries a point of its own."""
    search, now = GraphSearch(chain(map(str, range(size)))), 0.0
    trying: dict[str, int] = {}
    new, ends = set(range(workers)), list[tuple[float, str]]()
    free = list(range(workers))
    while search.culprit is None:
        for name in search.section(workers, trying):
            if name not in trying and free:
                trying[name] = machine = free.pop()
                build = FULL if machine in new else HEADER
                new.discard(machine)
                heapq.heappush(ends, (now + build + BOOT, name))
        now, name = heapq.heappop(ends)
        if name not in trying:
            continue  # it was stopped
        free.append(trying.pop(name))
        search.take(name, Call.BAD if int(name) >= culprit else Call.GOOD)
        for other in set(trying) - set(search.section(workers, trying)):
            free.append(trying.pop(other))
    return now


def table() -> Iterator[str]:
    """Yield the rows of wall time against workers."""
    rand = random.Random(1)
    culprits = [rand.randrange(1000) for _ in range(30)]
    yield "| workers | check, 8 patches | bisect, 1,000 commits | mutate, 500 mutants of 10 files |"
    yield "|---|---|---|---|"
    for workers in (1, 2, 4, 8, 16, 32, 64):
        patches = [BuildPlace("series", n) for n in range(9)]
        check = queue_seconds(workers, patches, lambda d: FULL if d == math.inf else HEADER, 514.0)
        found = [bisect_seconds(workers, 1000, culprit) for culprit in culprits]
        mutants = [BuildPlace("series", n // 50 + n / 1000) for n in range(500)]
        mutate = queue_seconds(workers, mutants, lambda d: FULL if d == math.inf else FILE, MUTANT)
        cells = (check, sum(found) / len(found), mutate)
        yield f"| {workers} | " + " | ".join(f"{cell / 60:.0f} min" for cell in cells) + " |"


def main() -> int:
    """Run the simulation: WORKERS TRIALS SCALE; or with --table print the table."""
    if "--table" in sys.argv:
        print("\n".join(table()))
    else:
        dask.config.set({**connect.LOCAL_SCHEDULER, **ONE_PROCESS})
        with (
            mock.patch.object(worker, "describe", described),
            mock.patch.object(worker, "perform", slept),
        ):
            simulate(*(map(int, sys.argv[1:3]) if sys.argv[1:] else (WORKERS, TRIALS)))
    return 0


if __name__ == "__main__":
    import bench_cluster  # workers find the functions of a module, not those of a script

    sys.exit(bench_cluster.main())
