# SPDX-License-Identifier: GPL-2.0-only
"""The page of a check: the series patch by patch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.model import CellState, CheckMatrix, Severity
from harness.progress import clock
from harness.publish import sentences
from harness.publish.html import diffs, failures, test_table, timeline
from harness.publish.html.diffs import Remark, ShownPatch
from harness.publish.html.excerpts import Budget
from harness.publish.html.failures import Ask, ShownFailure
from harness.publish.html.page import MatrixSection, Page, Tile, links
from harness.publish.html.test_table import BASE, KernelColumn
from harness.results import evidence, store


def of_check(folder: Path, ask: Ask | None = None) -> Page:
    """Return the page for a folder created by ``harness check``.

    Raises UsageError if its check.json is damaged or has another format.
    """
    matrix = store.load_check(folder)
    columns = tuple(kernels(matrix, folder))
    shown = _failures(columns, ask)
    rows = test_table.rows(columns)
    return Page(
        verdict=matrix.verdict,
        title=matrix.name,
        subject=f"checked patch by patch on {matrix.base}",
        lead=tuple(_lead(matrix, columns)),
        folder=folder,
        command=command(folder),
        about=(("base", matrix.base), ("took", clock(matrix.seconds))),
        tiles=tuple(_tiles(matrix)),
        columns=columns,
        rows=rows,
        groups=test_table.groups(rows),
        failures=shown,
        checks=MatrixSection(matrix),
        patches=tuple(_patches(matrix, folder)),
        timeline=timeline.lay_out((), columns, links(shown)),
    )


def command(folder: Path) -> str:
    """Return the command line of a run or a check; empty if it was not recorded."""
    try:
        return (folder / store.COMMAND).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def kernels(matrix: CheckMatrix, folder: Path) -> Iterator[KernelColumn]:
    """Return the kernels that were tested: the base and each patch's.

    A kernel that is identical to the previous one was not booted; it has the previous results.
    """
    total = len(matrix.rows)
    names = [("base", BASE, "the base")]
    names += [(str(row.number), f"{row.number}/{total}", row.subject) for row in matrix.rows]
    last: KernelColumn | None = None
    for number, (name, label, about) in enumerate(names):
        if (folder / name).is_dir():
            last = test_table.column(label, about, folder / name)
            yield last
        elif last is not None and matrix.cell(number, "tests").state is CellState.SAME:
            about = f"{about} (same kernel)"
            last = KernelColumn(label, about, last.folder, last.tests, cached=True)
            yield last


def _failures(columns: Sequence[KernelColumn], ask: Ask | None) -> tuple[ShownFailure, ...]:
    """Return each bad test once, with the first patch where it is bad.

    A test that is bad on the base is shown only if it is still bad at the end.
    """
    seen: set[str] = set()
    budget = Budget(failures.ROOM)
    shown: tuple[ShownFailure, ...] = ()
    base = columns[0].bad if columns and columns[0].label == BASE else frozenset()
    own = [column for column in columns if column.label != BASE]
    for column in own:
        tests = [
            test
            for test in failures.bad(column)
            if test.id not in seen and (test.id not in base or column is own[-1])
        ]
        seen |= {test.id for test in tests}
        shown += failures.show(tests, column, budget, ask=ask)
    return shown


def _lead(matrix: CheckMatrix, columns: Sequence[KernelColumn]) -> Iterator[str]:
    for trouble in filter(None, (matrix.untestable, matrix.refused, matrix.fault)):
        yield f"{trouble}."
    if extent := sentences.compiled(matrix.lines):
        yield f"Only {extent}."
    if executed := sentences.executed(matrix.lines):
        yield f"{executed[0].upper()}{executed[1:]}."
    levels = [finding.level for _, finding in matrix.findings]
    errors, warnings = levels.count(Severity.ERROR), levels.count(Severity.WARNING)
    many = len(matrix.rows)
    yield (
        f"{many} patch{'es'[: 2 * (many != 1)]}: {errors or 'no'} error{'s'[: errors != 1]}, "
        f"{warnings or 'no'} warning{'s'[: warnings != 1]}."
    )
    if columns:
        yield sentences.tested(columns[-1].label, columns[-1].tests)


def _tiles(matrix: CheckMatrix) -> Iterator[Tile]:
    levels = [finding.level for _, finding in matrix.findings]
    for level, kind in ((Severity.ERROR, "fail"), (Severity.WARNING, "skip")):
        number = levels.count(level)
        yield Tile(str(number), f"{level}s", kind if number else "pass", "checks")
    yield Tile(str(len(matrix.rows)), "patches", "", "patches")
    yield Tile(clock(matrix.seconds), "total time")


def remarks(matrix: CheckMatrix) -> dict[int, list[Remark]]:
    """Return the findings as remarks on lines of patches, by the patch's number."""
    by_patch: dict[int, list[Remark]] = {}
    for cell, finding in matrix.findings:
        # A failed test does not belong to a line of the series; the table of tests shows it.
        if cell.patch and cell.check != "tests":
            text = f"{cell.check}: {finding.text}"
            remark = Remark(finding.level, text, finding.file, finding.line)
            by_patch.setdefault(cell.patch, []).append(remark)
    return by_patch


def _patches(matrix: CheckMatrix, folder: Path) -> Iterator[ShownPatch]:
    by_patch = remarks(matrix)
    files = sorted((folder / evidence.SERIES).glob("*"))
    pairs = list(zip(matrix.rows, files, strict=False))
    touching = {row.number: diffs.touched(path) for row, path in pairs}
    for number, found in diffs.remarks_of_lines(matrix.lines, touching).items():
        by_patch.setdefault(number, []).extend(found)
    budget, counted = Budget(diffs.ALL), diffs.counted_lines(matrix.lines)
    for row, path in pairs:
        here, own = by_patch.get(row.number, ()), counted.get(row.number, {})
        yield diffs.show(row.number, row.subject, "", path, here, budget, own)
