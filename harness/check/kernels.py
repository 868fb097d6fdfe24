# SPDX-License-Identifier: GPL-2.0-only
"""The columns that need kernels: build, sparse, tests, size.  Builds and boots overlap."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Mapping, Sequence

from harness.check import judge, size
from harness.check.boots import Booter, Tested
from harness.check.builds import Builder, Made
from harness.check.judge import Column
from harness.check.scripts import Scripts
from harness.check.values import WHOLE, Cell, Finding, Level, State
from harness.check.wish import Wish

_Testing = concurrent.futures.Future[Tested] | None


@dataclasses.dataclass
class Kernels:
    """Takes the base and then each patch in order; ``files`` are all that the series touches.

    ``booter`` is None when nothing is to be booted.  The last of ``total`` patches is always
    tested anew: the verdict is about it.
    """

    wish: Wish
    builder: Builder
    booter: Booter | None
    tools: Scripts
    files: tuple[str, ...]
    total: int
    made: list[Made] = dataclasses.field(default_factory=list)
    tested: list[_Testing] = dataclasses.field(default_factory=list)
    sparse: list[tuple[Finding, ...] | None] = dataclasses.field(default_factory=list)
    sizes: dict[int, tuple[Finding, ...]] = dataclasses.field(default_factory=dict)

    def take(self, made: Made) -> None:
        """Take the next commit's kernel: its tests begin, sparse and sizes are done here."""
        self.tested.append(self._test(made) if self.booter else None)
        if self.wish.wants("sparse"):
            self.sparse.append(self.builder.sparse(made, self.files))
        before = next((one for one in reversed(self.made) if one.kernel), None)
        if self.wish.wants("size") and before and made.kernel and before.digest != made.digest:
            self.sizes[len(self.made)] = size.compare(self.tools, before, made)
        self.made.append(made)

    def _test(self, made: Made) -> _Testing:
        assert self.booter is not None
        number = len(self.made)
        return self.booter.test(made, str(number or "base"), keep=number < self.total)

    @property
    def fault(self) -> str:
        """Say why guests could not be run, if so; waits for the tests."""
        return next(
            (found.error for one in self.tested if one and (found := one.result()).error), ""
        )

    def cells(self, renames: Mapping[str, str]) -> list[Cell]:
        """Make the cells; waits for the tests."""
        found: list[Cell] = []
        if self.wish.wants("build"):
            found += self._built(renames)
        if self.wish.wants("sparse"):
            rows = list(enumerate(self.sparse))[1:]
            column = Column("sparse", self.sparse[0], rows, self._unbuilt())
            found += judge.cells(column, renames)
        if self.wish.wants("size"):
            found += self._sized()
        if self.booter:
            found += self._tested(renames)
        return found

    def _rows(self) -> list[tuple[int, Made]]:
        return list(enumerate(self.made))[1:]

    def _unbuilt(self) -> dict[int, str]:
        return {number: "does not build" for number, made in self._rows() if not made.kernel}

    def _same(self) -> frozenset[int]:
        """Give the patches whose kernel is byte for byte the one before."""
        pairs = zip(self.made, self.made[1:], strict=False)
        return frozenset(
            n for n, (a, b) in enumerate(pairs, 1) if b.digest and a.digest == b.digest
        )

    def _built(self, renames: Mapping[str, str]) -> list[Cell]:
        base, rows = self.made[0], self._rows()
        errors = Column("build", base.errors, [(n, made.errors) for n, made in rows])
        notes = dict.fromkeys(self._same(), "same kernel as before")
        old = base.warnings
        more = {WHOLE: f"the base has {len(old)} warnings"} if old else {}
        warnings = Column("build", old, [(n, m.warnings) for n, m in rows], {**notes, **more})
        parts = (judge.cells(errors, renames), judge.cells(warnings, renames))
        return judge.merged("build", *parts)

    def _sized(self) -> list[Cell]:
        """Make the cells of sizes: each is what one patch alone changes."""
        same, found = self._same(), []
        for number, _ in self._rows():
            grown = self.sizes.get(number, ())
            state = State.SAME if number in same else State.GOOD if grown else State.UNKNOWN
            note = size.summary(grown) or self._unbuilt().get(number, "")
            found.append(Cell(number, "size", state, grown, note))
        first, last = self.made[0], self.made[-1]
        if first.kernel and last.kernel and first.digest != last.digest:
            note = size.summary(size.compare(self.tools, first, last))
            found.append(Cell(WHOLE, "size", State.GOOD, note=note))
        return found

    def _tested(self, renames: Mapping[str, str]) -> list[Cell]:
        results = [one.result() if one else None for one in self.tested]
        known = [one.findings if one else None for one in results]
        notes = {n: one.note for n, one in enumerate(results) if one}
        same = self._same()
        notes |= dict.fromkeys(same, "same kernel as before: not booted again")
        notes |= self._unbuilt()
        base = results[0]
        if base and base.findings:
            notes[WHOLE] = f"{len(base.findings)} fail on the base already"
        rows: Sequence[tuple[int, tuple[Finding, ...] | None]] = list(enumerate(known))[1:]
        column = Column("tests", known[0], rows, notes, same)
        return [_with_fixes(one, known) for one in judge.cells(column, renames)]


def _with_fixes(one: Cell, known: Sequence[tuple[Finding, ...] | None]) -> Cell:
    """Add what failed before this patch and does not any more."""
    before, after = known[one.patch - 1] if one.patch else known[0], known[one.patch or -1]
    if before is None or after is None:
        return one
    left = {finding.rule for finding in after}
    fixed = [finding for finding in before if finding.rule not in left and finding.rule]
    found = tuple(
        Finding(Level.NOTE, "fixed", finding.file, 0, finding.rule, one.patch) for finding in fixed
    )
    words = f"fixes {len(fixed)} tests" if fixed else ""
    note = "; ".join(part for part in (one.note, words) if part)
    return dataclasses.replace(one, findings=one.findings + (found if one.patch else ()), note=note)
