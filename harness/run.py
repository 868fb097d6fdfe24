# SPDX-License-Identifier: GPL-2.0-only
"""The stages in their order, and what a run leaves behind."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from harness import build, guest, kbuild, paths
from harness.errors import HostFault, Interrupted
from harness.guest import accel
from harness.lab import about, again, folder, kernels, rerun, suites
from harness.lab.kernels import Built
from harness.lab.plan import Plan, see_suites
from harness.model import Accel, Request, Run, SideResult, Source
from harness.progress import Progress
from harness.publish import junit
from harness.results import record
from harness.results.changes import compared, new_splats


@dataclasses.dataclass(frozen=True)
class Job:
    """What is known of a run before its first test."""

    plan: Plan
    source: Source
    folder: Path
    started: datetime.datetime
    begin: float
    accel: str
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
    kbuild.check_place(paths.cache())
    toolchain = build.toolchain(plan.arch or None, plan.llvm)
    if not kbuild.architecture(toolchain.arch).proven:
        progress.say(f"{toolchain.arch}: nobody has booted this architecture with the harness yet")
    request = kernels.ask(plan, toolchain)
    kind, _ = accel.choose(plan.accel, progress)
    start = kernels.find_source(plan, progress)
    built = kernels.make(plan, start, request, toolchain, progress)
    place = folder.make(plan, started, command)
    began(place, start)
    progress.say(f"evidence: {place}")
    made_with = about.machine(toolchain.arch)  # now: a run that is stopped starts no programs
    job = Job(plan, start, place, started, begin, str(kind), command, made_with)
    with folder.writing(place):
        return _tested(job, built, request, kind, progress)


def _tested(
    job: Job, built: tuple[Built, ...], request: Request, kind: Accel, progress: Progress
) -> Run:
    """Test the sides in a row; what was found is recorded even if something stops us."""
    sides: list[SideResult] = []
    try:
        for one in built:
            place = job.folder / one.side
            with folder.writing(place):
                base = sides[0] if sides else None
                sides.append(suites.test(job.plan, one, request, kind, place, progress, base=base))
        return _record(job, _settled(_found(job, sides), job.plan, progress), progress)
    except (KeyboardInterrupt, HostFault) as why:
        with contextlib.suppress(OSError):  # a full disk
            if one.side not in [side.side for side in sides]:
                sides.append(_so_far(job, one))
            _record(job, dataclasses.replace(_found(job, sides), interrupted=True), progress)
        if isinstance(why, HostFault):
            raise
        what = f"interrupted: {again.so_far(sides)}; all of it is kept in {job.folder}"
        raise Interrupted(what, hint=again.the_same(job.command)) from None


def _so_far(job: Job, one: Built) -> SideResult:
    return suites.collect(one.side, one.kernel, job.folder / one.side, cached=False, stopped=True)


def _found(job: Job, sides: Sequence[SideResult]) -> Run:
    """Put together what the sides did; what differs between them is not run again yet."""
    plan = job.plan
    lenient = "--allow-flaky" in plan.pytest_args
    run = Run(
        series=plan.series,
        source=job.source,
        folder=job.folder,
        started=job.started.isoformat(timespec="seconds"),
        seconds=0.0,
        accel=job.accel,
        sides=tuple(dataclasses.replace(side, allow_flaky=lenient) for side in sides),
        command=job.command,
        about=job.about,
        strict=plan.strict,
    )
    return compared(run)


def _settled(run: Run, plan: Plan, progress: Progress) -> Run:
    """Run what looks broken again; a splat that the base then had as well is not new."""
    if not run.compared:
        return run
    folders = (run.folder / run.sides[0].side, run.folder / run.judged.side)
    found = rerun.settle(run.changes, folders, plan.reruns, run.folder / rerun.FOLDER, progress)
    splats = new_splats(found.splats, run.splats)
    return dataclasses.replace(run, changes=found.changes, splats=splats)


def _record(job: Job, run: Run, progress: Progress) -> Run:
    """Write run.json and junit.xml, with the times until now."""
    found = dataclasses.replace(
        run,
        seconds=time.monotonic() - job.begin,
        stages=tuple(progress.times),
        timeline=tuple(progress.spans),
    )
    record.save(found)
    junit.write(found.folder / "junit.xml", found)
    return found
