# SPDX-License-Identifier: GPL-2.0-only
"""One stage under way: how far it is, and what runs in it."""

from __future__ import annotations

import dataclasses
import time
from typing import Protocol

from rich.text import Text


class Shower(Protocol):
    """What shows stages; see harness.progress.shown.Progress."""

    def show(self, stage: Stage) -> None:
        """Show how far ``stage`` is now."""

    def say(self, text: str) -> None:
        """Tell the person something."""

    def event(self, mark: str, text: str, more: str = "") -> None:
        """Tell of something that happened."""

    def more(self, text: str) -> None:
        """Tell what only -v asks for."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One line below a stage: who (a guest) does what (a test), since when (as time.time())."""

    name: str
    what: str
    began: float


@dataclasses.dataclass
class Stage:
    """One stage under way.  ``update`` is cheap: it may be called for every line of a build.

    ``note`` is what it is at (a line of its own while it runs) and, set by ``finish``, the words
    it ends with.  ``rows`` are what runs side by side in it.
    """

    progress: Shower
    name: str
    what: str = ""
    begin: float = dataclasses.field(default_factory=time.monotonic)
    note: str | Text = ""
    done: float | None = None
    total: float | None = None
    rows: tuple[Row, ...] = ()
    ended: str = ""
    shown: float = 0.0  # when a plain line was last written (monotonic)
    _start: tuple[float, float] | None = None  # when something was done first, and how much

    def update(
        self, done: float | None = None, total: float | None = None, note: str | Text = ""
    ) -> None:
        """Say how far it is: ``done`` of ``total`` (any unit), and what it is at."""
        self.done, self.total, self.note = done, total, note
        if done and self._start is None:
            self._start = time.monotonic(), done
        self.progress.show(self)

    def finish(self, note: str) -> None:
        """Set the words that stand behind the stage when it ends."""
        self.ended = note

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.begin

    @property
    def left(self) -> float | None:
        """How long it may still take, in seconds; None while nobody can tell."""
        if self._start is None or not self.done or not self.total or self.done > self.total:
            return None
        since, already = self._start  # what came before, such as a boot, was another kind of work
        took = time.monotonic() - since
        if took < _SURE or self.done == already:
            return None
        return took * (self.total - self.done) / (self.done - already)


_SURE = 5.0  # seconds before a guess is worth anything


def clock(seconds: float) -> str:
    """Write a duration as people read it: 0.4s, 12s, 3m05, 2h07m."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    if seconds < 60:
        return f"{seconds:.0f}s"
    if seconds < 3600:
        return f"{int(seconds) // 60}m{int(seconds) % 60:02}"
    return f"{int(seconds) // 3600}h{int(seconds) // 60 % 60:02}m"
