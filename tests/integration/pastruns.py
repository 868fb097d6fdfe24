# SPDX-License-Identifier: GPL-2.0-only
"""Made-up runs for tests of the history."""

from __future__ import annotations

import dataclasses

from harness.history import write
from harness.history.database import Database
from harness.history.run_facts import (
    Ended,
    GuestFacts,
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

PASS, FAIL, CRASH, NOTRUN = Outcome.PASS, Outcome.FAIL, Outcome.CRASH, Outcome.NOTRUN
SPLAT = SplatFacts("5p1a7", "WARNING in configfs_rmdir", "WARNING", "configfs_rmdir")


def side(name: str, kernel: str, digest: str, **outcomes: Outcome) -> SideFacts:
    """A side whose tests are named by the keywords; a crash leaves a splat."""
    tests = [
        TestFacts(
            f"suite/test_it.py::{test}",
            outcome,
            0.25,
            message="" if outcome is PASS else f"E {test} is not well",
            splats=(SPLAT,) if outcome is CRASH else (),
        )
        for test, outcome in outcomes.items()
    ]
    guests = (GuestFacts("guest0", "done", 4.5), GuestFacts("guest1", "boot", None))
    session = SessionFacts(digest, float(int(digest[-3:])), "tcg", tuple(tests), guests)
    known = KernelFacts(kernel, "7.2.13", f"commit {kernel}", "x86_64", "c0", "gcc 12")
    return SideFacts(name, known, session, seconds=61.5, warnings=2)


def facts(number: int, *sides: SideFacts, version: int = 1, **more: object) -> RunFacts:
    made = RunFacts(
        id=f"run{number:05}",
        verb="run",
        host=HostFacts("host", "home", "Linux", 4, 2048),
        began=float(number),
        seconds=10.0,
        ended=Ended.DONE,
        verdict=Verdict.BAD,
        code=1,
        series=SeriesFacts(
            "demo", "demo", f"[PATCH v{version}] demo", version, f"digest {version}"
        ),
        sides=sides,
    )
    return dataclasses.replace(made, **more)  # type: ignore[arg-type]


def put(url: str, *some: RunFacts) -> None:
    with Database(url).writing() as connection:
        for one in some:
            write.write(connection, one)


def story(url: str) -> None:
    """Three runs of two revisions; all use the same session of the base."""
    base = side("base", "b", "base-001", same=PASS, fixed=FAIL)
    cached = dataclasses.replace(base, cached=True)
    put(
        url,
        facts(2, base, side("patched", "p1", "one-002", same=PASS, fixed=PASS, broken=CRASH)),
        facts(3, cached, side("patched", "p1", "one-003", same=FAIL, fixed=PASS, broken=CRASH)),
        facts(
            4,
            cached,
            side("patched", "p2", "two-004", same=PASS, fixed=PASS, broken=PASS, late=NOTRUN),
            version=2,
            verdict=Verdict.GOOD,
            code=0,
        ),
    )
