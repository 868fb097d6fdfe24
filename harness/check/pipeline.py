# SPDX-License-Identifier: GPL-2.0-only
"""Check a series: one walk over its commits, from the base to the tip."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import guest, kbuild, paths, tree
from harness.check import builds, commits, mail, report
from harness.check.findings import merged
from harness.check.scripts import Scripts
from harness.check.walk import CheckRequest, Needs, Step, Walk
from harness.cluster import connect
from harness.errors import HostFault, Interrupted
from harness.lab import coverage, folder, kernels
from harness.lab.plan import require_suites
from harness.model import (
    WHOLE_SERIES,
    Cell,
    CellState,
    CheckMatrix,
    Finding,
    PatchRow,
    Plan,
    SeriesLines,
    Severity,
    Source,
)
from harness.progress import Progress
from harness.results import store
from harness.series import trust


def check(
    plan: Plan,
    request: CheckRequest,
    progress: Progress,
    command: tuple[str, ...] = (),
    began: Callable[[Path, Source], None] = lambda *_: None,
) -> tuple[CheckMatrix, Path]:
    """Check the plan's series; return the matrix and the folder of the evidence.

    ``began`` is called with that folder and the source as soon as they are known.  A patch that is
    bad, does not build or does not apply is a result.  Raises a HarnessError if there is no result.
    """
    begin, started, series = time.monotonic(), datetime.datetime.now(datetime.UTC), plan.series
    assert series is not None
    if request.builds:
        guest.sweep()
        kbuild.check_place(paths.cache())
        plan = dataclasses.replace(plan, jobs=builds.jobs(plan.jobs))
    _require_programs(plan, request)
    folder.check(plan)
    source = kernels.find_source(plan, progress)
    remote = plan if request.builds else dataclasses.replace(plan, on="")
    with (
        connect.workers(remote, progress) as cluster,
        tree.slot(source, progress) as slot,
        paths.scratch(paths.cache() / "scripts") as scratch,
    ):
        applied = commits.apply(slot, series)
        patched = [checkout.commit for checkout in applied.patched]
        walk = Walk(
            plan,
            request,
            series,
            slot,
            applied,
            Scripts(slot.path, (applied.tip if request.trust else applied.base).commit, scratch),
            mail.read_all(series, request.committers, patched, applied.base.commit),
            mail.read(series.cover, "") if series.cover else None,
            folder.make(plan, started, command),
            progress,
            cluster=cluster,
        )
        began(walk.folder, source)
        # Without a build, keep the time stamps of the sources for a later make.
        reading = contextlib.nullcontext() if request.builds else slot.reading()
        try:
            with folder.writing(walk.folder), reading, walk.exits:
                run_checks(walk)
        except KeyboardInterrupt:
            walk.faults.append("the check was interrupted")
            report.write(matrix_of(walk, source, time.monotonic() - begin), walk.folder)
            hint = f"the findings so far are in {walk.folder}"
            raise Interrupted("interrupted", hint=hint) from None
    return matrix_of(walk, source, time.monotonic() - begin), walk.folder


def _require_programs(plan: Plan, request: CheckRequest) -> None:
    """Raise HostFault if the program of a requested check is not installed."""
    if request.wants("tests"):
        require_suites(plan)
    for check in request.checks:
        if check.program and shutil.which(check.program) is None:
            raise HostFault(
                f"{check.name} is not installed", hint=f"install it, or --skip {check.name}"
            )


def run_checks(walk: Walk) -> None:
    """Run all checks from the base to the tip; ``walk`` keeps the findings if it is stopped."""
    _refuse(walk)
    columns = {
        check: check.run(walk, check.name)
        for check in walk.request.checks
        if check.needs < Needs.MAKE or not walk.refused
    }
    needs = {check.needs for check in columns}
    for step in _steps(walk, with_kernels=Needs.KERNEL in needs):
        for check, column in columns.items():
            if check.needs is Needs.KERNEL:
                walk.cells += column.take(step)
        with _sources(walk, step) if Needs.SOURCES in needs else contextlib.nullcontext():
            for check, column in columns.items():
                if check.needs is not Needs.KERNEL:
                    walk.cells += column.take(step)
    # Checks that compile finish last: guests may run until then.
    for _, column in sorted(columns.items(), key=lambda item: item[0].needs is Needs.MAKE):
        walk.cells += column.finish()


def _steps(walk: Walk, *, with_kernels: bool) -> Iterator[Step]:
    """Yield each commit, with its kernel if requested; patches that do not apply come last."""
    previous: builds.Build | None = None
    for number, checkout in enumerate((walk.applied.base, *walk.applied.patched)):
        patch = walk.mails[number - 1] if number else None
        if not with_kernels:
            yield Step(number, patch, checkout)
            continue
        build = walk.builder.build(checkout, previous.checkout if previous else None)
        walk.builds.append(build)
        if build.kernel and number == len(walk.series.patches):
            walk.lines = build.lines or walk.builder.lab.lines(build.kernel)
        unchanged = number in builds.unchanged(walk.builds)
        yield Step(number, patch, checkout, build, previous, unchanged)
        previous = build if build.kernel else previous
    for number, patch in enumerate(walk.mails, 1):
        if number > len(walk.applied.patched):
            yield Step(number, patch, None)


@contextlib.contextmanager
def _sources(walk: Walk, step: Step) -> Iterator[None]:
    """Check out the sources of a commit in the worktree."""
    if step.checkout is None:
        yield
        return
    walk.slot.check_out(step.checkout)
    with walk.progress.stage("scripts", step.mail.patch.subject if step.mail else "the base"):
        yield


def _refuse(walk: Walk) -> None:
    """Refuse to build if that would run code of an untrusted series."""
    if not walk.request.builds or walk.request.trust:
        return
    commands = trust.commands(walk.series)
    if not commands:
        return
    walk.refused = "the series changes what a build runs (--trust to build it)"
    findings = (Finding(Severity.NOTE, f"a build runs {line}", rule="runs") for line in commands)
    walk.cells.append(Cell(WHOLE_SERIES, "apply", CellState.GOOD, tuple(findings)))
    walk.cells += [
        Cell(number, check.name, CellState.UNKNOWN, note=walk.refused)
        for number in (*range(1, len(walk.series.patches) + 1), WHOLE_SERIES)
        for check in walk.request.checks
        if check.needs >= Needs.MAKE
    ]


def _lines(walk: Walk) -> SeriesLines | None:
    """Return the lines of the series; with --coverage, with what the tests of the tip executed."""
    number = len(walk.applied.patched)
    found = store.load_coverage(walk.folder / str(number)) if number else None
    if walk.lines is None or found is None:
        return walk.lines
    return coverage.with_counts(walk.lines, found, walk.applied.tip)


def matrix_of(walk: Walk, source: Source, seconds: float) -> CheckMatrix:
    """Return the matrix of all findings so far."""
    hashes = [checkout.commit for checkout in walk.applied.patched]
    hashes += [""] * (len(walk.series.patches) - len(hashes))
    series = walk.series
    # Commits without a cover letter are named as on the command line.
    unnamed = series.repo is not None and not series.cover
    return CheckMatrix(
        name=series.name if unnamed else series.title or series.name,
        base=source.name,
        rows=tuple(
            PatchRow(patch.number, commit, patch.subject)
            for patch, commit in zip(series.patches, hashes, strict=True)
        ),
        checks=tuple(check.name for check in walk.request.checks),
        cells=merged(walk.cells),
        strict=walk.request.strict,
        untestable=walk.applied.trouble.what if walk.applied.trouble else "",
        refused=walk.refused,
        fault="; ".join(dict.fromkeys(walk.faults)),
        seconds=seconds,
        followed=walk.lab.followed.options if walk.builds else (),
        lines=_lines(walk),
    )
