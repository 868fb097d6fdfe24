# SPDX-License-Identifier: GPL-2.0-only
"""Runs a mutation, from its plan to its score: builds ahead of the guests, guests in parallel."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import datetime
import shlex
import shutil
import time
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import guest, process
from harness.cluster import connect
from harness.errors import Interrupted, Untestable
from harness.lab import folder as run_folder
from harness.lab.kernels import Lab, find_source
from harness.lab.plan import guests_beside_make
from harness.model import (
    Mutant,
    MutantResult,
    MutantState,
    MutantTrial,
    Mutation,
    Source,
)
from harness.mutate import mutants, report, trials
from harness.mutate.prepare import MutationPlan, Prepared, prepare
from harness.mutate.trials import TestChooser
from harness.mutate.workshop import MutantBuild, Workshop
from harness.progress import Progress, RowProgress, Stage
from harness.results import store

if typing.TYPE_CHECKING:
    from harness.mutate.remote import RemoteMutants

_AHEAD = 2  # kernels that wait for a guest
_KERNELS = "kernels"  # in the folder of a mutation: those that are not yet tested
_MARKS = {
    MutantState.KILLED: "good",
    MutantState.SURVIVED: "bad",
    MutantState.NOT_EXECUTED: "bad",
}


def mutate(
    plan: MutationPlan,
    progress: Progress,
    command: tuple[str, ...] = (),
    earlier: Mutation | None = None,
    began: Callable[[Path, Source], None] = lambda *_: None,
) -> Mutation:
    """Try the mutants of the plan's series; return the score, which is also in the folder.

    ``earlier`` is a mutation to continue.  ``began`` is called with the folder and the commit to
    start from.  Raises UsageError, Untestable if the series cannot be tested, HostFault if the
    machine failed.
    """
    begin, started = time.monotonic(), datetime.datetime.now(datetime.UTC)
    guest.sweep()
    if earlier is None:
        run_folder.check(plan.run)
    with connect.workers(plan.run, progress) as cluster:
        lab = Lab.of(plan.run, progress, boots=cluster is None)
        source = find_source(plan.run, progress)
        lab = lab.with_suites(source)
        if earlier is None:
            folder = run_folder.make(plan.run, started, command)
            with run_folder.writing(folder):
                plan.save(folder)
        else:
            folder = earlier.folder
        began(folder, source)
        progress.say(f"evidence: {folder}")
        try:
            with run_folder.writing(folder):
                if cluster is None:
                    remote, prepared = None, prepare(lab, source, folder, plan.run_folder)
                else:
                    from harness.mutate.remote import RemoteMutants  # it needs Dask

                    remote, prepared = RemoteMutants.of(
                        cluster, lab, source, folder, plan.run_folder
                    )
                session = Session(plan, prepared, folder, progress, earlier, remote)
                session.command, session.begin = command, begin
                session.run()
        except KeyboardInterrupt:
            hint = f"harness mutate --resume {shlex.quote(str(folder))}"
            raise Interrupted("interrupted", hint=hint) from None
    return session.mutation()


@dataclasses.dataclass(frozen=True)
class _Trying:
    """A mutant on its way: its number, what is tried, and its build once there is one."""

    number: int
    wanted: MutantTrial
    build: MutantBuild | None = None


class Session:
    """The mutants of a series, tried one after another; each result is on disk at once."""

    def __init__(
        self,
        plan: MutationPlan,
        prepared: Prepared,
        folder: Path,
        progress: Progress,
        earlier: Mutation | None = None,
        remote: RemoteMutants | None = None,
    ) -> None:
        self.remote = remote
        self.plan, self.folder, self.progress = plan, folder, progress
        self.rows = RowProgress(progress)
        self.prepared = dataclasses.replace(
            prepared, lab=dataclasses.replace(prepared.lab, progress=self.rows)
        )
        self.chooser = TestChooser(prepared, plan.seconds)
        found = mutants.of_series(prepared.base, prepared.tip, prepared.lines)
        found = tuple(m for m in found if not plan.kinds or m.kind in plan.kinds)
        if plan.again:
            unnoticed = store.load_mutation(plan.again).of(*report.UNNOTICED)
            names = {result.mutant.name for result in unnoticed}
            found = tuple(mutant for mutant in found if mutant.name in names)
        self.order = mutants.fair_order(found, plan.seed)
        known = {mutant.name for mutant in self.order}
        kept = earlier.results if earlier else ()
        self.results = [
            r for r in kept if r.mutant.name in known and r.state is not MutantState.UNDECIDED
        ]
        self.spent = earlier.seconds if earlier else 0.0
        self.begin, self.stopped, self.interrupted = time.monotonic(), "", False
        self.command: tuple[str, ...] = ()
        self.proven: set[str] = set()  # tests that pass on the kernel with all mutants
        for result in self.results:
            self._learn(result)

    def mutation(self) -> Mutation:
        """Return what is known so far."""
        prepared, series = self.prepared, self.prepared.lab.plan.series
        assert series is not None
        source = prepared.source
        return Mutation(
            series=series.title or series.name,
            source=f"{source.name}, {source.origin}".strip(" ,"),
            folder=self.folder,
            patches=prepared.tip.patches,
            mutants=len(self.order),
            seed=self.plan.seed,
            at_least=self.plan.at_least,
            tests=len(prepared.passing),
            results=tuple(self.results),
            stopped=self.stopped,
            seconds=round(self.spent + time.monotonic() - self.begin, 1),
            command=self.command,
            lines=prepared.lines,
            followed=prepared.lab.followed.options,
        )

    def run(self) -> None:
        """Try mutants until all were tried, or the budget is spent."""
        done = {result.mutant.name for result in self.results}
        left = [mutant for mutant in self.order if mutant.name not in done]
        if self.plan.most:
            left = left[: max(0, self.plan.most - len(done))]
        if not self.order:
            raise Untestable(
                "no line of the series can be mutated",
                hint="macros, declarations and assembly have no mutants (docs/mutate.md)"
                if not self.plan.again
                else f"those of {self.plan.again} were killed, or the series has changed since",
            )
        with (
            self.progress.stage("mutate", f"{len(self.order)} mutants") as stage,
            contextlib.ExitStack() as stack,
        ):
            self.rows.around = stage
            try:
                if self.remote is None:
                    workshop = Workshop(self.prepared, self.folder / _KERNELS)
                    stack.callback(shutil.rmtree, self.folder / _KERNELS, ignore_errors=True)
                    stack.callback(workshop.close)
                    together = 0 if self.plan.separate else self._build_together(left, workshop)
                    number = guests_beside_make(
                        self.prepared.lab.plan, idle=together > len(left) // 2
                    )
                    guests = concurrent.futures.ThreadPoolExecutor(number)
                    stack.callback(guests.shutdown, wait=True, cancel_futures=True)
                    self._run(left, workshop, guests, number, stage)
                else:
                    self._run_remotely(self.remote, left, stage)
            except BaseException:
                self.stopped, self.interrupted = "it was interrupted", True
                process.interrupt_all()
                raise
            finally:
                report.write(self.mutation())
            stage.finish(report.headline(self.mutation()))

    def _build_together(self, left: list[Mutant], workshop: Workshop) -> int:
        with self.rows.stage("together", f"{len(left)} mutants in one kernel") as stage:
            number = workshop.build_together(left)
            stage.finish(f"{number} of {len(left)} mutants")
        return number

    def _run(
        self,
        left: list[Mutant],
        workshop: Workshop,
        guests: concurrent.futures.Executor,
        number_of_guests: int,
        stage: Stage,
    ) -> None:
        """Keep the workshop and the guests busy; record each result as it comes."""
        end = time.monotonic() + 60 * self.plan.minutes if self.plan.minutes else float("inf")
        total, numbers = len(self.results) + len(left), run_folder.free_numbers(self.folder)
        coming = collections.deque(left)
        building: collections.deque[tuple[_Trying, concurrent.futures.Future[MutantBuild]]]
        building = collections.deque()
        ready: collections.deque[_Trying] = collections.deque()
        running: set[concurrent.futures.Future[MutantResult]] = set()
        while coming or building or ready or running:
            if time.monotonic() > end and (coming or building or ready):
                tried = len(self.results) + len(running)
                self.stopped = f"{self.plan.minutes:g} minutes were over after {tried} of them"
                coming.clear()
                building.clear()
                ready.clear()
                workshop.close()
                continue
            while coming and len(building) + len(ready) < _AHEAD:
                number, mutant = next(numbers), coming.popleft()
                trying = _Trying(number, self.chooser.trial(mutant, number))
                link = trying.wanted.link
                building.append((trying, workshop.begin(mutant, str(number), link=link)))
            while building and building[0][1].done():
                trying, future = building.popleft()
                ready.append(dataclasses.replace(trying, build=future.result()))
            for trying in list(ready):
                if trying.build and trying.build.kernel is None:
                    ready.remove(trying)
                    self._record(self._try(trying))
            while ready and len(running) < number_of_guests:
                running.add(guests.submit(self._try, ready.popleft()))
            stage.update(len(self.results), total, report.headline(self.mutation()))
            waiting: list[concurrent.futures.Future[Any]] = [*running]
            waiting += [future for _, future in list(building)[:1]]
            first = concurrent.futures.FIRST_COMPLETED
            concurrent.futures.wait(waiting, timeout=1, return_when=first)
            for done in [future for future in running if future.done()]:
                running.discard(done)
                self._record(done.result())

    def _run_remotely(self, remote: RemoteMutants, left: list[Mutant], stage: Stage) -> None:
        """Send batches to the workers; record each result as it comes."""
        total, numbers = len(self.results) + len(left), run_folder.free_numbers(self.folder)
        end = time.monotonic() + 60 * self.plan.minutes if self.plan.minutes else float("inf")

        def next_trials() -> tuple[MutantTrial, ...]:
            if time.monotonic() > end:
                return ()
            batch = mutants.batch(left, remote.at_once)
            return tuple(self.chooser.trial(mutant, next(numbers)) for mutant in batch)

        stage.update(len(self.results), total, report.headline(self.mutation()))
        for result in remote.results(next_trials, self.folder):
            self._record(result)
            stage.update(len(self.results), total, report.headline(self.mutation()))
        if left:
            tried = len(self.results)
            self.stopped = f"{self.plan.minutes:g} minutes were over after {tried} of them"

    def _learn(self, result: MutantResult) -> None:
        if result.state is MutantState.KILLED and result.test:
            self.chooser.killed(result.mutant, result.test)

    def _record(self, result: MutantResult) -> None:
        self.results.append(result)
        self._learn(result)
        store.save_mutation(self.folder, self.mutation())
        mutant = result.mutant
        mark = _MARKS.get(result.state, "odd")
        what = f"{result.state:<12} {mutant.where} {mutant.kind}"
        self.progress.event(mark, what, report.reason(result) or mutant.change)

    def _try(self, trying: _Trying) -> MutantResult:
        """Run a mutant's tests in a guest."""
        assert trying.build is not None
        # The tests that killed others may have changed while this was built.
        wanted = self.chooser.trial(trying.wanted.mutant, trying.number)
        words = (self.prepared, wanted, trying.build, self.folder, self.proven)
        return trials.attempt(*words, stop=lambda: self.interrupted)
