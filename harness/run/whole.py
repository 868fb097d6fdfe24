# SPDX-License-Identifier: GPL-2.0-only
"""The stages in their order, and what a run leaves behind."""

from __future__ import annotations

import dataclasses
import datetime
import shutil
import time
from pathlib import Path

from harness import build, guest, junit, paths
from harness.errors import HostFault, Interrupted, UsageError
from harness.guest import accel
from harness.model import Run, SideResult, Source
from harness.progress import Progress
from harness.results import record
from harness.results.changes import changes
from harness.run import kernels, suites
from harness.run.plan import Plan


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


def run(plan: Plan, progress: Progress, command: tuple[str, ...] = ()) -> Run:
    """Do the main job and give what it found; everything is in the run's folder as well.

    Raises a HarnessError for what is no verdict: see harness.errors for the kinds.
    """
    begin = time.monotonic()
    started = datetime.datetime.now(datetime.UTC)
    guest.sweep()
    _suites_exist(plan)
    toolchain = build.toolchain(plan.arch or None, plan.llvm)
    request = kernels.ask(plan, toolchain)
    kind, _ = accel.choose(plan.accel, progress)
    start = kernels.find_source(plan, progress)
    built = kernels.make(plan, start, request, toolchain, progress)
    folder = make_folder(plan, started)
    progress.say(f"evidence: {folder}")
    job = Job(plan, start, folder, started, begin, str(kind), command)
    sides: list[SideResult] = []
    try:
        for one in built:
            sides.append(suites.test(plan, one, request, kind, folder / one.side, progress))
    except KeyboardInterrupt:
        sides.append(suites.collect(one.side, one.kernel, folder / one.side, cached=False))
        _record(job, tuple(sides), progress, interrupted=True)
        raise Interrupted("interrupted", hint=f"what was found until then is in {folder}") from None
    return _record(job, tuple(sides), progress, interrupted=False)


def _suites_exist(plan: Plan) -> None:
    for suite in plan.suites:
        if not (plan.folder / suite.partition("::")[0]).exists():
            raise UsageError(
                f"the suite {suite} does not exist below {plan.folder}",
                hint="name suites that do with --suite PATH",
            )


def make_folder(plan: Plan, started: datetime.datetime) -> Path:
    """Make the run's folder, with the patches in it; HostFault if it holds a run already."""
    name = f"{started:%Y%m%d-%H%M%S}-{plan.series.name if plan.series else 'kernel'}"
    folder = plan.out or paths.state("runs") / name
    try:
        folder.mkdir(parents=True, exist_ok=plan.out is not None)
        if (folder / record.NAME).exists():
            raise HostFault(f"{folder} holds a run already", hint="choose another --out DIR")
        if plan.series is not None:
            (folder / "series").mkdir(exist_ok=True)
            for patch in plan.series.patches:
                shutil.copyfile(patch.path, folder / "series" / patch.path.name)
    except OSError as error:
        raise HostFault(
            f"cannot write the run's folder {folder}: {error.strerror}",
            hint="choose another with --out DIR",
        ) from error
    return folder


def _record(
    job: Job, sides: tuple[SideResult, ...], progress: Progress, *, interrupted: bool
) -> Run:
    plan, start = job.plan, job.source
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
    )
    record.save(found)
    properties = {
        "accel": job.accel,
        "source": f"{start.name} {start.origin}".strip(),
        "series": plan.series.title or plan.series.name if plan.series else "none",
        "started": found.started,
    }
    junit.write(job.folder / "junit.xml", sides, properties)
    return found
