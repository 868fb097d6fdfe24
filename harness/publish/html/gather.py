# SPDX-License-Identifier: GPL-2.0-only
"""From the folder of a run to its page."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.model import ChangeKind, Matrix, Run, Series
from harness.publish.html import (
    bisection,
    boots,
    checks,
    columns,
    failures,
    patches,
    remarks,
    rows,
    setup,
    steps,
    timeline,
    unfinished,
    verdict,
)
from harness.publish.html.columns import BASE, Column
from harness.publish.html.cutting import Budget
from harness.publish.html.failures import Ask, Sources
from harness.publish.html.sections import PatchView
from harness.publish.html.values import Failure, Page
from harness.results import store
from harness.results.regression import settled

_TOLD = (ChangeKind.REGRESSION, ChangeKind.SUSPECT, ChangeKind.FLAKY, ChangeKind.NEW)
ROOM = 8 << 20  # characters of evidence on a page
BEFORE = 2 << 20  # of what failed on the base


def page(folder: Path, ask: Ask | None = None, check: Path | None = None) -> Page:
    """Make the page of a run's folder; with ``check`` it has the matrix of a check as well.

    Of a folder that ``harness check`` or ``harness bisect`` made it is that one's page, and of a
    run that was killed it has what is known.  Raises UsageError when the folder is nobody's.
    """
    if not (folder / store.RUN).is_file():
        if (folder / store.CHECK).is_file():
            return steps.page(folder, ask)
        if (folder / bisection.NAME).is_file():
            return bisection.page(folder)
        if unfinished.is_one(folder):
            return unfinished.page(folder, ask)
    run = settled(store.load_run(folder))
    matrix = store.load_check(check) if check else None
    between = (
        [one for one in steps.kernels(matrix, check) if one.label != BASE]
        if matrix and check
        else []
    )
    return _Gathered(run, folder, ask, matrix, between).page()


class _Gathered:
    """A run with what its folder holds; ``between`` are a check's kernels, patch by patch."""

    def __init__(
        self,
        run: Run,
        folder: Path,
        ask: Ask | None,
        matrix: Matrix | None,
        between: Sequence[Column],
    ) -> None:
        self.run, self.folder, self.matrix = run, folder, matrix
        self.columns = columns.of_run(run, folder)
        self.subjects = _subjects(run.series)
        self.boot = tuple(boots.complaints(run, self.columns, self.subjects))
        self.failures, self.before = self._failures(ask)
        shown = (*self.failures, *self.before)
        self.links = {(one.column, one.test): one.anchor for one in shown}
        self.across = (*self.columns[:-1], *between, *self.columns[-1:])
        tested = [(one.label, one.tests) for one in self.across]
        kinds = {one.test: one.kind for one in run.changes}
        self.rows = rows.make(tested, self.links, kinds) if self.columns else ()

    def _failures(self, ask: Ask | None) -> tuple[tuple[Failure, ...], tuple[Failure, ...]]:
        if not self.columns:
            return (), ()
        *first, judged = self.columns
        counted = {test.id for test in self.run.blamed}
        change = {test: "old" for one in first for test in one.bad if test not in counted}
        change |= {c.test: rows.change(c.kind) for c in self.run.changes if c.kind in _TOLD}
        room = Budget(ROOM)
        sources = Sources(judged.folder, judged.label, self.subjects, change, ask)
        bad = sorted(failures.bad(judged), key=lambda test: test.id not in counted)
        own = failures.view(bad, sources, room)
        before: tuple[Failure, ...] = ()
        for one in first:
            fixed = {c.test: "fixed" for c in self.run.changes if c.fixed}
            words = Sources(one.folder, one.label, self.subjects, fixed)
            before += failures.view(failures.bad(one), words, Budget(min(BEFORE, room.left)))
        return own, before

    def page(self) -> Page:
        run, judged = self.run, self.columns[-1] if self.columns else None
        word, kind = verdict.word(run.verdict)
        tests = judged.tests if judged else ()
        side = judged.folder if judged else self.folder
        warnings = sum(len(side.kernel.warnings) for side in run.sides[-1:])
        fixed = Counter(row.test.partition("::")[0] for row in self.rows if row.change == "fixed")
        return Page(
            word=word,
            kind=kind,
            title=name(run.series) or run.source.name,
            subject=f"on {run.source.name}, {setup.moment(run.started)}",
            lead=verdict.lead(run),
            tiles=tuple(verdict.tiles(tests, self.rows, warnings, run)),
            kernels=tuple(verdict.kernel(side) for side in run.sides),
            columns=tuple((one.label, one.about) for one in self.across),
            groups=rows.groups(self.rows),
            broken=tuple(row for row in self.rows if row.change == "broken")[: failures.SHOWN],
            fixed=tuple(fixed.items()),
            failures=self.failures,
            before=self.before,
            hidden=sum(len(failures.bad(one)) for one in self.columns)
            - len(self.failures)
            - len(self.before),
            boot=self.boot,
            unborn=tuple(boots.unborn(run, self.columns)),
            dumps=boots.dumps(self.columns),
            warnings=remarks.warnings(run, self.subjects),
            checks=checks.view(self.matrix) if self.matrix else None,
            patches=tuple(self._patches()),
            timeline=timeline.of(timeline.of_stages(run), self.columns, self.links),
            options=setup.options(side),
            about=tuple(setup.about(run, side)),
            command=shlex.join(run.command),
            folder=str(self.folder),
        )

    def _patches(self) -> Iterator[PatchView]:
        if self.run.series is None:
            return
        notes = checks.notes(self.matrix) if self.matrix else {}
        by_subject = remarks.at_lines(self.run, self.failures, self.boot)
        room = Budget(patches.ALL)
        for one in self.run.series.patches:
            path = kept(self.folder, one.path)
            at = [*notes.get(one.number, ()), *by_subject.get(one.subject, ())]
            yield patches.view(one.number, one.subject, one.author, path, at, room)


def name(series: Series | None) -> str:
    """Give a series' title, or its name where it has none."""
    return (series.title or series.name) if series else ""


def _subjects(series: Series | None) -> dict[str, str]:
    return {one.subject: patches.anchor(one.number) for one in series.patches} if series else {}


def kept(folder: Path, path: Path) -> Path:
    """Give a patch as the run kept it, or where it came from."""
    mine = folder / "series" / path.name
    return mine if mine.is_file() else path
