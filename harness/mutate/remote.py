# SPDX-License-Identifier: GPL-2.0-only
"""Mutants on workers, in batches of one file: a worker builds a mutant and tests it there."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import paths, serial, tree
from harness.cluster import worker
from harness.cluster.driver import Cluster
from harness.cluster.request import TrialReply, TrialRequest, move_paths
from harness.cluster.trials import RemoteLab, RequestedTrial
from harness.errors import HostFault
from harness.lab.kernels import Lab
from harness.lab.plan import BOOTS
from harness.model import (
    Checkout,
    MutantResult,
    MutantState,
    MutantTrial,
    Outcome,
    SeriesLines,
    Side,
    Source,
    Test,
    Trial,
)
from harness.mutate import trials
from harness.mutate.prepare import Prepared, both_labs, checked, compiled, known, unmutated
from harness.mutate.workshop import Workshop
from harness.results import evidence

_RESULTS = "mutants.json"  # in the evidence of a batch
_BATCHES = "batches"  # in the folder of a mutation: evidence that is still coming
_KERNELS = "mutants"  # in a worker's cache: kernels that are not yet tested


class RemoteMutants:
    """Tries mutants of the commit ``tip`` on the workers of a lab."""

    def __init__(self, remote: RemoteLab, tip: Checkout) -> None:
        self._remote, self._tip = remote, tip
        #: The number of batches that are under way: one waits for the worker that ends first.
        self.at_once = len(remote.cluster.workers) + 1
        self._files: dict[str, int] = {}  # with their numbers

    @classmethod
    def of(
        cls, cluster: Cluster, lab: Lab, source: Source, folder: Path, run_folder: Path | None
    ) -> tuple[RemoteMutants, Prepared]:
        """Let a worker build the kernel with counters and run the suites on it.

        The arguments and the errors are those of ``prepare``.
        """
        with tree.slot(source, lab.progress) as slot:
            counting, lab, base, tip = both_labs(lab, slot)
        place = folder / evidence.UNCHANGED
        counted = RemoteLab(cluster, counting, source, base)
        there = run_folder is not None or place.exists()
        scratch = folder / _BATCHES / evidence.UNCHANGED
        requested = counted.request(
            Side.PATCHED, tip, scratch if there else place, keep=True, boots=not there
        )
        built = requested.built(requested.reply())
        lines = compiled(built.lines)
        unchanged = known(built, place, run_folder) if there else requested.result()[1]
        if unchanged is None:
            raise HostFault(f"{place} is incomplete", hint="leave out --resume to start again")
        prepared = checked(
            Prepared(lab, source, base, tip, built.kernel, Path(), lines, unchanged), place
        )
        return cls(RemoteLab(cluster, lab, source, base), tip), prepared

    def results(
        self, next_trials: Callable[[], tuple[MutantTrial, ...]], folder: Path
    ) -> Iterator[MutantResult]:
        """Yield results as they come, until there are no more trials.

        Evidence goes to ``folder``.  A batch that is lost with its workers is undecided.
        """
        cluster, numbers = self._remote.cluster, itertools.count()
        running: dict[concurrent.futures.Future[TrialReply], _Batch] = {}
        with concurrent.futures.ThreadPoolExecutor(self.at_once) as pool:
            try:
                while True:
                    while len(running) < self.at_once and (wanted := next_trials()):
                        place = folder / _BATCHES / str(next(numbers))
                        batch = _Batch(wanted, self._request(wanted, place))
                        running[pool.submit(batch.requested.reply)] = batch
                    if not running:
                        break
                    first = concurrent.futures.FIRST_COMPLETED
                    for done in concurrent.futures.wait(running, return_when=first).done:
                        yield from running.pop(done).results(done, folder)
            except BaseException:
                cluster.stop()
                raise
        shutil.rmtree(folder / _BATCHES, ignore_errors=True)

    def _request(self, wanted: tuple[MutantTrial, ...], place: Path) -> RequestedTrial:
        number = self._files.setdefault(wanted[0].mutant.file, len(self._files))
        # The harness's own suite has another path on the worker.
        own = [
            dataclasses.replace(one, tests=tuple((_travelling(test), s) for test, s in one.tests))
            for one in wanted
        ]
        return self._remote.request(
            *(Side.PATCHED, self._tip, place, number), mutants=tuple(own), work=try_mutants
        )


@dataclasses.dataclass(frozen=True)
class _Batch:
    wanted: tuple[MutantTrial, ...]
    requested: RequestedTrial

    def results(
        self, done: concurrent.futures.Future[TrialReply], folder: Path
    ) -> Iterator[MutantResult]:
        """Move the evidence of each mutant to ``folder``; yield the results."""
        try:
            reply = done.result()
        except HostFault as error:  # a mutant may bring down machines
            for one in self.wanted:
                yield MutantResult(one.mutant, MutantState.UNDECIDED, message=error.what)
            return
        if reply.fault is not None:
            raise reply.fault.error
        place = self.requested.folder
        for result in serial.read(place / _RESULTS, tuple[MutantResult, ...]):
            if result.folder is None:
                yield result
                continue
            name = result.folder.name
            for trial in place.glob(f"{name}*"):  # also the one before "-again"
                trial.rename(folder / trial.name)
                move_paths(folder / trial.name, str(Path(reply.folder) / trial.name))
            yield dataclasses.replace(result, folder=folder / name)


def _travelling(test: str) -> str:
    return "" if test == str(BOOTS) else test


def try_mutants(
    lab: Lab, wanted: TrialRequest, start: Source, folder: Path
) -> Iterator[TrialReply]:
    """Build and test the mutants of a request on this worker; evidence goes to ``folder``."""
    begin = time.monotonic()
    with tree.slot(start, lab.progress) as slot:
        lab, tip = worker.located(lab, wanted, slot)
        kernel, out = unmutated(lab, slot, tip)
    reply = TrialReply("", "", kernel, building=time.monotonic() - begin)
    yield reply
    passing = {test: seconds for one in wanted.mutants for test, seconds in one.tests if test}
    tests = tuple(Test(name, Outcome.PASS, seconds) for name, seconds in passing.items())
    unchanged = Trial(Side.PATCHED, kernel, tests)
    base = lab.base or tip
    prepared = Prepared(lab, start, base, tip, kernel, out, SeriesLines(()), unchanged)
    with paths.scratch(paths.cache(_KERNELS) / "kernel") as kernels:
        workshop, results = Workshop(prepared, kernels), []
        for one in wanted.mutants:
            tests_here = tuple((test or str(BOOTS), seconds) for test, seconds in one.tests)
            here = dataclasses.replace(one, tests=tests_here)
            build = workshop.build(one.mutant, one.name, link=one.link)
            results.append(trials.attempt(prepared, here, build, folder))
    serial.write(folder / _RESULTS, tuple(results))
    yield dataclasses.replace(reply, building=sum(result.built for result in results))
