# SPDX-License-Identifier: GPL-2.0-only
"""From the folder of a check to its page: the series patch by patch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.progress import clock
from harness.publish.html import checks, columns, failures, patches, rows, timeline, verdict
from harness.publish.html.columns import BASE, Column
from harness.publish.html.cutting import Budget
from harness.publish.html.failures import Ask, Sources
from harness.publish.html.sections import PatchView
from harness.publish.html.values import Failure, Page, Tile

ROOM = 8 << 20  # characters of evidence on a page


def page(folder: Path, ask: Ask | None = None) -> Page:
    """Make the page of a folder that ``harness check`` made."""
    table = checks.load(folder)
    word, kind = verdict.word(checks.verdict(table))
    made = tuple(kernels(table, folder))
    found = _failures(made, ask) if made else ()
    links = {(one.column, one.test): one.anchor for one in found}
    tests = rows.make([(one.label, one.tests) for one in made], links) if made else ()
    return Page(
        word=word,
        kind=kind,
        title=table["name"],
        subject=f"checked patch by patch on {table['base']}",
        lead=tuple(_lead(table, made)),
        tiles=tuple(_tiles(table)),
        columns=tuple((one.label, one.about) for one in made),
        groups=rows.groups(tests),
        broken=tuple(row for row in tests if row.change == "broken")[: failures.SHOWN],
        failures=found,
        checks=checks.view(table),
        patches=tuple(_patches(table, folder)),
        timeline=timeline.of((), made, links),
        about=(("base", table["base"]), ("took", clock(table["seconds"]))),
        command=columns.command(folder),
        folder=str(folder),
    )


def kernels(table: Mapping[str, Any], folder: Path) -> Iterator[Column]:
    """Give the kernels that were tested: the base and each patch's.

    A kernel that is byte for byte the one before was not booted again: it has its results.
    """
    total = len(table["rows"])
    labels = [("base", BASE, "the base")]
    labels += [
        (str(one["number"]), f"{one['number']}/{total}", one["subject"]) for one in table["rows"]
    ]
    same = {
        one["patch"] for one in table["cells"] if (one["check"], one["state"]) == ("tests", "same")
    }
    last: Column | None = None
    for number, (name, label, about) in enumerate(labels):
        if (folder / name).is_dir():
            last = columns.of_folder(label, about, folder / name)
        elif last is not None and number in same:
            last = Column(label, f"{about} (same kernel)", last.folder, last.tests, cached=True)
        else:
            continue
        yield last


def _failures(made: Sequence[Column], ask: Ask | None) -> tuple[Failure, ...]:
    """Give each bad test once, where it goes bad first; on the base only if it stays so."""
    seen: set[str] = set()
    room = Budget(ROOM)
    found: tuple[Failure, ...] = ()
    base = made[0].bad if made[0].label == BASE else frozenset()
    own = [one for one in made if one.label != BASE]
    for column in own:
        wanted = [
            test
            for test in failures.bad(column)
            if test.id not in seen and (test.id not in base or column is own[-1])
        ]
        seen |= {test.id for test in wanted}
        found += failures.view(wanted, Sources(column.folder, column.label, {}, {}, ask), room)
    return found


def _lead(table: Mapping[str, Any], made: Sequence[Column]) -> Iterator[str]:
    for key in ("untestable", "refused", "fault"):
        if table.get(key):
            yield f"{table[key]}."
    levels = [one["level"] for _, one in checks.entering(table)]
    errors, warnings = levels.count("error"), levels.count("warning")
    patches_ = len(table["rows"])
    yield (
        f"{patches_} patch{'es'[: 2 * (patches_ != 1)]}: {errors or 'no'} "
        f"error{'s'[: errors != 1]}, {warnings or 'no'} warning{'s'[: warnings != 1]}."
    )
    if made:
        yield verdict.tested(made[-1].label, made[-1].tests)


def _tiles(table: Mapping[str, Any]) -> Iterator[Tile]:
    levels = [one["level"] for _, one in checks.entering(table)]
    for level, kind in (("error", "fail"), ("warning", "skip")):
        number = levels.count(level)
        yield Tile(str(number), f"{level}s", kind if number else "pass", "checks")
    yield Tile(str(len(table["rows"])), "patches", "", "patches")
    yield Tile(clock(table["seconds"]), "in all", "")


def _patches(table: Mapping[str, Any], folder: Path) -> Iterator[PatchView]:
    notes = checks.notes(table)
    files = sorted((folder / "series").glob("*")) if (folder / "series").is_dir() else []
    room = Budget(patches.ALL)
    for row, path in zip(table["rows"], files, strict=False):
        number = row["number"]
        yield patches.view(number, row["subject"], "", path, notes.get(number, ()), room)
