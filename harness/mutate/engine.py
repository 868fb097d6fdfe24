# SPDX-License-Identifier: GPL-2.0-only
"""Runs a mutation, from its plan to its score: builds ahead of the guests, guests in parallel."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import datetime
import os
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness import guest, process
from harness.errors import GuestFault, HarnessError, HostFault, Interrupted, Untestable
from harness.lab import folder as run_folder
from harness.lab.kernels import Lab, find_source
from harness.model import (
    Mutant,
    MutantResult,
    MutantState,
    Mutation,
    Source,
)
from harness.mutate import mutants, report, trials
from harness.mutate.prepare import MutationPlan, Prepared, prepare
from harness.mutate.trials import Chosen, Reach, TestChooser
from harness.mutate.workshop import MutantBuild, Workshop
from harness.progress import Progress, Stage
from harness.progress.rows import RowProgress
from harness.results import store

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
    lab = Lab.of(plan.run, progress)
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
            prepared = prepare(lab, source, folder, plan.run_folder)
            session = Session(plan, prepared, folder, progress, earlier)
            session.command, session.begin = command, begin
            session.run()
    except KeyboardInterrupt:
        hint = f"harness mutate --resume {shlex.quote(str(folder))}"
        raise Interrupted("interrupted", hint=hint) from None
    return session.mutation()


@dataclasses.dataclass(frozen=True)
class _Trying:
    """A mutant on its way: its number, the tests for it, and its build once there is one."""

    number: int
    mutant: Mutant
    chosen: Chosen
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
    ) -> None:
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
        self.begin, self.stopped = time.monotonic(), ""
        self.command: tuple[str, ...] = ()
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
            workshop = Workshop(self.prepared, self.folder / _KERNELS)
            stack.callback(shutil.rmtree, self.folder / _KERNELS, ignore_errors=True)
            stack.callback(workshop.close)
            guests = stack.enter_context(_guests(self.prepared.lab.plan.guests))
            try:
                self._run(left, workshop, guests, stage)
            except BaseException:
                self.stopped = "it was interrupted"
                process.interrupt_all()
                raise
            finally:
                report.write(self.mutation())
            stage.finish(report.headline(self.mutation()))

    def _run(self, left: list[Mutant], workshop: Workshop, guests: _Guests, stage: Stage) -> None:
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
                trying = self._next(coming.popleft(), next(numbers))
                link = trying.chosen.reach is not Reach.NOWHERE
                name = str(trying.number)
                building.append((trying, workshop.begin(trying.mutant, name, link=link)))
            while building and building[0][1].done():
                trying, future = building.popleft()
                ready.append(dataclasses.replace(trying, build=future.result()))
            for trying in list(ready):
                if trying.build and trying.build.kernel is None:
                    ready.remove(trying)
                    self._record(_without_trial(trying))
            while ready and len(running) < guests.number:
                running.add(guests.pool.submit(self._try, ready.popleft()))
            stage.update(len(self.results), total, report.headline(self.mutation()))
            waiting: list[concurrent.futures.Future[Any]] = [*running]
            waiting += [future for _, future in list(building)[:1]]
            first = concurrent.futures.FIRST_COMPLETED
            concurrent.futures.wait(waiting, timeout=1, return_when=first)
            for done in [future for future in running if future.done()]:
                running.discard(done)
                self._record(done.result())

    def _learn(self, result: MutantResult) -> None:
        if result.state is MutantState.KILLED and result.test:
            self.chooser.killed(result.mutant, result.test)

    def _next(self, mutant: Mutant, number: int) -> _Trying:
        return _Trying(number, mutant, self.chooser.choose(mutant))

    def _record(self, result: MutantResult) -> None:
        self.results.append(result)
        self._learn(result)
        store.save_mutation(self.folder, self.mutation())
        mutant = result.mutant
        mark = _MARKS.get(result.state, "odd")
        what = f"{result.state:<12} {mutant.where} {mutant.kind}"
        self.progress.event(mark, what, report.reason(result) or mutant.change)

    def _try(self, trying: _Trying) -> MutantResult:
        """Run a mutant's tests in a guest; a fault of the host is tried once more."""
        mutant, chosen, build = trying.mutant, trying.chosen, trying.build
        assert build is not None
        assert build.kernel is not None
        # The tests that killed others may have changed while this was built.
        chosen = self.chooser.choose(mutant)
        begin = time.monotonic()
        name = re.sub(r"[^\w.+-]+", "-", f"{mutant.where}-{mutant.kind}")
        result = MutantResult(
            mutant,
            MutantState.UNDECIDED,
            executed_by=(*chosen.tests, *chosen.left_out),
            built=build.seconds,
        )
        try:
            for attempt in (1, 2):
                folder = self.folder / f"{trying.number:03}-{name}{'-again' * (attempt - 1)}"
                try:
                    trial = trials.run(self.prepared, build.kernel, chosen, folder)
                except (HostFault, GuestFault) as error:
                    result = dataclasses.replace(result, message=error.what, folder=folder)
                    continue
                found, ran = trials.noticed(trial), len(trial.tests) - trial.left
                if not (found or ran):
                    result = dataclasses.replace(result, message="no test ran", folder=folder)
                    continue
                result = dataclasses.replace(
                    result,
                    state=MutantState.KILLED if found else MutantState.SURVIVED,
                    killer=found.killer if found else None,
                    test=found.test if found else "",
                    message=found.message if found else "",
                    ran=ran,
                    folder=folder,
                )
                break
        except HarnessError as error:
            result = dataclasses.replace(result, message=error.what)
        finally:
            shutil.rmtree(build.kernel.folder, ignore_errors=True)
        return dataclasses.replace(result, tested=round(time.monotonic() - begin, 3))


def _without_trial(trying: _Trying) -> MutantResult:
    build = trying.build
    assert build is not None
    assert build.state is not None
    return MutantResult(trying.mutant, build.state, message=build.message, built=build.seconds)


@dataclasses.dataclass(frozen=True)
class _Guests:
    """The threads in which trials run, one for each guest."""

    number: int
    pool: concurrent.futures.ThreadPoolExecutor


@contextlib.contextmanager
def _guests(wanted: str) -> Iterator[_Guests]:
    """Run as many guests as --guests says, or one for every two processors: make uses the rest."""
    processors = len(os.sched_getaffinity(0))
    number = int(wanted) if wanted.isdigit() else max(1, processors // 2)
    pool = concurrent.futures.ThreadPoolExecutor(number)
    try:
        yield _Guests(number, pool)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
