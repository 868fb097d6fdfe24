# SPDX-License-Identifier: GPL-2.0-only
"""Show progress on standard error: redrawn in place on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import sys
import threading
import time
import typing
from collections.abc import Iterator

from harness.model import Span
from harness.text import printable

if typing.TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from harness.progress.screen import Screen

PLAIN_EVERY = 15.0  # seconds between two plain lines of one stage
NAME = 10  # columns of a stage's or a guest's name

# How the remaining time is estimated.
_SAMPLE_EVERY = 1.0  # seconds
_SPAN = 120.0  # seconds over which the pace is measured; longer if too little is done in them
_MIN_SECONDS = 10.0  # before the first estimate
_MIN_SHARE = 0.05  # fraction of the work that must be done before the first estimate
# (minutes, step): below that many minutes, estimates are rounded to this step.
_STEPS = ((10.0, 1), (60.0, 5), (math.inf, 30))
_TOLERANCE = 0.8  # steps by which a displayed estimate may be wrong


@dataclasses.dataclass(frozen=True)
class StageRow:
    """A line below a stage: a guest, its current test, and the start time (as time.time())."""

    name: str
    what: str
    began: float


@dataclasses.dataclass
class Stage:
    """A running stage.  ``update`` is cheap: it may be called for every line of a build.

    ``note`` describes what it is doing; ``ended``, set by ``finish``, is shown when it has ended.
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
        """Set the stage's progress, ``done`` of ``total`` (any unit), and its current activity."""
        self.done, self.total, self.note = done, total, note
        # Before the total is known, the stage does other work (such as a boot) at another pace.
        if done is not None and total:
            self._sample(time.monotonic(), done, _MIN_SHARE * total)
        self.progress.show(self)

    def _sample(self, now: float, done: float, enough: float) -> None:
        """Record how much is done; drop old samples as long as the rest cover ``enough``."""
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
        """How long the stage has been running."""
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
        """The time left as text; empty while there is no estimate.

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


class Progress:
    """Shows stages and messages.  All methods may be called from any thread.

    ``quiet`` shows only the messages of ``say``.  ``verbose`` also shows the commands being run and
    the output of pytest.  ``live``: redraw lines if the terminal can do so.
    """

    def __init__(
        self, *, quiet: bool = False, verbose: bool = False, live: bool | None = None
    ) -> None:
        self.quiet, self.verbose = quiet, verbose
        if quiet or live is not None:
            self.live = bool(live) and not quiet
        self.times: list[tuple[str, float]] = []
        self.spans: list[Span] = []
        self._stages: list[Stage] = []
        self._view: Live | None = None
        self._lock = threading.RLock()

    def alike(self) -> Progress:
        """Return another progress that looks the same, with times of its own."""
        return Progress(quiet=self.quiet, verbose=self.verbose, live=self.live)

    @functools.cached_property
    def screen(self) -> Screen:
        """What draws on standard error."""
        from harness.progress.screen import Screen  # rich: most short commands show nothing

        return Screen()

    @functools.cached_property
    def live(self) -> bool:
        """Whether lines are redrawn: this is a terminal, not a file coloured due to FORCE_COLOR."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return sys.stderr.isatty() and self.screen.is_interactive
        return False

    @contextlib.contextmanager
    def stage(self, name: str, what: str = "") -> Iterator[Stage]:
        """Show a stage during the context, and add its time to ``times`` and ``spans``."""
        stage, began = Stage(self, name, what), time.time()
        stage.shown = stage.begin
        try:
            with self._displayed(stage):
                yield stage
        except BaseException as why:
            self._show_end("bad" if isinstance(why, Exception) else "stopped", stage)
            raise
        seconds = stage.seconds
        self.times.append((name, seconds))
        self.spans.append(Span(name, stage.ended or what, round(began, 3), seconds))
        self._show_end("good", stage)

    @contextlib.contextmanager
    def _displayed(self, stage: Stage) -> Iterator[None]:
        with self._lock:
            self._stages.append(stage)
            if self.live and self._view is None:
                self._view = self.screen.live(self._stages)
                self._view.start()
        try:
            yield
        finally:
            with self._lock:
                self._stages.remove(stage)
                view = self._view if not self._stages else None
                if view is not None:
                    self._view = None
            if view is not None:  # without the lock, since its thread may be waiting for it
                view.stop()

    def show(self, stage: Stage) -> None:
        """Print the progress of ``stage``, if a line is due; the live view redraws by itself."""
        now = time.monotonic()
        if self.quiet or self._view is not None or now - stage.shown < PLAIN_EVERY:
            return
        stage.shown = now
        done = f"{stage.done:.0f}/{stage.total:.0f} " if stage.done and stage.total else ""
        rows = ", ".join(f"{row.name} {row.what}" for row in stage.rows)
        text = f"{done}{stage.note}" + (f" ({rows})" if rows else "")
        text = ", ".join(filter(None, (printable(text.strip() or stage.what), stage.to_go)))
        self._print(f"  {stage.name:<{NAME}} {text} ", clock(stage.seconds))

    def _show_end(self, mark: str, stage: Stage) -> None:
        text = f"{stage.name:<{NAME}} {stage.ended or stage.what} "
        self._print_marked(mark, text, clock(stage.seconds))

    def event(self, mark: str, text: str, more: str = "") -> None:
        """Print an event with its mark ("good", "bad", "odd"), above the running stages.

        ``more`` is a second line on a terminal, cut to the width; elsewhere it follows the text.
        """
        if not self.live:
            self._print_marked(mark, f"{text}  {more}".rstrip())
            return
        with self._lock:
            self._print_marked(mark, text)
            if more and not self.quiet:
                self.screen.cut(f"{'':<{NAME + 3}}{more}")

    def more(self, text: str) -> None:
        """Print a message that is only shown with -v."""
        if self.verbose:
            self._print("", text)

    def say(self, text: str) -> None:
        """Print a message, even with ``quiet``."""
        self.screen.print(text)

    def _print_marked(self, mark: str, text: str, dim: str = "") -> None:
        if not self.quiet:
            self.screen.print(printable(text), dim, mark)

    def _print(self, text: str, dim: str = "") -> None:
        if not self.quiet:
            self.screen.print(text, dim)


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
