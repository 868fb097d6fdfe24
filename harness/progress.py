# SPDX-License-Identifier: GPL-2.0-only
"""Show long work: a live line on a terminal, plain lines elsewhere; always on standard error."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
import typing
from collections.abc import Iterator

import rich.console
import rich.progress

from harness.model import Span

PLAIN_EVERY = 15.0  # seconds between two plain lines of one stage


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


@dataclasses.dataclass
class Stage:
    """One stage under way.  ``update`` is cheap: it may be called for every line of a build."""

    progress: Progress
    name: str
    begin: float = dataclasses.field(default_factory=time.monotonic)
    note: str = ""
    _task: rich.progress.TaskID | None = None
    _shown: float = 0.0

    def update(self, done: float | None = None, total: float | None = None, note: str = "") -> None:
        """Say how far it is: ``done`` of ``total`` (any unit), and what it is at."""
        self.progress.show(self, done, total, note)

    def finish(self, note: str) -> None:
        """Set the words that stand behind the stage when it ends."""
        self.note = note


class Progress:
    """Where stages are shown.  ``quiet`` shows nothing but what is said with ``say``."""

    def __init__(self, *, quiet: bool = False, live: bool | None = None) -> None:
        self.quiet = quiet
        # A TextIO but in name: rich asks for no more than this.
        self.console = rich.console.Console(
            file=typing.cast(typing.TextIO, _Heard()), highlight=False, soft_wrap=True
        )
        self.live = (self.console.is_terminal if live is None else live) and not quiet
        self.times: list[tuple[str, float]] = []
        self.spans: list[Span] = []
        self._bar: rich.progress.Progress | None = None

    @contextlib.contextmanager
    def stage(self, name: str, what: str = "") -> Iterator[Stage]:
        """Show a stage while the context lasts; its time is in ``times`` and ``spans``."""
        stage, began = Stage(self, name), time.time()
        with self._shown(stage, what):
            yield stage
        seconds = time.monotonic() - stage.begin
        self.times.append((name, seconds))
        self.spans.append(Span(name, stage.note or what, round(began, 3), seconds))
        self._line(f"[green]✓[/] {name:<10} {_escape(stage.note or what)} [dim]{clock(seconds)}[/]")

    @contextlib.contextmanager
    def _shown(self, stage: Stage, what: str) -> Iterator[None]:
        if self.quiet or not self.live or self._bar is not None:
            stage._shown = time.monotonic()
            yield
            return
        columns = (
            rich.progress.SpinnerColumn(),
            rich.progress.TextColumn("{task.description:<10}"),
            rich.progress.BarColumn(bar_width=24),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TextColumn("{task.fields[note]}", markup=False),
        )
        with rich.progress.Progress(*columns, console=self.console, transient=True) as self._bar:
            stage._task = self._bar.add_task(stage.name, total=None, note=what)
            try:
                yield
            finally:
                self._bar, stage._task = None, None

    def show(self, stage: Stage, done: float | None, total: float | None, note: str) -> None:
        """Show how far ``stage`` is (its ``update`` calls this)."""
        if self.quiet:
            return
        if self._bar is not None and stage._task is not None:
            self._bar.update(stage._task, completed=done, total=total, note=note)
            return
        now = time.monotonic()
        if now - stage._shown >= PLAIN_EVERY:
            stage._shown = now
            part = f"{done:.0f}/{total:.0f} " if done is not None and total else ""
            self._line(
                f"  {stage.name:<10} {part}{_escape(note)} [dim]{clock(now - stage.begin)}[/]"
            )

    def say(self, text: str) -> None:
        """Tell the person something in passing, on standard error, whatever is shown."""
        self.console.print(_escape(text))

    def _line(self, text: str) -> None:
        if not self.quiet:
            self.console.print(text)


def clock(seconds: float) -> str:
    """Write a duration as people read it: 0.4s, 12s, 3m05."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    if seconds < 60:
        return f"{seconds:.0f}s"
    return f"{int(seconds) // 60}m{int(seconds) % 60:02}"


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
