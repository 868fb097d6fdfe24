# SPDX-License-Identifier: GPL-2.0-only
"""Check a series: one walk over its commits, from the base to the tip."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import build, guest, kbuild, paths, tree
from harness.check import derive, judge, patches, report, revision, scripts, steps, variants
from harness.check import letter as mail
from harness.check.boots import Booter
from harness.check.builds import Builder, has_sparse
from harness.check.kernels import Kernels
from harness.check.letter import Letter
from harness.check.patches import Looked
from harness.check.scripts import Scripts
from harness.check.steps import Steps
from harness.check.values import WHOLE, Cell, Finding, Level, Matrix, Row, State, cell
from harness.check.wish import GROUPS, Wish
from harness.errors import INTERRUPTED, HostFault, Interrupted
from harness.guest import accel
from harness.model import Checkout, Series, Source
from harness.progress import Progress
from harness.run import Plan, folder, kernels
from harness.series import trust


@dataclasses.dataclass
class _Walk:
    """What a check knows while it goes from commit to commit."""

    plan: Plan
    wish: Wish
    series: Series
    slot: tree.Slot
    steps: Steps
    tools: Scripts
    looked: list[Looked]
    cover: Letter | None
    progress: Progress
    cells: list[Cell] = dataclasses.field(default_factory=list)
    documents: list[tuple[Finding, ...]] = dataclasses.field(default_factory=list)
    refused: str = ""
    faults: list[str] = dataclasses.field(default_factory=list)

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that the series touches."""
        return tuple(dict.fromkeys(file for one in self.series.patches for file in one.files))


def check(
    plan: Plan, wish: Wish, progress: Progress, command: tuple[str, ...] = ()
) -> tuple[Matrix, Path]:
    """Check the plan's series; gives the matrix and the folder of the evidence.

    A patch that is bad, does not build or does not apply is an answer.  Raises a HarnessError
    when there is none to be had.
    """
    begin, started = time.monotonic(), datetime.datetime.now(datetime.UTC)
    assert plan.series is not None
    series = plan.series
    if wish.builds:
        guest.sweep()
        kbuild.check_place(paths.cache())
    if wish.wants("sparse") and not has_sparse():
        raise HostFault("sparse is not installed", hint="apt install sparse, or leave it out")
    folder.check(plan)
    source = kernels.find_source(plan, progress)
    with tree.slot(source, progress) as slot, paths.scratch(paths.cache() / "scripts") as scratch:
        done = steps.apply(slot, series)
        tools = Scripts(slot.path, (done.tip if wish.trust else done.base).commit, scratch)
        commits = [one.commit for one in done.patched]
        looked = patches.letters(series, wish, commits, done.base.commit)
        cover = mail.read(series.cover, "") if series.cover else None
        walk = _Walk(plan, wish, series, slot, done, tools, looked, cover, progress)
        place = folder.make(plan, started, command)
        try:
            with folder.writing(place):
                _walk(walk, place)
        except KeyboardInterrupt:
            report.write(_matrix(walk, source, time.monotonic() - begin), place, INTERRUPTED)
            hint = f"what was found until then is in {place}"
            raise Interrupted("interrupted", hint=hint) from None
    return _matrix(walk, source, time.monotonic() - begin), place


def _walk(walk: _Walk, place: Path) -> None:
    """Go from the base to the tip; what was found so far is in ``walk`` when it is stopped."""
    walk.cells += _applied(walk.steps, walk.series)
    if walk.wish.wants("form"):
        walk.cells.append(patches.whole(walk.series, walk.looked, walk.wish, walk.cover))
    if walk.wish.previous and walk.wish.wants("revision"):
        walk.cells.append(revision.compare(walk.slot, walk.steps, walk.wish.previous, place))
    renames = steps.renames(walk.slot, walk.steps)
    found = _foreign(walk)
    with _kernels(walk, place, found) as made:
        for number, checkout in enumerate((walk.steps.base, *walk.steps.patched)):
            _step(walk, made, number, checkout)
        for one in walk.looked[len(walk.steps.patched) :]:
            walk.cells += _look(walk, one)
        if walk.documents and walk.steps.patched:
            rows = list(enumerate(walk.documents))[1:]
            column = judge.Column("kernel-doc", walk.documents[0], rows)
            walk.cells += judge.cells(column, renames)
        if made and walk.steps.patched:
            walk.cells += made.cells(renames)
            walk.faults += filter(None, [made.fault])
    if walk.wish.wants("variants") and walk.steps.patched and not found:
        walk.cells += _variants(walk)
    if found:
        names = [name for name in GROUPS["kernel"] if walk.wish.wants(name)]
        note = walk.refused = "the series changes what a build runs (--trust to build it)"
        numbers = [*range(1, len(walk.series.patches) + 1), WHOLE]
        walk.cells += [Cell(n, name, State.UNKNOWN, (), note) for n in numbers for name in names]


def _look(walk: _Walk, one: Looked) -> list[Cell]:
    return patches.cells(one, walk.wish, walk.tools, walk.cover, walk.faults)


def _step(walk: _Walk, made: Kernels | None, number: int, checkout: Checkout) -> None:
    """Do all that is to be done at one commit."""
    wish = walk.wish
    if made:
        made.take(made.builder.make(checkout))
    if not wish.wants("checkpatch", "maintainers", "kernel-doc"):
        if number:
            walk.cells += _look(walk, walk.looked[number - 1])
        return
    walk.slot.check_out(checkout)
    with walk.progress.stage("scripts", checkout.patches[-1][1] if number else "the base"):
        if number:
            walk.cells += _look(walk, walk.looked[number - 1])
        if wish.wants("kernel-doc") and walk.tools.has("scripts/kernel-doc"):
            files = [file for file in walk.files if file.endswith((".c", ".h"))]
            walk.documents.append(tuple(scripts.kernel_doc(walk.tools, files)))


@contextlib.contextmanager
def _kernels(walk: _Walk, place: Path, foreign: Sequence[str]) -> Iterator[Kernels | None]:
    """Give what takes the kernels, if there are to be any."""
    if not walk.wish.kernels or foreign:
        yield None
        return
    plan, progress = walk.plan, walk.progress
    compiler = build.toolchain(plan.arch or None, plan.llvm)
    request = kernels.ask(plan, compiler)
    builder = Builder(plan, walk.slot, request, compiler, progress)
    total = len(walk.steps.patched)
    if not walk.wish.wants("tests"):
        yield Kernels(walk.wish, builder, None, walk.tools, walk.files, total)
        return
    kind, _ = accel.choose(plan.accel, progress)
    booter = Booter(plan, request, kind, place, progress)
    with booter.working():
        yield Kernels(walk.wish, builder, booter, walk.tools, walk.files, total)


def _variants(walk: _Walk) -> list[Cell]:
    """Compile what the series touches with its own options at other values."""
    plan, tip = walk.plan, walk.steps.tip
    walk.slot.check_out(tip)  # the series may add the Makefiles
    lines = [
        line
        for one in walk.looked
        for change in one.changes
        for line in (*(added.text for added in change.added), *change.removed)
    ]
    toolchain = build.toolchain(plan.arch or None, plan.llvm)
    options = derive.options(tip.path, walk.files, lines)
    compiler = variants.Compiler(
        walk.slot, kernels.ask(plan, toolchain), toolchain, plan.jobs, walk.progress
    )
    wanted = variants.variants(options, toolchain.arch)
    return variants.check(compiler, wanted, (walk.steps.base, tip), walk.files)


def _foreign(walk: _Walk) -> tuple[str, ...]:
    """Say what of the series a build would run, unless it is trusted."""
    if not walk.wish.builds or walk.wish.trust:
        return ()
    found = trust.commands(walk.series)
    notes = tuple(Finding(Level.NOTE, f"a build runs {line}", rule="runs") for line in found)
    if notes:
        walk.cells.append(Cell(WHOLE, "apply", State.GOOD, notes))
    return found


def _applied(done: Steps, series: Series) -> list[Cell]:
    found = []
    for number, _ in enumerate(series.patches, 1):
        if number <= len(done.patched):
            found.append(Cell(number, "apply", State.GOOD))
        elif done.trouble and number == len(done.patched) + 1:
            what = Finding(Level.ERROR, done.trouble.what, rule="apply")
            found.append(cell(number, "apply", (what,)))
        else:
            found.append(Cell(number, "apply", State.UNKNOWN, note="a patch before it is missing"))
    return found


def _matrix(walk: _Walk, source: Source, seconds: float) -> Matrix:
    trouble = walk.steps.trouble
    commits = [one.commit for one in walk.steps.patched]
    rows = tuple(
        Row(one.number, commits[n] if n < len(commits) else "", one.subject)
        for n, one in enumerate(walk.series.patches)
    )
    cells = {(one.patch, one.check): one for one in _laid(walk.cells)}
    return Matrix(
        name=walk.series.title or walk.series.name,
        base=source.name,
        rows=rows,
        checks=walk.wish.checks,
        cells=tuple(cells.values()),
        strict=walk.wish.strict,
        untestable=trouble.what if trouble else "",
        refused=walk.refused,
        fault="; ".join(dict.fromkeys(walk.faults)),
        seconds=seconds,
    )


def _laid(cells: Sequence[Cell]) -> list[Cell]:
    """Lay what several checks say in one cell together."""
    names = dict.fromkeys(one.check for one in cells)
    return [
        cell
        for name in names
        for cell in judge.merged(name, [one for one in cells if one.check == name])
    ]
