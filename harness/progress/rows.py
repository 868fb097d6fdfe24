# SPDX-License-Identifier: GPL-2.0-only
"""Stages of a long search as rows of one stage."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator

from harness.progress import Progress, Stage, StageRow


class RowProgress(Progress):
    """Shows the stages of trials and builds as rows below the stage of a whole search."""

    def __init__(self, outer: Progress) -> None:
        super().__init__(quiet=True, live=False)
        self.verbose, self.screen = outer.verbose, outer.screen
        self.around: Stage | None = None
        self._rows: dict[int, StageRow] = {}

    @contextlib.contextmanager
    def stage(self, name: str, what: str = "") -> Iterator[Stage]:
        """Show a stage while the context lasts."""
        with super().stage(name, what) as stage:
            self._rows[id(stage)] = StageRow(name, what, time.time())
            self._redraw()
            try:
                yield stage
            finally:
                self._rows.pop(id(stage), None)
                self._redraw()

    def show(self, stage: Stage) -> None:
        """Show the progress of a stage."""
        row = self._rows.get(id(stage))
        if row is not None:
            part = f"{stage.done:.0f}/{stage.total:.0f} " if stage.done and stage.total else ""
            what = f"{part}{stage.note or stage.what}"
            self._rows[id(stage)] = dataclasses.replace(row, what=what)
            self._redraw()

    def _redraw(self) -> None:
        around = self.around
        if around is not None:
            around.rows = tuple(self._rows.values())
            around.update(around.done, around.total, around.note)
