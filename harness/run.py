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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import harness
from harness import architectures, guest
from harness.errors import HarnessError, HostFault, Interrupted, Untestable
from harness.guest import accel
from harness.lab import coverage, folder, kernels, rerun, trial
from harness.lab.kernels import Built, Lab
from harness.lab.plan import require_suites
from harness.model import Checkout, LineState, Plan, Run, SeriesLines, Source, Trial, looks_running
from harness.options import repeat_command
from harness.progress import Progress
from harness.publish import junit, lcov, sentences
from harness.results import evidence, store
from harness.results.regression import compared, new_splats

_MOST_SHOWN = 20  # lines about code that is not compiled


@dataclasses.dataclass(frozen=True)
class RunContext:
    """What is known about a run before its first test."""

    lab: Lab
    source: Source
    folder: Path
    started: datetime.datetime
    begin: float
    command: tuple[str, ...]
    about: tuple[tuple[str, str], ...]
    lines: SeriesLines | None
    tip: Checkout


def run(
    plan: Plan,
    progress: Progress,
    command: tuple[str, ...] = (),
    began: Callable[[Path, Source], None] = lambda *_: None,
) -> Run:
    """Test the plan's series; all results are also written to the run's folder.

    ``began`` is called with the run's folder and the source commit, as soon as the folder exists.
    Raises a HarnessError when there is no verdict: see harness.errors for the kinds.
    """
    begin, started = time.monotonic(), datetime.datetime.now(datetime.UTC)
    guest.sweep()
    require_suites(plan)
    folder.check(plan)
    lab = Lab.of(plan, progress)
    arch = lab.toolchain.arch
    if not architectures.named(arch).proven:
        progress.say(f"{arch}: nobody has booted this architecture with the harness yet")
    source = kernels.find_source(plan, progress)
    lab, built = lab.with_suites(source, suggesting=True).kernels(source)
    _require_code(built[-1])
    place = folder.make(plan, started, command)
    began(place, source)
    progress.say(f"evidence: {place}")
    about = tuple(_about(arch))  # now, since an interrupted run must not start programs
    lines = built[-1].lines
    tip = built[-1].checkout
    context = RunContext(lab, source, place, started, begin, command, about, lines, tip)
    with folder.writing(place):
        return _test(context, built)


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


def _test(context: RunContext, built: Sequence[Built]) -> Run:
    """Test one side after the other; results are recorded even if the run is interrupted."""
    sides: list[Trial] = []
    try:
        for kernel in built:
            place = context.folder / kernel.side
            with folder.writing(place):
                base = sides[0] if sides else None
                sides.append(trial.run(context.lab, kernel, place, base=base))
        return _record(context, _rerun(context, _as_run(context, sides)))
    except (KeyboardInterrupt, HostFault) as why:
        with contextlib.suppress(OSError):  # a full disk
            if len(sides) < len(built):
                place = context.folder / kernel.side
                sides.append(evidence.read(place, kernel.side, kernel.kernel, stopped=True))
            run = dataclasses.replace(_as_run(context, sides), interrupted=True)
            _record(context, run)
        if isinstance(why, HostFault):
            raise
        what = f"interrupted: {ended_so_far(sides)}; all evidence is kept in {context.folder}"
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
        lines=_lines(context, sides),
    )
    return compared(run)


def _lines(context: RunContext, sides: Sequence[Trial]) -> SeriesLines | None:
    """Return the series' lines; after the judged trial, with what its tests executed."""
    found = store.load_coverage(context.folder / sides[-1].side) if sides else None
    if context.lines is None or found is None:
        return context.lines
    return coverage.with_counts(context.lines, found, context.tip)


def _rerun(context: RunContext, run: Run) -> Run:
    """Rerun suspected regressions; a splat that the base shows in a rerun is not new."""
    if not run.compared:
        return run
    lab, place = context.lab, run.folder / rerun.FOLDER
    folders = (run.folder / run.sides[0].side, run.folder / run.judged.side)
    settled = rerun.settle(run.changes, folders, lab.plan.reruns, place, lab.progress)
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
