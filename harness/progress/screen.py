# SPDX-License-Identifier: GPL-2.0-only
"""Draw on standard error with rich: lines with marks, and the live view of the running stages."""

from __future__ import annotations

import contextlib
import sys
import time
import typing
from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from harness.progress import NAME, Stage, StageRow, clock
from harness.text import printable, printable_text

_REDRAWS = 8  # per second
_BAR = 24
_ECHO = 3  # columns left free: the terminal prints ^C after the last line, which must not wrap
_OTHER_LINES = 4  # screen lines that are not rows: two of the stage, the cursor's, an empty line

#: Printed before a line: the mark, its ASCII form, its colour.
_MARKS = {
    "good": ("✓", "ok", "green"),
    "bad": ("✗", "x", "red"),
    "odd": ("!", "!", "yellow"),
    "stopped": ("-", "-", "yellow"),
}


class _Stderr:
    """Standard error that ignores errors: a closed terminal or full disk must not end a run."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(sys.stderr, name)


class Screen:
    """Standard error, through rich."""

    def __init__(self) -> None:
        # Not a complete TextIO, but all that rich needs.
        self.console = Console(file=typing.cast(typing.TextIO, _Stderr()), highlight=False)

    @property
    def is_interactive(self) -> bool:
        """Whether lines can be redrawn."""
        return self.console.is_interactive

    def print(self, text: str, dim: str = "", mark: str = "") -> None:
        """Print a line: its mark ("good", "bad", "odd", "stopped"), ``text``, and ``dim`` text."""
        line = Text.assemble(printable(text, lines=True), (printable(dim, lines=True), "dim"))
        if mark:
            sign, ascii_sign, colour = _MARKS[mark]
            utf = self.console.encoding.startswith("utf")
            line = Text.assemble((sign if utf else ascii_sign, colour), " ", line)
        self.console.print(line, soft_wrap=True)

    def cut(self, text: str) -> None:
        """Print a dim line, cut to the width."""
        line = Text(printable(text), style="dim")
        self.console.print(line, no_wrap=True, overflow="ellipsis")

    def live(self, stages: Sequence[Stage]) -> Live:
        """Return the live view of ``stages``, which may change meanwhile."""
        return Live(
            View(stages, Spinner("dots")),
            console=self.console,
            refresh_per_second=_REDRAWS,
            transient=True,
            redirect_stdout=False,  # results may be redirected
            redirect_stderr=False,
        )


class View:
    """The running stages, redrawn at each refresh of rich's live display."""

    def __init__(self, stages: Sequence[Stage], spinner: Spinner) -> None:
        self.stages, self.spinner = stages, spinner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(width=1, no_wrap=True)
        grid.add_column(min_width=NAME, no_wrap=True, overflow="ellipsis")
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        grid.add_column(justify="right", no_wrap=True, style="dim")
        stages = list(self.stages)
        for stage in stages:
            grid.add_row(self.spinner, stage.name, _first_line(stage), clock(stage.seconds))
            second = _second_line(stage)
            if second is not None:
                grid.add_row("", "", second, "")
        room = max(1, options.size.height - _OTHER_LINES - 2 * len(stages))
        for cells in _rows([row for stage in stages for row in stage.rows], room):
            grid.add_row("", *cells)
        yield from console.render(grid, options.update_width(max(1, options.max_width - _ECHO)))


def _first_line(stage: Stage) -> RenderableType:
    """Return what the stage is doing, and the time left."""
    what = Text(printable(stage.what), no_wrap=True, overflow="ellipsis")
    if not stage.to_go:
        return what
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True, style="dim")
    grid.add_row(what, stage.to_go)
    return grid


def _second_line(stage: Stage) -> RenderableType | None:
    """Return the stage's bar, its numbers, and what it is doing."""
    note = stage.note if isinstance(stage.note, Text) else Text(stage.note, style="dim")
    note = printable_text(note)
    if stage.done is None or not stage.total:
        return note if note.plain else None
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=_BAR)
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")  # the remaining width
    bar = ProgressBar(
        total=stage.total,
        completed=stage.done,
        width=_BAR,
        complete_style="cyan",  # rich's default is red
        finished_style="green",
    )
    grid.add_row(bar, f"{stage.done:.0f}/{stage.total:.0f}", note)
    return grid


def _rows(rows: list[StageRow], room: int) -> Iterator[tuple[RenderableType, RenderableType, str]]:
    shown = rows if len(rows) <= room else rows[: room - 1]
    for row in shown:
        seconds = max(0.0, time.time() - row.began)
        yield Text(row.name, style="cyan"), _LineEnd(printable(row.what)), clock(seconds)
    if len(shown) < len(rows):
        yield "", Text(f"and {len(rows) - len(shown)} more", style="dim"), ""


class _LineEnd:
    """A line that is cut at its beginning when it is too long: a test's name is at the end."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        fits = Text(self.text).cell_len <= width
        # The column cuts text that is still too wide, such as East Asian characters.
        yield Text(self.text if fits else f"…{self.text[-(width - 1) :]}", no_wrap=True)
