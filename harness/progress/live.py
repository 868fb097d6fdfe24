# SPDX-License-Identifier: GPL-2.0-only
"""The live part of the terminal: the stages under way, redrawn a few times a second."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from harness.progress.seen import seen, styled
from harness.progress.stage import Row, Stage, clock

NAME = 10  # columns of a stage's or a guest's name
_BAR = 24
_ECHO = 3  # columns left free: the terminal writes ^C behind the last line, which must not wrap
_OWN = 4  # lines of the screen that are no rows: the stage's two, the cursor's, one to breathe


class Tail:
    """Text on one line that loses its beginning when it is too long: a test's name is behind."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Cut to the width there is."""
        width = options.max_width
        fits = Text(self.text).cell_len <= width
        # A cell too wide (an East Asian letter) is cut by the column.
        yield Text(self.text if fits else f"…{self.text[-(width - 1) :]}", no_wrap=True)


class View:
    """What is under way, as rich asks for it at each redraw."""

    def __init__(self, stages: Sequence[Stage], spinner: Spinner) -> None:
        self.stages, self.spinner = stages, spinner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the stages, at most as high as the screen."""
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(width=1, no_wrap=True)
        grid.add_column(min_width=NAME, no_wrap=True, overflow="ellipsis")
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        grid.add_column(justify="right", no_wrap=True, style="dim")
        stages = list(self.stages)
        for stage in stages:
            grid.add_row(self.spinner, stage.name, _head(stage), clock(stage.seconds))
            detail = _detail(stage)
            if detail is not None:
                grid.add_row("", "", detail, "")
        room = max(1, options.size.height - _OWN - 2 * len(stages))
        for cells in _rows([row for stage in stages for row in stage.rows], room):
            grid.add_row("", *cells)
        yield from console.render(grid, options.update_width(max(1, options.max_width - _ECHO)))


def _head(stage: Stage) -> RenderableType:
    """Give the first line of a stage: what it does, and for how long still."""
    what = Text(seen(stage.what), no_wrap=True, overflow="ellipsis")
    if not stage.to_go:
        return what
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True, style="dim")
    grid.add_row(what, stage.to_go)
    return grid


def _detail(stage: Stage) -> RenderableType | None:
    """Give the second line of a stage: its bar, its numbers, what it is at."""
    note = stage.note if isinstance(stage.note, Text) else Text(stage.note, style="dim")
    note = styled(note)
    if stage.done is None or not stage.total:
        return note if note.plain else None
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=_BAR)
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")  # what the others leave
    bar = ProgressBar(
        total=stage.total,
        completed=stage.done,
        width=_BAR,
        complete_style="cyan",  # rich's own is red
        finished_style="green",
    )
    grid.add_row(bar, f"{stage.done:.0f}/{stage.total:.0f}", note)
    return grid


def _rows(rows: list[Row], room: int) -> Iterator[tuple[RenderableType, RenderableType, str]]:
    shown = rows if len(rows) <= room else rows[: room - 1]
    for row in shown:
        seconds = max(0.0, time.time() - row.began)
        yield Text(row.name, style="cyan"), Tail(seen(row.what)), clock(seconds)
    if len(shown) < len(rows):
        yield "", Text(f"and {len(rows) - len(shown)} more", style="dim"), ""
