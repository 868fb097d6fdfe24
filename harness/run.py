# SPDX-License-Identifier: GPL-2.0-only
"""The stages in their order, and what a run leaves behind."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from harness import architectures, guest
from harness.errors import HostFault, Interrupted
from harness.lab import about, again, folder, kernels, rerun, trial
from harness.lab.kernels import Built, Lab
from harness.lab.plan import Plan, see_suites
from harness.model import Run, SideResult, Source
from harness.progress import Progress
from harness.publish import junit
from harness.results import evidence, store
from harness.results.regression import compared, new_splats


@dataclasses.dataclass(frozen=True)
class RunJob:
    """What is known of a run before its first test."""

    lab: Lab
    source: Source
    folder: Path
    started: datetime.datetime
    begin: float
    command: tuple[str, ...]
    about: tuple[tuple[str, str], ...]


def run(
    plan: Plan,
    progress: Progress,
    command: tuple[str, ...] = (),
    began: Callable[[Path, Source], None] = lambda *_: None,
) -> Run:
    """Do the main job and give what it found; everything is in the run's folder as well.

    ``began`` is told the folder as soon as there is one, and the commit that is started from.
    Raises a HarnessError for what is no verdict: see harness.errors for the kinds.
    """
    begin = time.monotonic()
    started = datetime.datetime.now(datetime.UTC)
    guest.sweep()
    see_suites(plan)
    folder.check(plan)
    lab = Lab.of(plan, progress)
    arch = lab.toolchain.arch
    if not architectures.named(arch).proven:
        progress.say(f"{arch}: nobody has booted this architecture with the harness yet")
    start = kernels.find_source(plan, progress)
    built = lab.kernels(start)
    place = folder.make(plan, started, command)
    began(place, start)
    progress.say(f"evidence: {place}")
    made_with = about.machine(arch)  # now: a run that is stopped starts no programs
    job = RunJob(lab, start, place, started, begin, command, made_with)
    with folder.writing(place):
        return _tested(job, built)


def _tested(job: RunJob, built: tuple[Built, ...]) -> Run:
    """Test the sides in a row; what was found is recorded even if something stops us."""
    sides: list[SideResult] = []
    try:
        for one in built:
            place = job.folder / one.side
            with folder.writing(place):
                base = sides[0] if sides else None
                sides.append(trial.run(job.lab, one, place, base=base))
        return _record(job, _settled(job, _found(job, sides)))
    except (KeyboardInterrupt, HostFault) as why:
        with contextlib.suppress(OSError):  # a full disk
            if one.side not in [side.side for side in sides]:
                sides.append(_so_far(job, one))
            _record(job, dataclasses.replace(_found(job, sides), interrupted=True))
        if isinstance(why, HostFault):
            raise
        what = f"interrupted: {again.so_far(sides)}; all of it is kept in {job.folder}"
        raise Interrupted(what, hint=again.the_same(job.command)) from None


def _so_far(job: RunJob, one: Built) -> SideResult:
    return evidence.read(job.folder / one.side, one.side, one.kernel, stopped=True)


def _found(job: RunJob, sides: Sequence[SideResult]) -> Run:
    """Put together what the sides did; what differs between them is not run again yet."""
    plan = job.lab.plan
    lenient = "--allow-flaky" in plan.pytest_args
    run = Run(
        series=plan.series,
        source=job.source,
        folder=job.folder,
        started=job.started.isoformat(timespec="seconds"),
        seconds=0.0,
        accel=str(job.lab.accel),
        sides=tuple(dataclasses.replace(side, allow_flaky=lenient) for side in sides),
        command=job.command,
        about=job.about,
        strict=plan.strict,
    )
    return compared(run)


def _settled(job: RunJob, run: Run) -> Run:
    """Run what looks broken again; a splat that the base then had as well is not new."""
    if not run.compared:
        return run
    folders = (run.folder / run.sides[0].side, run.folder / run.judged.side)
    place = run.folder / rerun.FOLDER
    found = rerun.settle(run.changes, folders, job.lab.plan.reruns, place, job.lab.progress)
    splats = new_splats(found.splats, run.splats)
    return dataclasses.replace(run, changes=found.changes, splats=splats)


def _record(job: RunJob, run: Run) -> Run:
    """Write run.json and junit.xml, with the times until now."""
    found = dataclasses.replace(
        run,
        seconds=time.monotonic() - job.begin,
        stages=tuple(job.lab.progress.times),
        timeline=tuple(job.lab.progress.spans),
    )
    store.save_run(found)
    junit.of_run(found.folder / "junit.xml", found, found.sides)
    return found
