# SPDX-License-Identifier: GPL-2.0-only
"""Runs a bisection, from its plan to its answer."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import shlex
import time
from collections.abc import Callable
from pathlib import Path

from harness import guest, tree
from harness.bisect import ranges, report
from harness.bisect.builder import CandidateBuilder, CandidateSources
from harness.bisect.commits import bisect_commits
from harness.bisect.config import bisect_config
from harness.bisect.hunt import CallRule, Judge, SearchProgress, TrialThreads
from harness.bisect.job import BisectJob, BisectPlan
from harness.bisect.patches import bisect_patches
from harness.bisect.prober import Prober, StateFile
from harness.bisect.signature import COMMAND
from harness.cluster import connect
from harness.errors import Interrupted, NotApplied, UsageError
from harness.lab import affected
from harness.lab import folder as run_folder
from harness.lab.kernels import Lab, find_source
from harness.lab.plan import guests_beside_make
from harness.model import Bisected, BisectMode, SearchStart, Source
from harness.progress import Progress, RowProgress

_MOST_GUESTS = 3  # what is tried before its turn is often tried in vain

_SEARCHES = {
    BisectMode.SERIES: bisect_commits,
    BisectMode.HISTORY: bisect_commits,
    BisectMode.CONFIG: bisect_config,
    BisectMode.INTERACTION: bisect_patches,
}


def bisect(
    plan: BisectPlan,
    progress: Progress,
    command: tuple[str, ...] = (),
    state: StateFile | None = None,
    began: Callable[[Path, Source], None] = lambda *_: None,
) -> Bisected:
    """Search, prove, and return the answer, which is also written to the folder of the bisection.

    ``state`` is the state of a bisection to resume.  ``began`` is called with the folder and the
    commit to start from.  Raises UsageError if an end does not have the expected result, Untestable
    if an end cannot be tested, HostFault if the machine failed.
    """
    begin, started = time.monotonic(), datetime.datetime.now(datetime.UTC)
    guest.sweep()
    if state is None:
        run_folder.check(plan.run)
    _require_here(plan)
    lab = Lab.of(plan.run, progress, boots=plan.signature.kind.boots and not plan.run.on)
    start = _source(plan, state.pins if state else {}, progress)
    lab = lab.with_suites(start, test=plan.signature.test)
    if state is None:
        folder = run_folder.make(plan.run, started, command)
        with run_folder.writing(folder):
            plan.save(folder)
        state = StateFile(folder, SearchStart(command, str(Path.cwd())))
    began(state.folder, start)
    progress.say(f"evidence: {state.folder}")
    try:
        with run_folder.writing(state.folder):
            answer = _search(plan, lab, start, state)
    except KeyboardInterrupt:
        hint = f"harness bisect --resume {shlex.quote(str(state.folder))}"
        raise Interrupted("interrupted", hint=hint) from None
    answer = dataclasses.replace(
        answer,
        seconds=round(time.monotonic() - begin, 1),
        mail=report.mail(answer),
        commands=report.commands(answer, command, plan.run.tree),
    )
    report.write(answer)
    return answer


def _require_here(plan: BisectPlan) -> None:
    """Raise UsageError for a bisection that workers cannot do."""
    if not plan.run.on:
        return
    if plan.signature.kind is COMMAND or plan.mode is BisectMode.CONFIG:
        what = "a command" if plan.signature.kind is COMMAND else "the options of a config"
        raise UsageError(f"--on cannot bisect with {what}", hint="leave out --on")


def _source(plan: BisectPlan, pins: dict[str, str], progress: Progress) -> Source:
    """Find the commit to start from; pinned commits take precedence."""
    run = plan.run
    if plan.mode is BisectMode.HISTORY:
        assert run.tree is not None
        for ref in () if pins else plan.goods:
            ranges.resolve(run.tree, ref)
        run = dataclasses.replace(run, base=pins.get("bad", plan.bad), search_base=False)
    start = find_source(run, progress)
    return dataclasses.replace(start, commit=pins.get("source", start.commit))


def _search(plan: BisectPlan, lab: Lab, start: Source, state: StateFile) -> Bisected:
    """Set up the builder and the threads, and search."""
    progress, rows = lab.progress, RowProgress(lab.progress)
    unit = "patches" if plan.mode is BisectMode.SERIES else "commits"
    with (
        progress.stage("bisect", str(plan.signature)) as stage,
        contextlib.ExitStack() as worktree,
        contextlib.ExitStack() as stack,
    ):
        state.pin({"source": start.commit})
        shown = SearchProgress(progress, rows, stage, unit)
        slot = worktree.enter_context(tree.slot(start, rows))
        # Two configurations are compared as they were given: nothing follows from the series.
        follows = not plan.sources_only and plan.mode is not BisectMode.CONFIG
        if plan.run.series is not None and follows:
            with contextlib.suppress(NotApplied):  # a candidate's own trial will say so
                tip = slot.patched(plan.run.series)
                lab = lab.following(slot, slot.base(), tip, held=True) or lab
                if not plan.run.on:
                    lab = lab.buildable(slot, lean=plan.signature.kind.lean)
                lab = affected.order(lab, tip)
        if plan.mode is not BisectMode.CONFIG:  # only CONFIG needs the worktree throughout
            worktree.close()
        sources = CandidateSources(
            dataclasses.replace(lab, progress=rows),
            slot.path,
            start,
            series=plan.run.series if plan.mode is not BisectMode.SERIES else None,
            slot=slot if plan.mode is BisectMode.CONFIG else None,
        )
        lean = plan.signature.kind.lean
        cluster = stack.enter_context(connect.workers(plan.run, rows))
        if cluster is None:
            builder = CandidateBuilder(sources, sources_only=plan.sources_only, lean=lean)
        else:
            from harness.bisect.remote import RemoteCandidateBuilder  # it needs Dask

            place = state.folder / "builds"
            builder = RemoteCandidateBuilder(sources, cluster, place, lean=lean)
        stack.callback(builder.close)
        prober = Prober(builder, plan.signature, state)
        here = guests_beside_make(plan.run, _MOST_GUESTS) if plan.signature.kind.boots else 1
        guests = builder.workers or here
        threads = stack.enter_context(TrialThreads(prober, guests))
        judge = Judge(prober, CallRule(plan.confidence, plan.other, reverse=plan.reverse), threads)
        answer = _SEARCHES[plan.mode](BisectJob(plan, sources, judge, shown, state))
        stack.close()
        stage.finish(f"{len(answer.steps)} decisions")
    return answer
