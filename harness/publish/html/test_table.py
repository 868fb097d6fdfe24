# SPDX-License-Identifier: GPL-2.0-only
"""The table of tests by kernels: one table per file, or several for a file with many tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.model import ChangeKind, GuestRecord, Outcome, Run, Test, change_kind
from harness.results import evidence, journal
from harness.results.regression import counts

BASE = "base"
PART = 250  # maximum number of tests in a table; a browser only lays out open tables

# The table's word for each kind of change; "other" for the rest.
_CHANGES = {
    **dict.fromkeys((ChangeKind.REGRESSION, ChangeKind.SUSPECT), "broken"),
    ChangeKind.FIX: "fixed",
    **{kind: kind.value for kind in (ChangeKind.FLAKY, ChangeKind.NEW, ChangeKind.GONE)},
    ChangeKind.SAME: "",
}


@dataclasses.dataclass(frozen=True)
class KernelColumn:
    """A kernel, the tests that ran on it, and the folder with its logs.

    ``label`` is its name in the table, ``about`` is its description; ``cached``: the results are
    from an earlier run.
    """

    label: str
    about: str
    folder: Path
    tests: tuple[Test, ...]
    guests: tuple[GuestRecord, ...] = ()
    cached: bool = False

    @property
    def bad(self) -> frozenset[str]:
        """The tests that are bad."""
        return frozenset(test.id for test in self.tests if test.outcome.bad)


@dataclasses.dataclass(frozen=True)
class TestRow:
    """A test with its result on each kernel; None if it was not supposed to run there.

    ``change`` is the table's word for the change from the first kernel to the last.
    """

    __test__ = False  # not for pytest to collect

    id: str
    cells: tuple[Test | None, ...]
    change: str = ""

    @property
    def judged(self) -> Test:
        """The result on the judged kernel, which is the last."""
        return self.cells[-1] or Test(self.id, Outcome.NOTRUN)


@dataclasses.dataclass(frozen=True)
class TestGroup:
    """The tests of a file, or a ``part`` of them if there are many."""

    __test__ = False  # not for pytest to collect

    file: str
    rows: tuple[TestRow, ...]
    part: str = ""
    open: bool = False

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """The outcomes on the judged kernel."""
        return counts([row.judged for row in self.rows])


def columns(run: Run, folder: Path) -> tuple[KernelColumn, ...]:
    """Return a run's kernels; ``folder`` may have been moved since the run."""
    return tuple(
        KernelColumn(
            side.side.value,
            f"{side.kernel.release}, {side.kernel.commit[:12]}",
            folder / side.side,
            side.tests,
            side.guests,
            side.cached,
        )
        for side in run.sides
    )


def column(label: str, about: str, folder: Path, *, stopped: bool = False) -> KernelColumn:
    """Read a kernel from the folder with its logs; ``stopped``: its run is unfinished."""
    tests = journal.read(folder, stopped=stopped)
    return KernelColumn(label, about, folder, tests, evidence.records(folder))


def rows(
    kernels: Sequence[KernelColumn], kinds: Mapping[str, ChangeKind] | None = None
) -> tuple[TestRow, ...]:
    """Return the tests with their results side by side; the last kernel is the judged one.

    ``kinds`` are the kinds of changes after reruns.  A test that does not exist on the first or the
    last kernel is NOTRUN there; a kernel in between may have been tested with fewer tests.
    """
    if not kernels:
        return ()
    by_id = [{test.id: test for test in kernel.tests} for kernel in kernels]
    laid = []
    for name in dict.fromkeys(test.id for kernel in kernels for test in kernel.tests):
        cells = [tests.get(name) for tests in by_id]
        for end in (0, -1):
            cells[end] = cells[end] or Test(name, Outcome.NOTRUN)
        kind = (kinds or {}).get(name) or _kind(cells[0], cells[-1])
        change = change_word(kind)
        outcomes = {cell.outcome for cell in cells if cell is not None}
        # Good at both ends, but not in between: a commit that bisection must skip.
        laid.append(TestRow(name, tuple(cells), change or ("other" if len(outcomes) > 1 else "")))
    return tuple(laid)


def _kind(first: Test | None, last: Test | None) -> ChangeKind:
    base, judged = (test.outcome if test else Outcome.NOTRUN for test in (first, last))
    return change_kind(base, judged)


def change_word(kind: ChangeKind) -> str:
    """Return the table's word for a test's change; empty if the test stayed the same."""
    return _CHANGES.get(kind, "other")


def groups(table: Sequence[TestRow]) -> tuple[TestGroup, ...]:
    """Group rows by the files of their tests, at most PART in one group."""
    files: dict[str, list[TestRow]] = {}
    for row in table:
        files.setdefault(row.id.partition("::")[0], []).append(row)
    parts = []
    for file, in_file in files.items():
        many = len(in_file) > PART
        for begin in range(0, len(in_file), PART):
            part = tuple(in_file[begin : begin + PART])
            name = f"{begin + 1} to {begin + len(part)}" if many else ""
            bad = any(row.judged.outcome.bad for row in part)
            parts.append(TestGroup(file, part, name, bad and not many))
    return tuple(parts)
