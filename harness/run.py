# SPDX-License-Identifier: GPL-2.0-only
"""The main job: test a series on a kernel, and return a Run with its evidence."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import importlib.metadata
import os
import platform
import time
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import harness
from harness import architectures, guest
from harness.cluster import connect
from harness.errors import HarnessError, HostFault, Interrupted, NotBuilt, Untestable
from harness.guest import accel
from harness.lab import affected, coverage, folder, kernels, rerun, trial
from harness.lab.kernels import Built, Lab
from harness.lab.plan import require_suites
from harness.model import (
    Checkout,
    Kernel,
    LineState,
    Plan,
    Run,
    SeriesLines,
    Side,
    Source,
    Trial,
    looks_running,
)
from harness.options import repeat_command
from harness.progress import Progress
from harness.publish import junit, lcov, sentences
from harness.results import evidence, store
from harness.results.regression import compared, new_splats

if typing.TYPE_CHECKING:
    from harness.cluster.driver import Cluster
    from harness.cluster.trials import RemoteLab

_MOST_SHOWN = 20  # lines about code that is not compiled


@dataclasses.dataclass(frozen=True)
class RunContext:
    """What is known about a run before its first test; ``remote``: workers do its trials."""

    lab: Lab
    source: Source
    folder: Path
    started: datetime.datetime
    begin: float
    command: tuple[str, ...]
    about: tuple[tuple[str, str], ...]
    remote: RemoteLab | None = None
    lines: SeriesLines | None = None


def run(
    plan: Plan,
    progress: Progress,
    command: tuple[str, ...] = (),
    began: Callable[[Path, Source], None] = lambda *_: None,
    joined: Cluster | None = None,
) -> Run:
    """Test the plan's series; all results are also written to the run's folder.

    ``began`` is called with the run's folder and the source commit, as soon as the folder exists.
    ``joined`` are workers to use, instead of those that the plan names.  Raises a HarnessError
    when there is no verdict: see harness.errors for the kinds.
    """
    begin, started = time.monotonic(), datetime.datetime.now(datetime.UTC)
    guest.sweep()
    require_suites(plan)
    folder.check(plan)
    with connect.workers(plan, progress, joined) as cluster:
        lab = Lab.of(plan, progress, boots=cluster is None)
        arch = lab.toolchain.arch
        if not architectures.named(arch).proven:
            progress.say(f"{arch}: nobody has booted this architecture with the harness yet")
        source = kernels.find_source(plan, progress)
        lab = lab.with_suites(source, suggesting=True)
        about = tuple(_about(arch))  # now, since an interrupted run must not start programs
        if cluster is None:
            lab, built = lab.kernels(source)
            _require_code(built[-1])
            if plan.affected or plan.only_affected:
                lab = affected.order(lab, built[-1].checkout)
            context = RunContext(lab, source, Path(), started, begin, command, about)
        else:
            from harness.cluster.trials import RemoteLab  # it needs Dask

            remote, checkouts = RemoteLab.of(cluster, lab, source)
            if plan.affected or plan.only_affected:
                remote.lab = affected.order(remote.lab, checkouts[-1][1])
            about += remote.about
            context = RunContext(remote.lab, source, Path(), started, begin, command, about, remote)
        place = folder.make(plan, started, command)
        began(place, source)
        progress.say(f"evidence: {place}")
        context = dataclasses.replace(context, folder=place)
        with folder.writing(place):
            if cluster is None:
                return _test(context, [_here(context, kernel) for kernel in built])
            return _test(context, [_elsewhere(context, *side) for side in checkouts])


def _require_code(judged: Built) -> None:
    """Raise Untestable if no test could tell anything, as the kernel has nothing of the series."""
    if judged.lines is not None and judged.lines.untested:
        missed = list(judged.lines.ranges(LineState.NOT_COMPILED))
        missed = missed or list(judged.lines.ranges(LineState.NO_CODE))
        lines = [f"{part.where}: {part.why}" for part in missed]
        raise Untestable(
            "nothing of the series is compiled into this kernel",
            hint="harness check --only mail,scripts checks it without a kernel",
            details="\n".join(lines[:_MOST_SHOWN]),
        )


@dataclasses.dataclass(frozen=True)
class _SideTrial:
    """A side and its trial, which ``result`` waits for, given the base's.

    ``kernel`` is what is known of the kernel if the trial is interrupted.
    """

    side: Side
    kernel: Kernel
    result: Callable[[Trial | None], tuple[Built, Trial]]


def _here(context: RunContext, built: Built) -> _SideTrial:
    """Return the trial of a kernel on this machine; it begins when its result is wanted."""
    place = context.folder / built.side

    def result(base: Trial | None) -> tuple[Built, Trial]:
        with folder.writing(place):
            return built, trial.run(context.lab, built, place, base=base)

    return _SideTrial(built.side, built.kernel, result)


def _elsewhere(context: RunContext, side: Side, checkout: Checkout) -> _SideTrial:
    """Return the trial of a commit on a worker; it begins now, beside the others."""
    assert context.remote is not None
    place = context.folder / side
    config, commit, arch = place / evidence.CONFIG, checkout.commit, context.lab.toolchain.arch
    unknown = Kernel("", place, place, config, "", commit, arch)
    requested = context.remote.request(
        side, checkout, place, len(checkout.patches), keep=side is Side.BASE
    )

    def result(base: Trial | None) -> tuple[Built, Trial]:
        try:
            built, tested = requested.result(base)
        except NotBuilt as error:
            if base is None:
                raise
            raise kernels.breaks_build(error) from error
        _require_code(built)
        return built, tested

    return _SideTrial(side, unknown, result)


def _test(context: RunContext, sides: Sequence[_SideTrial]) -> Run:
    """Test one side after the other; results are recorded even if the run is interrupted."""
    tested: list[Trial] = []
    try:
        for side in sides:
            built, result = side.result(tested[0] if tested else None)
            tested.append(result)
            context = dataclasses.replace(context, lines=_lines(context, built))
        return _record(context, _rerun(context, _as_run(context, tested)))
    except (KeyboardInterrupt, HostFault) as why:
        with contextlib.suppress(OSError):  # a full disk
            for side in sides[len(tested) :][: None if context.remote else 1]:
                place = context.folder / side.side
                tested.append(evidence.read(place, side.side, side.kernel, stopped=True))
            run = dataclasses.replace(_as_run(context, tested), interrupted=True)
            _record(context, run)
        if isinstance(why, HostFault):
            raise
        what = f"interrupted: {ended_so_far(tested)}; all evidence is kept in {context.folder}"
        raise Interrupted(what, hint=repeat_command(context.lab.plan)) from None


def _as_run(context: RunContext, sides: Sequence[Trial]) -> Run:
    """Combine the results of the sides; differences between them have not been rerun yet."""
    plan = context.lab.plan
    run = Run(
        series=plan.series,
        source=context.source,
        folder=context.folder,
        started=context.started.isoformat(timespec="seconds"),
        seconds=0.0,
        accel=str(context.lab.accel),
        sides=tuple(dataclasses.replace(side, allow_flaky=plan.allow_flaky) for side in sides),
        command=context.command,
        about=context.about,
        strict=plan.strict,
        plan=plan.typed,
        followed=context.lab.followed.options,
        lines=context.lines,
    )
    return compared(run)


def _lines(context: RunContext, built: Built) -> SeriesLines | None:
    """Return the series' lines in a kernel that was tested, with what its tests executed."""
    found = store.load_coverage(context.folder / built.side)
    if built.lines is None or found is None:
        return built.lines
    return coverage.with_counts(built.lines, found, built.checkout)


def _rerun(context: RunContext, run: Run) -> Run:
    """Rerun suspected regressions; a splat that the base shows in a rerun is not new."""
    if not run.compared:
        return run
    lab, place = context.lab, run.folder / rerun.FOLDER
    folders = (run.folder / run.sides[0].side, run.folder / run.judged.side)
    settled = rerun.settle(
        run.changes,
        folders,
        lab.plan.reruns,
        place,
        lab.progress,
        context.remote.runners(folders) if context.remote else None,
    )
    splats = new_splats(settled.splats, run.splats)
    return dataclasses.replace(run, changes=settled.changes, splats=splats)


def _record(context: RunContext, run: Run) -> Run:
    """Write run.json, junit.xml and the lcov tracefile, with the times so far."""
    progress = context.lab.progress
    timed = dataclasses.replace(
        run,
        seconds=time.monotonic() - context.begin,
        stages=tuple(progress.times),
        timeline=tuple(progress.spans),
    )
    store.save_run(timed)
    junit.write(timed.folder / "junit.xml", timed)
    found = store.load_coverage(timed.folder / timed.judged.side) if timed.sides else None
    if found is not None:
        text = lcov.tracefile(found, sentences.title(timed))
        (timed.folder / "coverage.info").write_text(text, encoding="utf-8")
    return timed


def _about(arch: str) -> Iterator[tuple[str, str]]:
    """Yield (name, version or size) for the machine and the programs a result depends on."""
    yield "harness", harness.__version__
    try:
        yield "QEMU", accel.find_qemu(arch)[1]
    except HarnessError as error:
        yield "QEMU", error.what
    yield "Python", platform.python_version()
    for name in ("virtme-ng", "pytest", "pytest-xdist"):
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield name, "not installed"
    try:
        yield "host", platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        yield "host", platform.system()
    yield "host kernel", f"{platform.system()} {platform.release()} {platform.machine()}"
    yield "processors", str(os.cpu_count() or 0)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield "memory", f"{pages / (1 << 30):.1f} GiB"


def ended_so_far(sides: Sequence[Trial]) -> str:
    """Describe how many tests have ended: "base tested, patched 45 of 131 tests"."""
    parts = []
    for side in sides:
        # A test that is still running looks like a crash without a message.
        ended = [
            test
            for test in side.tests
            if test.attempts and not looks_running(test.outcome, test.message)
        ]
        if not side.tests:
            parts.append(f"{side.side} not started")
        elif len(ended) == len(side.tests):
            parts.append(f"{side.side} tested")
        else:
            parts.append(f"{side.side} {len(ended)} of {len(side.tests)}")
    return ", ".join(parts) + (" tests" if parts and " of " in parts[-1] else "")
