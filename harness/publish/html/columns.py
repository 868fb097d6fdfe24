# SPDX-License-Identifier: GPL-2.0-only
"""A column of the table of tests: one kernel, what ran on it, and where its evidence is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from harness.guest import records as guest_records
from harness.model import GuestRecord, Run, Test
from harness.results import journal

BASE = "base"


@dataclasses.dataclass(frozen=True)
class Column:
    """``label`` names it in the table, ``about`` says what it is; ``cached``: of an earlier run."""

    label: str
    about: str
    folder: Path
    tests: tuple[Test, ...]
    guests: tuple[GuestRecord, ...] = ()
    cached: bool = False

    @property
    def bad(self) -> frozenset[str]:
        """The tests that are not good."""
        return frozenset(test.id for test in self.tests if test.outcome.bad)


def of_run(run: Run, folder: Path) -> tuple[Column, ...]:
    """Give a run's kernels; its folder may have moved since."""
    return tuple(
        Column(
            label=side.side.value,
            about=f"{side.kernel.release}, {side.kernel.commit[:12]}",
            folder=folder / side.side,
            tests=side.tests,
            guests=side.guests,
            cached=side.cached,
        )
        for side in run.sides
    )


def command(folder: Path) -> str:
    """Give the command line of a run; empty where nobody wrote it down."""
    try:
        return (folder / "command").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def of_folder(label: str, about: str, folder: Path, *, stopped: bool = False) -> Column:
    """Read what a folder of evidence says by itself; ``stopped``: its run has not ended."""
    records = [guest_records.read_record(one) for one in guest_records.taken(folder / "guests")]
    guests = tuple(one for one in records if one is not None)
    return Column(label, about, folder, journal.read(folder, stopped=stopped), guests)
