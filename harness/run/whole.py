# SPDX-License-Identifier: GPL-2.0-only
"""The stages in their order, and what a run leaves behind."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Callable
from pathlib import Path

from harness import build, guest, junit, kbuild, paths
from harness.errors import HostFault, Interrupted
from harness.guest import accel
from harness.model import Accel, Request, Run, SideResult, Source
from harness.progress import Progress
from harness.results import record
from harness.results.changes import changes
from harness.run import about, again, folder, kernels, suites
from harness.run.kernels import Built
from harness.run.plan import Plan, see_suites


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
    except (KeyboardInterrupt, HostFault) as why:
        with contextlib.suppress(OSError):  # a full disk
            if one.side not in [side.side for side in sides]:
                sides.append(_so_far(job, one))
            _record(job, tuple(sides), progress, interrupted=True)
        if isinstance(why, HostFault):
            raise
        what = f"interrupted: {again.so_far(sides)}; all of it is kept in {job.folder}"
        raise Interrupted(what, hint=again.the_same(job.command)) from None
    return _record(job, tuple(sides), progress, interrupted=False)


def _so_far(job: Job, one: Built) -> SideResult:
    return suites.collect(one.side, one.kernel, job.folder / one.side, cached=False, stopped=True)


def _record(
    job: Job, sides: tuple[SideResult, ...], progress: Progress, *, interrupted: bool
) -> Run:
    plan, start = job.plan, job.source
    lenient = "--allow-flaky" in plan.pytest_args
    sides = tuple(dataclasses.replace(side, allow_flaky=lenient) for side in sides)
    found = Run(
        series=plan.series,
        source=start,
        folder=job.folder,
        started=job.started.isoformat(timespec="seconds"),
        seconds=time.monotonic() - job.begin,
        accel=job.accel,
        sides=sides,
        changes=changes(sides),
        stages=tuple(progress.times),
        command=job.command,
        interrupted=interrupted,
        timeline=tuple(progress.spans),
        about=job.about,
    )
    record.save(found)
    junit.of_run(job.folder / "junit.xml", found, sides)
    return found
