# SPDX-License-Identifier: GPL-2.0-only
"""From the folder of a run that never came to its end: what its journals and guests say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.model import Side, Verdict
from harness.publish.html import columns, failures, rows, timeline, verdict
from harness.publish.html.columns import Column
from harness.publish.html.cutting import Budget
from harness.publish.html.failures import Ask, Sources
from harness.publish.html.values import Failure, Page
from harness.results import journal

ROOM = 8 << 20  # characters of evidence on a page


def is_one(folder: Path) -> bool:
    """Whether a folder holds the beginning of a run."""
    return any((folder / side / journal.NAME).is_file() for side in Side)


def page(folder: Path, ask: Ask | None = None) -> Page:
    """Make the page of what there is."""
    made = tuple(_columns(folder))
    found = tuple(_failures(made, ask))
    links = {(one.column, one.test): one.anchor for one in found}
    laid = rows.make([(one.label, one.tests) for one in made], links)
    own = tuple(one for one in found if one.column == made[-1].label)
    word, kind = verdict.word(Verdict.NONE)
    return Page(
        word=word,
        kind=kind,
        title=folder.name,
        subject="a run that did not come to its end",
        lead=(
            "It was killed, or goes on still: this is what was found until now.",
            *(verdict.tested(one.label, one.tests) for one in made),
        ),
        columns=tuple((one.label, one.about) for one in made),
        groups=rows.groups(laid),
        failures=own,
        before=tuple(one for one in found if one not in own),
        timeline=timeline.of((), made, links),
        command=columns.command(folder),
        folder=str(folder),
    )


def _columns(folder: Path) -> Iterator[Column]:
    for side in Side:
        if (folder / side / journal.NAME).is_file():
            yield columns.of_folder(side.value, "", folder / side, stopped=True)


def _failures(made: tuple[Column, ...], ask: Ask | None) -> Iterator[Failure]:
    room = Budget(ROOM)
    for one in made:
        yield from failures.view(
            failures.bad(one), Sources(one.folder, one.label, {}, {}, ask), room
        )
