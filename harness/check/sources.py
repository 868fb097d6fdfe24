# SPDX-License-Identifier: GPL-2.0-only
"""The columns that look at the sources after each patch: kernel-doc, coccinelle, headers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import build, kbuild, tree
from harness.check import headers, judge, scripts, semantic
from harness.check.judge import Column
from harness.check.scripts import Scripts
from harness.check.wish import Wish
from harness.model import Cell, CellState, Checkout, Finding, Plan, Series
from harness.progress import Progress

Found = tuple[Finding, ...]


@dataclasses.dataclass
class Sources:
    """Takes the base and then each patch in order, while its sources are in the worktree.

    ``trusted``: programs that the series brings may be run, or it brings none.
    """

    plan: Plan
    wish: Wish
    series: Series
    slot: tree.Slot
    tools: Scripts
    place: Path
    trusted: bool
    progress: Progress
    documents: list[Found] = dataclasses.field(default_factory=list)
    semantics: list[Found] = dataclasses.field(default_factory=list)
    shown: list[Cell] = dataclasses.field(default_factory=list)
    _rules: semantic.Rules | None = None
    _before: headers.Text | Finding | None = None

    @property
    def wanted(self) -> bool:
        """Whether there is anything to look at in the sources."""
        return self.wish.wants("kernel-doc", "coccinelle") or self._shows

    @property
    def files(self) -> list[str]:
        """Every C file that the series touches."""
        names = dict.fromkeys(file for one in self.series.patches for file in one.files)
        return [file for file in names if file.endswith((".c", ".h"))]

    @property
    def _shows(self) -> bool:
        """Whether headers are to be made: only for a series that can change them."""
        files = [file for one in self.series.patches for file in one.files]
        return self.wish.wants("headers") and self.trusted and headers.touched(files)

    def take(self, number: int, checkout: Checkout) -> None:
        """Look at one commit; its sources are checked out."""
        if self.wish.wants("kernel-doc") and self.tools.has("scripts/kernel-doc"):
            self.documents.append(tuple(scripts.kernel_doc(self.tools, self.files)))
        if self.wish.wants("coccinelle"):
            rules = self._rules = self._rules or semantic.Rules(
                self.tools, self.plan.jobs, self.progress
            )
            self.semantics.append(rules.look(checkout, self.files))
        if self._shows:
            self._show(number, checkout)

    def _show(self, number: int, checkout: Checkout) -> None:
        """Make the headers where this patch can change them."""
        here = self.series.patches[number - 1].files if number else ()
        if number and not headers.touched(here):
            return
        compiler = build.toolchain(self.plan.arch or None, self.plan.llvm)
        kbuild.check(compiler)
        made = headers.Headers(self.slot, compiler, self.progress).make(checkout)
        before, self._before = self._before, made
        if not number:
            return
        if isinstance(made, Finding):
            self.shown.append(Cell.of(number, "headers", (made,)))
        elif isinstance(before, Finding) or before is None:
            note = before.text if before else ""
            self.shown.append(Cell(number, "headers", CellState.UNKNOWN, note=f"before: {note}"))
        else:
            self.shown.append(Cell.of(number, "headers", headers.compare(before, made)))
            headers.write(self.place, number, before, made)

    def cells(self, renames: Mapping[str, str]) -> list[Cell]:
        """Make the cells: what is new against the base, where it enters and goes away."""
        rules = self._rules
        note = rules.note if rules else ""
        semantics = [rules.sure(one) for one in self.semantics] if rules else []
        return [
            *self._column("kernel-doc", self.documents, renames),
            *self._column("coccinelle", semantics, renames, note),
            *self.shown,
        ]

    def _column(
        self, check: str, known: Sequence[Found], renames: Mapping[str, str], note: str = ""
    ) -> list[Cell]:
        if len(known) < 2:  # the base alone
            return []
        notes = {0: note} if note else {}
        rows = list(enumerate(known))[1:]
        return judge.cells(Column(check, known[0], rows, notes), renames)
