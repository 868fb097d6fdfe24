# SPDX-License-Identifier: GPL-2.0-only
"""From the folder of a check to its page: the series patch by patch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.model import CellState, Matrix, Severity
from harness.progress import clock
from harness.publish.html import checks, columns, failures, patches, rows, timeline, verdict
from harness.publish.html.columns import BASE, Column
from harness.publish.html.cutting import Budget
from harness.publish.html.failures import Ask, Sources
from harness.publish.html.sections import PatchView
from harness.publish.html.values import Failure, Page, Tile
from harness.results import store

ROOM = 8 << 20  # characters of evidence on a page


def page(folder: Path, ask: Ask | None = None) -> Page:
    """Make the page of a folder that ``harness check`` made."""
    matrix = store.load_check(folder)
    word, kind = verdict.word(matrix.verdict)
    made = tuple(kernels(matrix, folder))
    found = _failures(made, ask) if made else ()
    links = {(one.column, one.test): one.anchor for one in found}
    tests = rows.make([(one.label, one.tests) for one in made], links) if made else ()
    return Page(
        word=word,
        kind=kind,
        title=matrix.name,
        subject=f"checked patch by patch on {matrix.base}",
        lead=tuple(_lead(matrix, made)),
        tiles=tuple(_tiles(matrix)),
        columns=tuple((one.label, one.about) for one in made),
        groups=rows.groups(tests),
        broken=tuple(row for row in tests if row.change == "broken")[: failures.SHOWN],
        failures=found,
        checks=checks.view(matrix),
        patches=tuple(_patches(matrix, folder)),
        timeline=timeline.of((), made, links),
        about=(("base", matrix.base), ("took", clock(matrix.seconds))),
        command=columns.command(folder),
        folder=str(folder),
    )


def kernels(matrix: Matrix, folder: Path) -> Iterator[Column]:
    """Give the kernels that were tested: the base and each patch's.

    A kernel that is byte for byte the one before was not booted again: it has its results.
    """
    total = len(matrix.rows)
    labels = [("base", BASE, "the base")]
    labels += [(str(row.number), f"{row.number}/{total}", row.subject) for row in matrix.rows]
    same = {
        cell.patch for cell in matrix.cells if (cell.check, cell.state) == ("tests", CellState.SAME)
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


def _lead(matrix: Matrix, made: Sequence[Column]) -> Iterator[str]:
    for trouble in filter(None, (matrix.untestable, matrix.refused, matrix.fault)):
        yield f"{trouble}."
    levels = [finding.level for _, finding in matrix.findings]
    errors, warnings = levels.count(Severity.ERROR), levels.count(Severity.WARNING)
    patches_ = len(matrix.rows)
    yield (
        f"{patches_} patch{'es'[: 2 * (patches_ != 1)]}: {errors or 'no'} "
        f"error{'s'[: errors != 1]}, {warnings or 'no'} warning{'s'[: warnings != 1]}."
    )
    if made:
        yield verdict.tested(made[-1].label, made[-1].tests)


def _tiles(matrix: Matrix) -> Iterator[Tile]:
    levels = [finding.level for _, finding in matrix.findings]
    for level, kind in ((Severity.ERROR, "fail"), (Severity.WARNING, "skip")):
        number = levels.count(level)
        yield Tile(str(number), f"{level}s", kind if number else "pass", "checks")
    yield Tile(str(len(matrix.rows)), "patches", "", "patches")
    yield Tile(clock(matrix.seconds), "in all", "")


def _patches(matrix: Matrix, folder: Path) -> Iterator[PatchView]:
    notes = checks.notes(matrix)
    files = sorted((folder / "series").glob("*")) if (folder / "series").is_dir() else []
    room = Budget(patches.ALL)
    for row, path in zip(matrix.rows, files, strict=False):
        yield patches.view(row.number, row.subject, "", path, notes.get(row.number, ()), room)
