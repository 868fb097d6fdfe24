# SPDX-License-Identifier: GPL-2.0-only
"""What a person sees meanwhile: the range, the step, how many are left, and how long."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator

from harness.bisect.search import Search
from harness.bisect.sequential import Decision
from harness.model import Call, Candidate
from harness.progress import Progress, Stage, StageRow, clock

_MARKS = {Call.GOOD: "good", Call.BAD: "bad", Call.SKIP: "odd", Call.OTHER: "odd"}


class Inner(Progress):
    """Takes the stages of trials and builds: they are shown as rows of the bisection's own."""

    def __init__(self, outer: Progress) -> None:
        super().__init__(quiet=True, live=False)
        self.verbose, self.console = outer.verbose, outer.console
        self.around: Stage | None = None
        self._rows: dict[int, StageRow] = {}

    @contextlib.contextmanager
    def stage(self, name: str, what: str = "") -> Iterator[Stage]:
        """Show a stage while the context lasts."""
        with super().stage(name, what) as stage:
            self._rows[id(stage)] = StageRow(name, what, time.time())
            self._shown()
            try:
                yield stage
            finally:
                self._rows.pop(id(stage), None)
                self._shown()

    def show(self, stage: Stage) -> None:
        """Show how far a stage is."""
        row = self._rows.get(id(stage))
        if row is not None:
            part = f"{stage.done:.0f}/{stage.total:.0f} " if stage.done and stage.total else ""
            what = f"{part}{stage.note or stage.what}"
            self._rows[id(stage)] = dataclasses.replace(row, what=what)
            self._shown()

    def _shown(self) -> None:
        around = self.around
        if around is not None:
            around.rows = tuple(self._rows.values())
            around.update(around.done, around.total, around.note)


class Live:
    """Tells of a search while it goes on; ``what`` are its things, as in "patches"."""

    def __init__(self, progress: Progress, inner: Inner, stage: Stage, what: str) -> None:
        self.progress, self.stage, self.what = progress, stage, what
        inner.around = stage
        self.steps = 0

    def searching(self, search: Search, now: Candidate) -> None:
        """Say what is tried next, of how many."""
        more = search.steps()
        words = f"{len(search.left)} {self.what}, step {self.steps + 1} of {self.steps + more}"
        self.at(f"{words}: {now.name}", self.steps, self.steps + more)

    def at(self, words: str, done: int | None = None, total: int | None = None) -> None:
        """Say what is done now."""
        self.stage.update(done, total, words)

    def flaky(self, runs: int, repeated: bool) -> None:
        """Say that the failure is flaky: ``runs`` must pass before a kernel is called good."""
        more = "" if repeated else "; --repeat 10 does ten in each guest"
        self.progress.say(f"it does not always fail: {runs} runs must pass to be called good{more}")

    def decided(self, candidate: Candidate, decision: Decision, phase: str = "search") -> None:
        """Say what a candidate turned out to be."""
        self.steps += phase == "search"
        seconds = sum(one.seconds for one in decision.observations)
        line = f"{decision.call:<5} {candidate.name}  {clock(seconds)}"
        self.progress.event(_MARKS[decision.call], line, decision.why)
