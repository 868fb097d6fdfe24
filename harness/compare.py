# SPDX-License-Identifier: GPL-2.0-only
"""Compare the results of two kernels: two runs, or the folders of two sides."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import typing
from pathlib import Path

from harness import paths, settings
from harness.cluster import connect
from harness.errors import HarnessError, UsageError
from harness.lab import plan as lab_plan
from harness.lab import rerun
from harness.lab.kernels import Lab, find_source
from harness.model import (
    Comparison,
    CompilerWarning,
    GuestRecord,
    Outcome,
    Plan,
    Splat,
    Test,
    Trial,
)
from harness.progress import Progress
from harness.results import evidence, journal, statistics, store
from harness.results.regression import changes, new_splats, new_warnings

if typing.TYPE_CHECKING:
    from harness.cluster.driver import Cluster


@dataclasses.dataclass(frozen=True)
class KernelResults:
    """The results of one of the compared kernels, read from its folder.

    ``warnings`` is None if the kernel's build is not known.  ``boots`` are in seconds; ``memory``
    is the memory free at boot, in KiB, 0 if not known.  ``copied``: from a guest that booted with a
    prepared image in its memory.
    """

    name: str
    folder: Path
    tests: tuple[Test, ...]
    splats: tuple[Splat, ...]
    warnings: tuple[CompilerWarning, ...] | None
    boots: tuple[float, ...]
    memory: int
    copied: bool = False
    error: str = ""

    def outcomes(self) -> dict[str, Test]:
        """Return the tests that ran, by name."""
        return {test.id: test for test in self.tests if test.outcome is not Outcome.NOTRUN}


def read(path: Path) -> KernelResults:
    """Read a run's folder (for the kernel the run judged), or the folder of one of its sides.

    Folders of ``pytest --kernel --guest-folder`` and of a check are accepted as well.  Raises
    UsageError for anything else.
    """
    path = paths.expanded(path).absolute()
    if (path / store.RUN).is_file():
        run = store.load_run(path)
        if not run.sides:
            raise UsageError(f"the run {path} ended before its first test", hint="name another run")
        return _of_side(path / run.judged.side, run.judged)
    if (path / journal.NAME).is_file():
        if (path.parent / store.RUN).is_file():
            for side in store.load_run(path.parent).sides:
                if side.side == path.name:
                    return _of_side(path, side)
        return _results(path, journal.read(path), evidence.guests(path), None, "")
    raise UsageError(
        f"{path} is not a run's folder: it has neither {store.RUN} nor {journal.NAME}",
        hint="name the folder given with --out, or that of one kernel in it, such as RUN/base",
    )


def _of_side(folder: Path, side: Trial) -> KernelResults:
    return _results(folder, side.tests, side.guests, side.kernel.warnings, side.error)


def _results(
    folder: Path,
    tests: tuple[Test, ...],
    guests: tuple[GuestRecord, ...],
    warnings: tuple[CompilerWarning, ...] | None,
    error: str,
) -> KernelResults:
    at_boot = [splat for guest in guests for splat in guest.splats if splat.test == "boot"]
    booted = [guest for guest in guests if not guest.copied]
    return KernelResults(
        name=str(folder),
        folder=folder,
        tests=tests,
        splats=(*at_boot, *(splat for test in tests for splat in test.splats)),
        warnings=warnings,
        boots=tuple(guest.boot_seconds for guest in booted if guest.boot_seconds is not None),
        memory=evidence.free_memory(guests),
        copied=len(booted) < len(guests),
        error=error,
    )


def compare(
    base: KernelResults,
    patched: KernelResults,
    times: int,
    place: Path,
    progress: Progress,
    where: Plan | None = None,
) -> Comparison:
    """Compare the results of two kernels.

    Each suspected regression is rerun ``times`` times on each kernel, alone in a fresh guest, if
    the kernels still exist; with 0 it stays suspected.  Evidence of the reruns goes to ``place``.
    If the plan ``where`` names workers, they build the kernels again and rerun.
    """
    old, new = base.outcomes(), patched.outcomes()
    changed = changes(old.values(), new.values())
    with connect.workers(where or Plan(), progress) as cluster:
        runners = functools.partial(_runner, cluster, progress) if cluster else None
        folders = (base.folder, patched.folder)
        settled = rerun.settle(changed, folders, times, place, progress, runners)
    both = old.keys() & new.keys()
    alike = base.copied == patched.copied
    return Comparison(
        base=base.name,
        patched=patched.name,
        tests=settled.changes,
        splats=new_splats((*base.splats, *settled.splats), patched.splats),
        healed=new_splats(patched.splats, base.splats),
        warnings=_new_warnings(base, patched),
        shifts=(
            *statistics.boot_times(base.boots, patched.boots),
            *(statistics.memory_sizes(base.memory, patched.memory) if alike else ()),
            *statistics.test_times(
                {name: old[name].seconds for name in both if not old[name].outcome.bad},
                {name: new[name].seconds for name in both if not new[name].outcome.bad},
            ),
        ),
        same=len(both) - sum(change.test in both for change in changed),
        error=patched.error,
        untestable="neither kernel was tested" if base.error and patched.error else "",
    )


def _runner(
    cluster: Cluster, progress: Progress, folder: Path, place: Path
) -> rerun.TestRunner | None:
    """Return what reruns the tests of a side's folder on workers, which build its kernel again.

    None if its run cannot be repeated.
    """
    from harness.cluster.trials import RemoteLab, RemoteRetries  # they need Dask

    try:
        run = store.load_run(folder.parent)
        side = next(side for side in run.sides if side.side == folder.name)
        if run.plan is None:
            return None
        with contextlib.chdir(run.plan.folder):  # paths on its command line start there
            project = settings.load(run.plan.folder)
            planned = lab_plan.trusted(lab_plan.complete(run.plan, project))
            lab = Lab.of(planned, progress, boots=False)
            source = find_source(planned, progress)
            lab = lab.with_suites(source, suggesting=True)
            remote, checkouts = RemoteLab.of(cluster, lab, source)
    except (HarnessError, OSError, StopIteration) as error:
        progress.say(f"{folder}: its kernel cannot be built again: {error}")
        return None
    checkout = dict(checkouts)[side.side]
    return RemoteRetries(remote, side.side, checkout, place, side.kernel.key)


def _new_warnings(base: KernelResults, patched: KernelResults) -> tuple[CompilerWarning, ...]:
    """Return new warnings; none if the warnings of either kernel are not known."""
    if base.warnings is None or patched.warnings is None:
        return ()
    return new_warnings(base.warnings, patched.warnings)
