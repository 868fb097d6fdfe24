# SPDX-License-Identifier: GPL-2.0-only
"""The columns that need kernels: build, sparse, smatch, tests, size, layout.

Builds and boots overlap.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.check import judge, layout, size
from harness.check.boots import Booter, Tested
from harness.check.builds import Builder, Made
from harness.check.checkers import COMMANDS, Checkers
from harness.check.judge import Column
from harness.check.scripts import Scripts
from harness.check.wish import Wish
from harness.lab import rerun
from harness.model import WHOLE_SERIES, Cell, CellState, ChangeKind, Checkout, Finding, Severity
from harness.publish import sentences
from harness.results.regression import changes

_Testing = concurrent.futures.Future[Tested] | None


@dataclasses.dataclass
class Kernels:
    """Takes the base and then each patch in order; ``files`` are all that the series touches.

    ``booter`` is None when nothing is to be booted.  The last of ``total`` patches is always
    tested anew: the verdict is about it.  Evidence goes to ``place``.
    """

    wish: Wish
    builder: Builder
    booter: Booter | None
    tools: Scripts
    files: tuple[str, ...]
    total: int
    place: Path
    made: list[Made] = dataclasses.field(default_factory=list)
    tested: list[_Testing] = dataclasses.field(default_factory=list)
    checked: list[Mapping[str, tuple[Finding, ...]]] = dataclasses.field(default_factory=list)
    sizes: dict[int, tuple[Finding, ...]] = dataclasses.field(default_factory=dict)
    layouts: dict[int, tuple[Finding, ...]] = dataclasses.field(default_factory=dict)
    _known: layout.Layouts | None = None
    _first: _Testing = None

    def begin(self, tip: Checkout, tests: Sequence[str]) -> None:
        """Build the tip and run on it what failed in the revision before: it is asked first."""
        if self.booter:
            self._first = self.booter.again(self.builder.make(tip), tests)

    def take(self, made: Made) -> None:
        """Take the next commit's kernel: its tests begin, everything else is done here."""
        self.tested.append(self._test(made) if self.booter else None)
        if names := self._checkers:
            slot, lab = self.builder.slot, self.builder.lab
            words = (slot, lab.request, lab.toolchain, lab.plan.jobs, lab.progress)
            self.checked.append(Checkers(*words).look(names, made, self.files))
        before = next((one for one in reversed(self.made) if one.kernel), None)
        if self.wish.wants("size") and before and made.kernel and before.digest != made.digest:
            self.sizes[len(self.made)] = size.compare(self.tools, before, made)
        if self.wish.wants("layout"):
            self._lay(before, made)
        self.made.append(made)

    @property
    def _checkers(self) -> list[str]:
        return [name for name in COMMANDS if self.wish.wants(name)]

    def _lay(self, before: Made | None, made: Made) -> None:
        """Compare the structures with those of the kernel before."""
        if made.kernel is None or not layout.installed():
            return
        if before and before.digest == made.digest:
            return
        with self.builder.lab.progress.stage("layout", made.checkout.commit[:12]):
            old, self._known = self._known, layout.read(made.kernel)
        if before and old is not None and self._known is not None:
            number = len(self.made)
            self.layouts[number] = found = layout.compare(old, self._known)
            if found:
                layout.write(self.place, number, layout.difference(old, self._known))

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
        for name in self._checkers:
            known = [one.get(name) for one in self.checked]
            notes = {n: "it could not be run" for n, one in enumerate(known) if one is None}
            column = Column(name, known[0], list(enumerate(known))[1:], notes | self._unbuilt())
            found += judge.cells(column, renames)
        if self.wish.wants("size"):
            found += self._sized()
        if self.wish.wants("layout"):
            found += self._laid()
        if self.booter:
            found += self._tested(renames)
        if self._first:
            found.append(self._again(self._first.result()))
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
        more = {WHOLE_SERIES: f"the base has {len(old)} warnings"} if old else {}
        warnings = Column("build", old, [(n, m.warnings) for n, m in rows], {**notes, **more})
        parts = (judge.cells(errors, renames), judge.cells(warnings, renames))
        return judge.merged("build", *parts)

    def _sized(self) -> list[Cell]:
        """Make the cells of sizes: each is what one patch alone changes."""
        same, found = self._same(), []
        for number, _ in self._rows():
            grown = self.sizes.get(number, ())
            state = (
                CellState.SAME if number in same else CellState.GOOD if grown else CellState.UNKNOWN
            )
            note = size.summary(grown) or self._unbuilt().get(number, "")
            found.append(Cell(number, "size", state, grown, note))
        first, last = self.made[0], self.made[-1]
        if first.kernel and last.kernel and first.digest != last.digest:
            note = size.summary(size.compare(self.tools, first, last))
            found.append(Cell(WHOLE_SERIES, "size", CellState.GOOD, note=note))
        return found

    def _laid(self) -> list[Cell]:
        """Make the cells of layouts; without pahole or debug info they say so once."""
        if not layout.installed():
            return [Cell(WHOLE_SERIES, "layout", CellState.UNKNOWN, note="pahole is not installed")]
        if self._known is None and any(one.kernel for one in self.made):
            note = "the kernels have no debug info (CONFIG_DEBUG_INFO)"
            return [Cell(WHOLE_SERIES, "layout", CellState.UNKNOWN, note=note)]
        same, unbuilt, found = self._same(), self._unbuilt(), []
        for number, _ in self._rows():
            known = self.layouts.get(number)
            state = CellState.SAME if number in same else CellState.GOOD
            state = CellState.UNKNOWN if known is None and number not in same else state
            found.append(Cell(number, "layout", state, known or (), unbuilt.get(number, "")))
        return found

    def _again(self, known: Tested) -> Cell:
        """Say what became of the failures of the revision before."""
        if known.result is None:
            note = f"what failed in the revision before could not be run again: {known.error}"
            return Cell(WHOLE_SERIES, "tests", CellState.GOOD, (), note)
        tests = known.result.tests
        bad = [one for one in tests if one.outcome.bad]
        still = f"{len(bad)} still fail" if bad else "all pass now"
        note = f"of the revision before {len(tests)} tests failed: {still}"
        words = "failed in the revision before, and still: "
        found = tuple(
            Finding(Severity.NOTE, f"{words}{one.headline}", one.id.partition("::")[0], 0, one.id)
            for one in bad
        )
        return Cell(WHOLE_SERIES, "tests", CellState.GOOD, found, note)

    def _tested(self, renames: Mapping[str, str]) -> list[Cell]:
        results = [one.result() if one else None for one in self.tested]
        bad = {one.id for one in results[0].tests if one.outcome.bad} if results[0] else set()
        flaky = self._flaky(results)
        known = [one.findings(bad, flaky) if one else None for one in results]
        notes = {n: one.note for n, one in enumerate(results) if one}
        same = self._same()
        notes |= dict.fromkeys(same, "same kernel as before: not booted again")
        notes |= self._unbuilt()
        base = results[0]
        if base and known[0]:
            notes[WHOLE_SERIES] = (
                f"{sentences.number(len(bad), 'test')} failing on the base already"
            )
        rows: Sequence[tuple[int, tuple[Finding, ...] | None]] = list(enumerate(known))[1:]
        column = Column("tests", known[0], rows, notes, same)
        return [_with_fixes(one, known) for one in judge.cells(column, renames)]

    def _flaky(self, results: Sequence[Tested | None]) -> frozenset[str]:
        """Run again what looks broken, on the base and where it breaks; give what is flaky."""
        assert self.booter is not None
        base, place = results[0], self.place
        seen: set[str] = set()
        flaky: set[str] = set()
        for number, one in enumerate(results[1:], 1) if base else ():
            assert base is not None
            some = changes(base.tests, one.tests) if one else ()
            new = [c for c in some if c.kind is ChangeKind.SUSPECT and c.test not in seen]
            times = self.booter.lab.plan.reruns if len(seen) < rerun.MANY else 0
            seen |= {c.test for c in new}
            folders, own = (place / "base", place / str(number)), place / rerun.FOLDER / str(number)
            found = rerun.settle(new, folders, times, own, self.builder.lab.progress)
            flaky |= {c.test for c in found.changes if c.kind is ChangeKind.FLAKY}
        return frozenset(flaky)


def _with_fixes(one: Cell, known: Sequence[tuple[Finding, ...] | None]) -> Cell:
    """Add what failed before this patch and does not any more."""
    before, after = known[one.patch - 1] if one.patch else known[0], known[one.patch or -1]
    if before is None or after is None:
        return one
    left = {finding.rule for finding in after}
    fixed = [finding for finding in before if finding.rule not in left and finding.rule]
    found = tuple(
        Finding(
            Severity.NOTE,
            f"fixed: {finding.rule.partition('::')[2]}",
            finding.file,
            0,
            finding.rule,
            one.patch,
        )
        for finding in fixed
    )
    words = f"fixes {len(fixed)} tests" if fixed else ""
    note = "; ".join(part for part in (one.note, words) if part)
    return dataclasses.replace(one, findings=one.findings + (found if one.patch else ()), note=note)
