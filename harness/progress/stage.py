# SPDX-License-Identifier: GPL-2.0-only
"""One stage under way: how far it is, and what runs in it."""

from __future__ import annotations

import dataclasses
import math
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
    _marks: tuple[tuple[float, float], ...] = ()  # (when, how much was done), the first and recent
    _told: int | None = None  # the minutes that were told to be left

    def update(
        self, done: float | None = None, total: float | None = None, note: str | Text = ""
    ) -> None:
        """Say how far it is: ``done`` of ``total`` (any unit), and what it is at."""
        self.done, self.total, self.note = done, total, note
        if done is not None and total:  # what came before, such as a boot, was another kind of work
            self._mark(time.monotonic(), done, _SOME * total)
        self.progress.show(self)

    def _mark(self, now: float, done: float, some: float) -> None:
        """Note how much is done now, and forget what is not of late: ``some`` must be left."""
        marks = self._marks
        if not marks or done < marks[-1][1]:
            self._marks = ((now, done), (now, done))
        elif now - marks[-1][0] >= _APART:
            first, *recent = marks
            while len(recent) > 1:
                then, before = recent[1]
                if now - then < _SPAN or done - before < some:
                    break
                recent.pop(0)
            self._marks = (first, *recent, (now, done))

    def finish(self, note: str) -> None:
        """Set the words that stand behind the stage when it ends."""
        self.ended = note

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.begin

    @property
    def left(self) -> float | None:
        """How long it may still take, in seconds; None while nobody can tell.

        As fast as of late: objects that ccache had are no measure of those that it has not.
        """
        marks, now = self._marks, time.monotonic()
        if not marks or not self.done or not self.total or self.done >= self.total:
            return None
        (began, already), (since, before) = marks[:2]
        if now - began < _SURE or self.done - already < _SOME * self.total or self.done == before:
            return None
        return (self.total - self.done) * (now - since) / (self.done - before)

    @property
    def to_go(self) -> str:
        """The time left in words; empty while nobody can tell.

        They are rounded, and stay until they are clearly wrong: who looks at them is not to see
        them flicker.
        """
        left = self.left
        if left is None:
            return ""
        minutes = left / 60
        step = next(step for most, step in _STEPS if minutes < most)
        if self._told is None or abs(minutes - self._told) >= _WRONG * step:
            self._told = round(minutes / step) * step
        return f"{_minutes(self._told)} to go"


_APART = 1.0  # seconds between two marks
_SPAN = 120.0  # seconds that the pace is measured over, and more where little is done in them
_SURE = 10.0  # seconds before a guess is worth anything
_SOME = 0.05  # and the part of the whole that is done then
_STEPS = ((10.0, 1), (60.0, 5), (math.inf, 30))  # below so many minutes they are rounded to this
_WRONG = 0.8  # steps by which what is told may be wrong


def _minutes(minutes: int) -> str:
    if minutes < 2:
        return "about a minute" if minutes else "less than a minute"
    if minutes < 60:
        return f"about {minutes} minutes"
    return "about an hour" if minutes == 60 else f"about {minutes / 60:g} hours"


def clock(seconds: float) -> str:
    """Write a duration as people read it: 0.4s, 12s, 3m05, 2h07m."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    if seconds < 60:
        return f"{seconds:.0f}s"
    if seconds < 3600:
        return f"{int(seconds) // 60}m{int(seconds) % 60:02}"
    return f"{int(seconds) // 3600}h{int(seconds) // 60 % 60:02}m"
