# SPDX-License-Identifier: GPL-2.0-only
"""Boot each patch's kernel and run the suites in it while the next kernel is built."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness import adaptors, process
from harness.check import builds
from harness.check.builds import Build
from harness.check.findings import TreeFindings
from harness.check.walk import Step, Walk
from harness.errors import HostFault, UsageError
from harness.lab import folder, rerun, trial
from harness.lab.kernels import Built, Lab
from harness.lab.plan import guests_beside_make, with_tests
from harness.model import (
    WHOLE_SERIES,
    Cell,
    CellState,
    ChangeKind,
    Finding,
    Outcome,
    Severity,
    Side,
    Splat,
    Test,
    Trial,
)
from harness.results.regression import changes, outcomes_text
from harness.text import quantity

if TYPE_CHECKING:
    from harness.check.remote import RemoteBuilder

FIRST = "first"  # folder of the tests that failed when the series was last tested


@dataclasses.dataclass(frozen=True)
class TestedKernel:
    """The result of a kernel's trial; ``error`` is the reason if there is none."""

    result: Trial | None
    error: str = ""

    @property
    def tests(self) -> tuple[Test, ...]:
        """The tests that ran or should have run."""
        return self.result.tests if self.result else ()

    def findings(
        self, base: Collection[str], flaky: Collection[str] = ()
    ) -> tuple[Finding, ...] | None:
        """Return all failures and splats, including those of the base; None if not known.

        ``base`` are the tests that fail on the base; on this kernel they may cause other splats.
        ``flaky`` are tests that passed, or failed on the base too, when they were rerun.
        """
        if self.result is None:
            return None
        bad = [test for test in self.tests if test.outcome.bad]
        findings = [_of_test(test, flaky) for test in bad]
        if self.result.error:
            findings = [Finding(Severity.ERROR, self.result.error, rule="boot", same="boot")]
        findings += [_of_splat(splat, "at boot") for splat in self.result.boot_splats]
        known = (test for test in bad if test.id in base)
        return (*findings, *(_of_splat(splat, test.id) for test in known for splat in test.splats))

    @property
    def note(self) -> str:
        """The number of tests by outcome."""
        if self.result is None:
            return self.error
        source = "from an earlier check" if self.result.cached else ""
        return ", ".join(filter(None, (outcomes_text(self.tests), source)))


def _of_test(test: Test, flaky: Collection[str]) -> Finding:
    outcome = Outcome.FLAKY if test.id in flaky else test.outcome
    levels = {Outcome.FLAKY: Severity.WARNING, Outcome.XPASS: Severity.NOTE}
    file, _, name = test.id.partition("::")
    # A test that fails in any way on the base is no new failure, as in model.change_kind.
    level = levels.get(outcome, Severity.ERROR)
    return Finding(level, f"{name} {outcome}: {test.headline}", file, 0, test.id, same="bad")


def _of_splat(splat: Splat, where: str) -> Finding:
    return Finding(Severity.ERROR, f"{where}: {splat.title}", rule="splat", same=splat.name)


def _exists(test: str, folder: Path) -> bool:
    return bool(adaptors.parse(test)) or (folder / test.partition("::")[0]).exists()


#: A trial in progress; None if there is no kernel.
PendingTrial = concurrent.futures.Future[TestedKernel] | None


class Booter:
    """Tests one kernel after another in its own thread.

    A session already runs guests in parallel; two sessions at once would only slow each other down.
    With ``remote``, workers run them, and this waits for the results.
    """

    def __init__(self, lab: Lab, place: Path, remote: RemoteBuilder | None = None) -> None:
        self.lab, self.place = dataclasses.replace(lab, plan=with_tests(lab.plan)), place
        self.remote = remote
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._by_digest: dict[str, concurrent.futures.Future[TestedKernel]] = {}

    def test(self, build: Build, name: str, *, keep: bool) -> PendingTrial:
        """Start testing a kernel; identical ones run once.  Return None if there is no kernel.

        With ``keep``, results of an earlier check may be reused.
        """
        if build.kernel is None:
            return None
        if build.digest not in self._by_digest:
            lab = self._lab_beside_make() if keep else self.lab
            side = Side.BASE if name == "base" else Side.PATCHED
            pending = self._pool.submit(self._run, lab, build, side, name, keep)
            self._by_digest[build.digest] = pending
        return self._by_digest[build.digest]

    def again(self, build: Build | None, tests: Sequence[str]) -> PendingTrial:
        """Start running only ``tests``, before any kernel that is submitted later."""
        plan = self.lab.plan
        tests = [test for test in tests if _exists(test, plan.folder)]
        if self.remote is not None and tests:
            requested = self.remote.again(tests, self.place / FIRST)
            return self._pool.submit(self._waited, lambda: requested.result()[1], FIRST)
        if build is None or build.kernel is None or not tests:
            return None
        lab = dataclasses.replace(self.lab, plan=dataclasses.replace(plan, suites=tuple(tests)))
        return self._pool.submit(self._run, lab, build, Side.PATCHED, FIRST, False)

    def _run(self, lab: Lab, build: Build, side: Side, name: str, keep: bool) -> TestedKernel:
        assert build.kernel is not None
        if self.remote is not None:
            return self._waited(functools.partial(self.remote.trial, build.checkout), name)
        built = Built(side, build.checkout, build.kernel)
        run = functools.partial(trial.run, lab, built, self.place / name, keep=keep)
        return self._waited(run, name)

    def _lab_beside_make(self) -> Lab:
        guests = str(guests_beside_make(self.lab.plan))
        return dataclasses.replace(self.lab, plan=dataclasses.replace(self.lab.plan, guests=guests))

    def _waited(self, run: Callable[[], Trial], name: str) -> TestedKernel:
        try:
            with folder.writing(self.place / name):
                return TestedKernel(run())
        except HostFault as error:  # the next boot may succeed
            return TestedKernel(None, error.what)
        except UsageError as error:
            if name != FIRST:
                raise
            return TestedKernel(None, error.what)  # tests that failed earlier may no longer exist

    @contextmanager
    def working(self) -> Iterator[None]:
        """Wait for the thread at the end; after an exception, stop what it is running."""
        try:
            yield
        except BaseException:
            self._pool.shutdown(wait=False, cancel_futures=True)
            process.interrupt_all()
            self._pool.shutdown(wait=True)
            raise
        self._pool.shutdown(wait=True)


class Tests:
    """The check ``tests``.  The tip is always tested again, since the verdict is about it."""

    def __init__(self, walk: Walk, check: str) -> None:
        self.walk, self.check = walk, check
        remote = None
        if walk.cluster is not None:
            from harness.check.remote import RemoteBuilder  # it needs Dask

            assert isinstance(walk.builder, RemoteBuilder)
            remote = walk.builder
        self.booter = Booter(walk.lab, walk.folder, remote)
        self.trials: list[PendingTrial] = []
        self.first: PendingTrial = None
        walk.exits.enter_context(self.booter.working())
        if walk.request.first and walk.applied.patched:
            tip = None if remote else walk.builder.build(walk.applied.tip)
            self.first = self.booter.again(tip, walk.request.first)

    def take(self, step: Step) -> Iterable[Cell]:
        if step.build is not None:
            keep = step.number < len(self.walk.applied.patched)
            name = str(step.number or "base")
            self.trials.append(self.booter.test(step.build, name, keep=keep))
        return ()

    def finish(self) -> Iterator[Cell]:
        """Wait for the tests; return the cells."""
        kernels = [pending.result() if pending else None for pending in self.trials]
        self.walk.faults += [kernel.error for kernel in kernels if kernel and kernel.error][:1]
        base = kernels[0]
        bad = {test.id for test in base.tests if test.outcome.bad} if base else set()
        flaky = self._flaky(kernels)
        trees = [kernel.findings(bad, flaky) if kernel else None for kernel in kernels]
        unchanged = builds.unchanged(self.walk.builds)
        notes = {number: kernel.note for number, kernel in enumerate(kernels) if kernel}
        notes.pop(0, None)
        notes |= dict.fromkeys(unchanged, "same kernel as the previous patch, not booted")
        notes |= builds.unbuilt(self.walk.builds)
        if trees[0]:
            notes[WHOLE_SERIES] = f"{quantity(len(bad), 'test')} already failing on the base"
        column = TreeFindings(self.check, trees, notes, unchanged)
        for cell in column.cells(self.walk.applied.renames):
            yield _with_fixes(cell, trees)
        if self.first:
            yield _again(self.first.result(), self.check)

    def _flaky(self, kernels: Sequence[TestedKernel | None]) -> frozenset[str]:
        """Rerun suspected regressions on the base and on the patch; return the flaky tests."""
        walk, base, top = self.walk, kernels[0], self.walk.folder
        seen: set[str] = set()
        flaky: set[str] = set()
        for number, kernel in enumerate(kernels[1:], 1):
            if base is None or kernel is None:
                continue
            suspects = [
                change
                for change in changes(base.tests, kernel.tests)
                if change.kind is ChangeKind.SUSPECT and change.test not in seen
            ]
            times = walk.plan.reruns if len(seen) < rerun.MANY else 0
            seen |= {change.test for change in suspects}
            folders = (top / "base", top / str(number))
            place = top / rerun.FOLDER / str(number)
            runners = self.booter.remote.runners if self.booter.remote else None
            settled = rerun.settle(suspects, folders, times, place, walk.progress, runners).changes
            flaky |= {change.test for change in settled if change.kind is ChangeKind.FLAKY}
        return frozenset(flaky)


def _again(kernel: TestedKernel, check: str) -> Cell:
    """Return the current results of the tests that failed in the previous revision."""
    if kernel.result is None:
        note = f"the failures of the previous revision could not be run again: {kernel.error}"
        return Cell(WHOLE_SERIES, check, CellState.GOOD, (), note)
    bad = [test for test in kernel.tests if test.outcome.bad]
    now = f"{len(bad)} still fail" if bad else "all pass now"
    note = f"of {len(kernel.tests)} tests that failed in the previous revision, {now}"
    findings = tuple(
        Finding(
            Severity.NOTE,
            f"failed in the previous revision and still fails: {test.headline}",
            test.id.partition("::")[0],
            rule=test.id,
        )
        for test in bad
    )
    return Cell(WHOLE_SERIES, check, CellState.GOOD, findings, note)


def _with_fixes(cell: Cell, trees: Sequence[Sequence[Finding] | None]) -> Cell:
    """Add the tests that this patch fixes; for the whole series only their number."""
    before, after = trees[cell.patch - 1] if cell.patch else trees[0], trees[cell.patch or -1]
    if before is None or after is None:
        return cell
    left = {finding.rule for finding in after}
    fixed = [finding for finding in before if finding.rule and finding.rule not in left]
    findings = tuple(
        Finding(
            Severity.NOTE,
            f"fixed: {finding.rule.partition('::')[2]}",
            finding.file,
            rule=finding.rule,
            enters=cell.patch,
        )
        for finding in fixed
    )
    fixes = f"fixes {quantity(len(fixed), 'test')}" if fixed else ""
    note = "; ".join(filter(None, (cell.note, fixes)))
    own = findings if cell.patch else ()
    return dataclasses.replace(cell, findings=cell.findings + own, note=note)
