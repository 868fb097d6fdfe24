# SPDX-License-Identifier: GPL-2.0-only
"""A bisection from what was asked to what was found."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import guest, kbuild, paths, source, tree
from harness.bisect import commits, parts, points, report
from harness.bisect.ask import Ask
from harness.bisect.hunt import Crew, Judge, Rule
from harness.bisect.job import Job
from harness.bisect.lab import Builder, Lab
from harness.bisect.live import Inner, Live
from harness.bisect.prober import Prober
from harness.bisect.state import StateFile
from harness.errors import Interrupted
from harness.lab import folder as run_folder
from harness.lab import kernels
from harness.model import Bisected, BisectMode, SearchStart, Source
from harness.progress import Progress


def bisect(
    ask: Ask,
    progress: Progress,
    command: tuple[str, ...] = (),
    state: StateFile | None = None,
    began: Callable[[Path, Source], None] = lambda *_: None,
) -> Bisected:
    """Search, prove, and give what was found; everything is in its folder as well.

    With ``state`` an earlier one goes on.  ``began`` is told the folder, and the commit that is
    started from.  Raises UsageError when an end is not what it is said to be, Untestable when it
    cannot be tried, HostFault when the machine will not do.
    """
    begin, started = time.monotonic(), datetime.datetime.now(datetime.UTC)
    guest.sweep()
    kbuild.check_place(paths.cache())
    if state is None:
        run_folder.check(ask.plan)
    start = _source(ask, state, progress)
    if state is None:
        place = run_folder.make(ask.plan, started, command)
        state = StateFile(place, SearchStart(command, str(Path.cwd())))
    began(state.folder, start)
    progress.say(f"evidence: {state.folder}")
    try:
        with run_folder.writing(state.folder):
            found = _searched(ask, start, state, progress)
    except KeyboardInterrupt:
        hint = f"harness bisect --resume {shlex.quote(str(state.folder))}"
        raise Interrupted("interrupted", hint=hint) from None
    seconds = round(time.monotonic() - begin, 1)
    return dataclasses.replace(found, seconds=seconds, mail=report.mail(found))


def _searched(ask: Ask, start: Source, state: StateFile, progress: Progress) -> Bisected:
    inner = Inner(progress)
    with (
        progress.stage("bisect", str(ask.signature)) as stage,
        contextlib.ExitStack() as stack,
    ):
        state.pin({"source": start.commit})
        live = Live(progress, inner, stage, "patches" if ask.series_mode else "commits")
        slot = stack.enter_context(tree.slot(start, inner))
        if ask.mode is not BisectMode.CONFIG:  # only that looks at the worktree all the time
            stack.close()
        with _job(ask, slot, start, inner, live, state) as job:
            found = commits.search(job) if ask.of_commits else parts.search(job)
        stage.finish(f"{len(found.steps)} decisions")
    return found


def _source(ask: Ask, state: StateFile | None, progress: Progress) -> Source:
    """Find the tree, and the commit a series goes on; what was pinned stays."""
    plan, pins = ask.plan, dict(state.begun.pins) if state else {}
    if ask.mode is BisectMode.HISTORY:
        assert plan.tree is not None
        found = source.from_tree(plan.tree, pins.get("bad", ask.bad))
        for good in () if pins else ask.goods:
            points.resolve(plan.tree, good)
    else:
        found = kernels.find_source(plan, progress)
    return dataclasses.replace(found, commit=pins.get("source", found.commit))


@contextlib.contextmanager
def _job(
    ask: Ask, slot: tree.Slot, start: Source, inner: Inner, live: Live, state: StateFile
) -> Iterator[Job]:
    """Put together what tries candidates."""
    plan = ask.plan
    made = kernels.Lab.of(plan, inner, boots=ask.signature.boots)
    series = plan.series if ask.mode is not BisectMode.SERIES else None
    held = slot if ask.mode is BisectMode.CONFIG else None
    words = (made.request, made.toolchain, made.accel)
    lab = Lab(plan, slot.path, held, start, *words, series, inner)
    builder = Builder(lab, sources_only=ask.sources_only, lean=ask.signature.plain)
    prober = Prober(lab, builder, ask.signature, state)
    rule = Rule(ask.confidence, ask.other, reverse=ask.reverse)
    try:
        with Crew(prober, _guests(ask)) as crew:
            judge = Judge(prober, rule, crew)
            yield Job(ask, lab, judge, crew, live, state)
    finally:
        builder.close()


def _guests(ask: Ask) -> int:
    """Say how many trials may run at once: as asked, or one for each two processors."""
    if not ask.signature.boots:
        return 1
    asked = ask.plan.guests
    return int(asked) if asked.isdigit() else max(1, min(3, len(os.sched_getaffinity(0)) // 2))
