# SPDX-License-Identifier: GPL-2.0-only
"""Where stages are shown, and what is said between them."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import typing
from collections.abc import Iterator

import rich.console
import rich.live
import rich.spinner
from rich.text import Text

from harness.model import Span
from harness.progress.live import NAME, View
from harness.progress.seen import seen
from harness.progress.stage import Stage, clock

PLAIN_EVERY = 15.0  # seconds between two plain lines of one stage
_REDRAW = 8  # times a second

#: What stands before a line: the mark, its ASCII spelling, its colour.
_MARKS = {
    "good": ("✓", "ok", "green"),
    "bad": ("✗", "x", "red"),
    "odd": ("!", "!", "yellow"),
    "stopped": ("-", "-", "yellow"),
}


class _Heard:
    """Standard error as long as somebody listens.

    A terminal that was closed, or a full disk behind it, is no reason to lose a run.
    """

    def write(self, text: str) -> int:
        """Write what can be written."""
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def __getattr__(self, name: str) -> object:
        return getattr(sys.stderr, name)

    def flush(self) -> None:
        """Have it shown."""
        with contextlib.suppress(OSError):
            sys.stderr.flush()


class Progress:
    """Where stages are shown.  ``quiet`` shows nothing but what is said with ``say``.

    ``verbose`` shows the commands that are started as well, and what pytest prints.  ``live``: on
    a terminal that can redraw lines.  All methods may be called from any thread.
    """

    def __init__(
        self, *, quiet: bool = False, verbose: bool = False, live: bool | None = None
    ) -> None:
        self.quiet, self.verbose = quiet, verbose
        # A TextIO but in name: rich asks for no more than this.
        self.console = rich.console.Console(
            file=typing.cast(typing.TextIO, _Heard()), highlight=False
        )
        self.live = (self._redraws() if live is None else live) and not quiet
        self.times: list[tuple[str, float]] = []
        self.spans: list[Span] = []
        self._stages: list[Stage] = []
        self._view: rich.live.Live | None = None
        self._lock = threading.RLock()

    def _redraws(self) -> bool:
        """Tell a terminal from a file that FORCE_COLOR makes look like one."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return sys.stderr.isatty() and self.console.is_interactive
        return False

    @contextlib.contextmanager
    def stage(self, name: str, what: str = "") -> Iterator[Stage]:
        """Show a stage while the context lasts; its time is in ``times`` and ``spans``."""
        stage, began = Stage(self, name, what), time.time()
        stage.shown = stage.begin
        try:
            with self._under_way(stage):
                yield stage
        except BaseException as why:
            mark = "bad" if isinstance(why, Exception) else "stopped"
            self._ended(mark, stage)
            raise
        seconds = stage.seconds
        self.times.append((name, seconds))
        self.spans.append(Span(name, stage.ended or what, round(began, 3), seconds))
        self._ended("good", stage)

    @contextlib.contextmanager
    def _under_way(self, stage: Stage) -> Iterator[None]:
        with self._lock:
            self._stages.append(stage)
            if self.live and self._view is None:
                view = View(self._stages, rich.spinner.Spinner("dots"))
                self._view = rich.live.Live(
                    view,
                    console=self.console,
                    refresh_per_second=_REDRAW,
                    transient=True,
                    redirect_stdout=False,  # results go where they were sent
                    redirect_stderr=False,
                )
                self._view.start()
        try:
            yield
        finally:
            with self._lock:
                self._stages.remove(stage)
                view_ends = self._view if not self._stages else None
                if view_ends is not None:
                    self._view = None
            if view_ends is not None:
                view_ends.stop()

    def show(self, stage: Stage) -> None:
        """Show how far ``stage`` is (its ``update`` calls this); the live view looks itself."""
        now = time.monotonic()
        if self.quiet or self._view is not None or now - stage.shown < PLAIN_EVERY:
            return
        stage.shown = now
        part = f"{stage.done:.0f}/{stage.total:.0f} " if stage.done and stage.total else ""
        at = ", ".join(f"{row.name} {row.what}" for row in stage.rows)
        words = f"{part}{stage.note}" + (f" ({at})" if at else "")
        words = ", ".join(filter(None, (seen(words.strip() or stage.what), stage.to_go)))
        self._print(f"  {stage.name:<{NAME}} {words} ", clock(stage.seconds))

    def _ended(self, mark: str, stage: Stage) -> None:
        words = stage.ended or stage.what
        self._marked(mark, f"{stage.name:<{NAME}} {words} ", clock(stage.seconds))

    def event(self, mark: str, text: str, more: str = "") -> None:
        """Tell of something that happened ("good", "bad", "odd"), above what is under way.

        ``more`` is a second line: cut on a terminal; elsewhere it stands behind the text.
        """
        if not self.live:
            self._marked(mark, f"{text}  {more}".rstrip())
            return
        with self._lock:
            self._marked(mark, text)
            if more and not self.quiet:
                line = Text(f"{'':<{NAME + 3}}{seen(more)}", style="dim")
                self.console.print(line, no_wrap=True, overflow="ellipsis")

    def more(self, text: str) -> None:
        """Tell what only -v asks for."""
        if self.verbose:
            self._print("", seen(text, lines=True))

    def say(self, text: str) -> None:
        """Tell the person something in passing, on standard error, whatever is shown."""
        self.console.print(Text(seen(text, lines=True)), soft_wrap=True)

    def _marked(self, mark: str, text: str, dim: str = "") -> None:
        sign, plain, colour = _MARKS[mark]
        utf = self.console.encoding.startswith("utf")
        self._print("", dim, Text.assemble((sign if utf else plain, colour), " ", seen(text)))

    def _print(self, text: str, dim: str = "", before: Text | None = None) -> None:
        if not self.quiet:
            line = Text.assemble(before or "", text, (dim, "dim"))
            self.console.print(line, soft_wrap=True)
