# SPDX-License-Identifier: GPL-2.0-only
"""Check a series: one walk over its commits, from the base to the tip."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness import guest, kbuild, paths, tree
from harness.check import answer, derive, patches, report, revision, semantic, steps, variants
from harness.check import letter as mail
from harness.check.answer import Walk
from harness.check.boots import Booter
from harness.check.builds import Builder, jobs
from harness.check.checkers import COMMANDS, installed
from harness.check.kernels import Kernels
from harness.check.patches import Looked
from harness.check.scripts import Scripts
from harness.check.sources import Sources
from harness.check.wish import GROUPS, Wish
from harness.errors import HostFault, Interrupted
from harness.lab import folder, kernels
from harness.lab.plan import require_suites
from harness.model import (
    WHOLE_SERIES,
    Cell,
    CellState,
    Checkout,
    Finding,
    Matrix,
    Plan,
    Severity,
    Source,
)
from harness.progress import Progress
from harness.series import trust


def check(
    plan: Plan,
    wish: Wish,
    progress: Progress,
    command: tuple[str, ...] = (),
    began: Callable[[Path, Source], None] = lambda *_: None,
) -> tuple[Matrix, Path]:
    """Check the plan's series; gives the matrix and the folder of the evidence.

    ``began`` is told that folder as soon as there is one, and the commit that is started from.
    A patch that is bad, does not build or does not apply is an answer.  Raises a HarnessError
    when there is none to be had.
    """
    begin, started, series = time.monotonic(), datetime.datetime.now(datetime.UTC), plan.series
    assert series is not None
    if wish.builds:
        guest.sweep()
        kbuild.check_place(paths.cache())
        plan = dataclasses.replace(plan, jobs=jobs(plan.jobs))
    _possible(plan, wish)
    folder.check(plan)
    source = kernels.find_source(plan, progress)
    with tree.slot(source, progress) as slot, paths.scratch(paths.cache() / "scripts") as scratch:
        done = steps.apply(slot, series)
        tools = Scripts(slot.path, (done.tip if wish.trust else done.base).commit, scratch)
        commits = [one.commit for one in done.patched]
        looked = patches.letters(series, wish, commits, done.base.commit)
        cover = mail.read(series.cover, "") if series.cover else None
        walk = Walk(plan, wish, series, slot, done, tools, looked, cover, progress)
        place = folder.make(plan, started, command)
        began(place, source)
        try:
            with folder.writing(place), _worktree(walk):
                _walk(walk, place)
        except KeyboardInterrupt:
            walk.faults.append("the check was interrupted")
            report.write(answer.matrix(walk, source, time.monotonic() - begin), place)
            hint = f"what was found until then is in {place}"
            raise Interrupted("interrupted", hint=hint) from None
    return answer.matrix(walk, source, time.monotonic() - begin), place


def _worktree(walk: Walk) -> contextlib.AbstractContextManager[None]:
    """Have a check that only looks at sources leave them as old as they were, for make."""
    return contextlib.nullcontext() if walk.wish.builds else walk.slot.reading()


def _walk(walk: Walk, place: Path) -> None:
    """Go from the base to the tip; what was found so far is in ``walk`` when it is stopped."""
    wish = walk.wish
    walk.cells += answer.applied(walk.steps, walk.series)
    if wish.wants("form"):
        walk.cells.append(patches.whole(walk.series, walk.looked, wish, walk.cover))
    if wish.previous and wish.wants("revision"):
        walk.cells.append(revision.compare(walk.slot, walk.steps, wish.previous, place))
    renames = steps.renames(walk.slot, walk.steps)
    foreign = _foreign(walk)
    words = (walk.plan, wish, walk.series, walk.slot, walk.tools, place)
    sources = Sources(*words, trusted=not foreign, progress=walk.progress)
    with _kernels(walk, place, foreign) as made:
        if made and wish.first and walk.steps.patched:
            made.begin(walk.steps.tip, wish.first)
        for number, checkout in enumerate((walk.steps.base, *walk.steps.patched)):
            _step(walk, made, sources, number, checkout)
        for one in walk.looked[len(walk.steps.patched) :]:
            walk.cells += _look(walk, one)
        walk.cells += sources.cells(renames)
        if made and walk.steps.patched:
            walk.cells += made.cells(renames)
            walk.faults += filter(None, [made.fault])
    if wish.wants("variants") and walk.steps.patched and not foreign:
        walk.cells += _variants(walk)
    if foreign:
        names = [name for name in GROUPS["kernel"] if wish.wants(name)]
        note = walk.refused = "the series changes what a build runs (--trust to build it)"
        numbers = [*range(1, len(walk.series.patches) + 1), WHOLE_SERIES]
        walk.cells += [
            Cell(n, name, CellState.UNKNOWN, (), note) for n in numbers for name in names
        ]


def _look(walk: Walk, one: Looked) -> list[Cell]:
    return patches.cells(one, walk.wish, walk.tools, walk.cover, walk.faults)


def _step(
    walk: Walk, made: Kernels | None, sources: Sources, number: int, checkout: Checkout
) -> None:
    """Do all that is to be done at one commit."""
    if made:
        made.take(made.builder.make(checkout))
    if not sources.wanted and not walk.wish.wants("checkpatch", "maintainers"):
        if number:
            walk.cells += _look(walk, walk.looked[number - 1])
        return
    walk.slot.check_out(checkout)
    with walk.progress.stage("scripts", checkout.patches[-1][1] if number else "the base"):
        if number:
            walk.cells += _look(walk, walk.looked[number - 1])
        sources.take(number, checkout)


@contextlib.contextmanager
def _kernels(walk: Walk, place: Path, foreign: Sequence[str]) -> Iterator[Kernels | None]:
    """Give what takes the kernels, if there are to be any."""
    if not walk.wish.kernels or foreign:
        yield None
        return
    plan, progress = walk.plan, walk.progress
    lab = kernels.Lab.of(plan, progress, boots=walk.wish.wants("tests"))
    builder = Builder(lab, walk.slot)
    total = len(walk.steps.patched)
    if not walk.wish.wants("tests"):
        yield Kernels(walk.wish, builder, None, walk.tools, walk.files, total, place)
        return
    booter = Booter(lab, place)
    with booter.working():
        yield Kernels(walk.wish, builder, booter, walk.tools, walk.files, total, place)


def _possible(plan: Plan, wish: Wish) -> None:
    """See that what was asked for by name is there."""
    if wish.wants("tests"):
        require_suites(plan)
    there = {name: installed(name) for name in COMMANDS} | {"coccinelle": semantic.installed()}
    for name, found in there.items():
        if wish.wants(name) and not found:
            raise HostFault(f"{name} is not installed", hint="install it, or leave it out")


def _variants(walk: Walk) -> list[Cell]:
    """Compile what the series touches with its own options at other values."""
    plan, tip = walk.plan, walk.steps.tip
    walk.slot.check_out(tip)  # the series may add the Makefiles
    lines = [
        line
        for one in walk.looked
        for change in one.changes
        for line in (*(added.text for added in change.added), *change.removed)
    ]
    lab = kernels.Lab.of(plan, walk.progress, boots=False)
    options = derive.options(tip.path, walk.files, lines)
    compiler = variants.Compiler(walk.slot, lab.request, lab.toolchain, plan.jobs, walk.progress)
    wanted = variants.variants(options, lab.toolchain)
    return variants.check(compiler, wanted, walk.steps, walk.files)


def _foreign(walk: Walk) -> tuple[str, ...]:
    """Say what of the series a build would run, unless it is trusted."""
    if not walk.wish.builds or walk.wish.trust:
        return ()
    found = trust.commands(walk.series)
    notes = tuple(Finding(Severity.NOTE, f"a build runs {line}", rule="runs") for line in found)
    if notes:
        walk.cells.append(Cell(WHOLE_SERIES, "apply", CellState.GOOD, notes))
    return found
