# SPDX-License-Identifier: GPL-2.0-only
"""A stage of a run: its progress, the time left, and what is running in it."""

from __future__ import annotations

import dataclasses
import math
import time
import typing

from rich.text import Text

if typing.TYPE_CHECKING:
    from harness.progress.display import Progress

_SAMPLE_EVERY = 1.0  # seconds
_SPAN = 120.0  # seconds over which the pace is measured; longer if too little is done in them
_MIN_SECONDS = 10.0  # before the first estimate
_MIN_SHARE = 0.05  # fraction of the work that must be done before the first estimate
# (minutes, step): below that many minutes, estimates are rounded to this step.
_STEPS = ((10.0, 1), (60.0, 5), (math.inf, 30))
_TOLERANCE = 0.8  # steps by which a displayed estimate may be wrong


@dataclasses.dataclass(frozen=True)
class StageRow:
    """A line below a stage: a guest, the test it runs, and since when (as time.time())."""

    name: str
    what: str
    began: float


@dataclasses.dataclass
class Stage:
    """A running stage.  ``update`` is cheap: it may be called for every line of a build.

    ``note`` says what it is doing; ``ended``, set by ``finish``, is shown when it has ended.
    ``rows`` are the things that run in parallel in it.
    """

    progress: Progress
    name: str
    what: str = ""
    begin: float = dataclasses.field(default_factory=time.monotonic)
    note: str | Text = ""
    done: float | None = None
    total: float | None = None
    rows: tuple[StageRow, ...] = ()
    ended: str = ""
    shown: float = 0.0  # when a plain line was last written (monotonic)
    _samples: tuple[tuple[float, float], ...] = ()  # (time, amount done): first, then recent ones
    _estimate: int | None = None  # the displayed minutes left

    def update(
        self, done: float | None = None, total: float | None = None, note: str | Text = ""
    ) -> None:
        """Set its progress, ``done`` of ``total`` (any unit), and what it is doing."""
        self.done, self.total, self.note = done, total, note
        # Without a total it did other work first, such as a boot, which does not show the pace.
        if done is not None and total:
            self._sample(time.monotonic(), done, _MIN_SHARE * total)
        self.progress.show(self)

    def _sample(self, now: float, done: float, enough: float) -> None:
        """Record how much is done; drop old samples while the others cover ``enough``."""
        samples = self._samples
        if not samples or done < samples[-1][1]:
            self._samples = ((now, done), (now, done))
        elif now - samples[-1][0] >= _SAMPLE_EVERY:
            first, *recent = samples
            while len(recent) > 1:
                then, before = recent[1]
                if now - then < _SPAN or done - before < enough:
                    break
                recent.pop(0)
            self._samples = (first, *recent, (now, done))

    def finish(self, note: str) -> None:
        """Set the text to show when the stage has ended."""
        self.ended = note

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.begin

    @property
    def left(self) -> float | None:
        """The estimated time left, in seconds; None while there is no estimate.

        Based on the recent pace: ccache hits do not predict how long compiling takes.
        """
        samples, now = self._samples, time.monotonic()
        if not samples or not self.done or not self.total or self.done >= self.total:
            return None
        (began, already), (since, before) = samples[:2]
        too_early = now - began < _MIN_SECONDS or self.done - already < _MIN_SHARE * self.total
        if too_early or self.done == before:
            return None
        return (self.total - self.done) * (now - since) / (self.done - before)

    @property
    def to_go(self) -> str:
        """The time left in words; empty while there is no estimate.

        It is rounded, and kept until it is clearly wrong, so that it does not flicker.
        """
        left = self.left
        if left is None:
            return ""
        minutes = left / 60
        step = next(step for limit, step in _STEPS if minutes < limit)
        if self._estimate is None or abs(minutes - self._estimate) >= _TOLERANCE * step:
            self._estimate = round(minutes / step) * step
        return f"{_minutes(self._estimate)} to go"


def _minutes(minutes: int) -> str:
    if minutes < 2:
        return "about a minute" if minutes else "less than a minute"
    if minutes < 60:
        return f"about {minutes} minutes"
    return "about an hour" if minutes == 60 else f"about {minutes / 60:g} hours"


def clock(seconds: float) -> str:
    """Format a duration: 0.4s, 12s, 3m05, 2h07m."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    if seconds < 60:
        return f"{seconds:.0f}s"
    if seconds < 3600:
        return f"{int(seconds) // 60}m{int(seconds) % 60:02}"
    return f"{int(seconds) // 3600}h{int(seconds) // 60 % 60:02}m"
