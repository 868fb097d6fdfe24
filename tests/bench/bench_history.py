# SPDX-License-Identifier: GPL-2.0-only
"""Measure the size of the history of 1000 runs of 2000 tests, and the time of queries.

Two of three sessions are on patched kernels; half a percent of the tests fail.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import figures

from harness.history import queries, run_queries, write
from harness.history.database import Database
from harness.history.run_facts import (
    Ended,
    HostFacts,
    KernelFacts,
    RunFacts,
    SeriesFacts,
    SessionFacts,
    SideFacts,
    SplatFacts,
    TestFacts,
)
from harness.model import Outcome, Verdict

RUNS, TESTS = 1000, 2000
HOUR = 3600.0
NAMES = [
    f"tests/guest/sub{n % 20}/test_file{n % 57}.py::TestClass{n % 211}::test_that_number_{n}_holds"
    for n in range(TESTS)
]
SPLATS = [SplatFacts(f"{n:016x}", f"WARNING in f{n}", "WARNING", f"f{n}") for n in range(40)]


def results(dice: random.Random) -> Iterator[TestFacts]:
    """Make up the results of a session."""
    for number, name in enumerate(NAMES):
        bad = dice.random() < 0.005
        skip = Outcome.SKIP if number % 50 == 0 else Outcome.PASS
        splats = (dice.choice(SPLATS),) if dice.random() < 0.0005 else ()
        message = f"AssertionError: assert {number} == {dice.randrange(9)}" if bad else ""
        outcome = Outcome.FAIL if bad else skip
        yield TestFacts(name, outcome, dice.expovariate(1), (outcome,), message, splats)


def past(number: int, dice: random.Random) -> RunFacts:
    """Make up a run: one of thirty series, every second one with its base tested."""
    sides = []
    for side in ("base", "patched")[number % 2 :]:
        key = KernelFacts(f"{side}-{number % 300}", "7.2.13", f"{number:040x}", "x86_64")
        at = number * HOUR
        sides.append(
            SideFacts(side, key, SessionFacts(f"{side}-{number}", at, "tcg", (*results(dice),)))
        )
    title, version = f"series {number % 30}", number // 100 + 1
    return RunFacts(
        id=f"a{number:07x}",
        verb="run",
        host=HostFacts("host", "home"),
        began=number * HOUR,
        seconds=100.0,
        ended=Ended.DONE,
        verdict=Verdict.BAD,
        code=1,
        series=SeriesFacts(title, title, title, version, f"{title} {version}"),
        sides=tuple(sides),
    )


def main() -> int:
    """Write all runs, run every query, and record size and times."""
    dice, writes = random.Random(1), []
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/history.db")
        for number in range(RUNS):
            one = past(number, dice)
            begin = time.monotonic()
            with database.writing() as connection:
                write.write(connection, one)
            writes.append(time.monotonic() - begin)
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        with database.reading() as connection:
            queries_by_name: dict[str, Callable[[], object]] = {
                "a test": lambda: queries.of_test(connection, NAMES[407]),
                "a series": lambda: run_queries.of_series(connection, "series 7"),
                "a splat": lambda: queries.of_splat(connection, SPLATS[7].fingerprint),
                "words": lambda: queries.find(connection, "test_"),
                "runs": lambda: run_queries.runs(connection),
                "a run": lambda: run_queries.sides(connection, "a0000100"),
            }
            taken = {}
            for what, query in queries_by_name.items():
                begin = time.monotonic()
                assert query()
                taken[what] = time.monotonic() - begin
    slowest = max(taken, key=lambda what: taken[what])
    asked = ", ".join(f"{what} {seconds:.2f}" for what, seconds in taken.items())
    cells = (f"{size / 1e6:.0f} MB", f"{sorted(writes)[RUNS // 2]:.2f}", asked, "< 1")
    figures.row("History of 1000 runs of 2000 tests: seconds", *cells)
    return int(taken[slowest] >= 1)


if __name__ == "__main__":
    sys.exit(main())
