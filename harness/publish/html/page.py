# SPDX-License-Identifier: GPL-2.0-only
"""A page, written as one HTML file that needs no other file.

Text from a patch, a test or a kernel never becomes markup: jinja2 escapes it, and the page's
content security policy only allows our own script.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import jinja2
import markupsafe

from harness.model import (
    WHOLE_SERIES,
    Bisected,
    Cell,
    CellState,
    CheckMatrix,
    CompilerWarning,
    Finding,
    MatrixCell,
    MutantResult,
    MutantState,
    Mutation,
    Outcome,
    Severity,
    Trial,
    Verdict,
)
from harness.progress import clock
from harness.publish import sentences
from harness.publish.html.diffs import ShownPatch
from harness.publish.html.excerpts import Excerpt, excerpt
from harness.publish.html.failures import ShownFailure, ShownSplat
from harness.publish.html.test_table import KernelColumn, TestGroup, TestRow
from harness.publish.html.timeline import Timeline
from harness.results.regression import counts

FINDINGS = 200  # maximum number of findings of a patch
WARNINGS = 100  # maximum number of compiler warnings

_TEMPLATES = Path(__file__).parent / "templates"
_COLOURS = {
    **dict.fromkeys((Verdict.GOOD, Verdict.FOUND), "good"),
    **dict.fromkeys((Verdict.BAD, Verdict.UNPROVEN), "bad"),
}
# Characters that are invisible, change the order of the text, or are not text at all.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")
_INVISIBLE = re.compile(
    "[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclasses.dataclass(frozen=True)
class Tile:
    """A number next to the verdict; ``kind`` determines its colour."""

    number: str
    label: str
    kind: str = ""
    link: str = ""


@dataclasses.dataclass(frozen=True)
class MatrixSection:
    """A check's matrix, and the texts of its cells and findings."""

    matrix: CheckMatrix

    @property
    def rows(self) -> tuple[tuple[int, str], ...]:
        """The number and the subject of each patch, and of the whole series."""
        patches = ((row.number, row.subject) for row in self.matrix.rows)
        return (*patches, (WHOLE_SERIES, "the whole series"))

    def text(self, cell: Cell) -> str:
        """Return a cell's text: findings that this patch introduces are new, all others are old."""
        many = sum(finding.level is not Severity.NOTE for finding in cell.findings)
        new = sum(finding.level is not Severity.NOTE for finding in cell.entering)
        plain = {CellState.GOOD: "ok", CellState.UNKNOWN: "?", CellState.NONE: ""}
        if cell.state in plain:
            return plain[cell.state]
        if not many:
            return cell.state.value
        if many == new:
            return str(new)
        old = f"{many - new} old"
        return f"{new} new, {old}" if new else old

    @property
    def findings(self) -> Iterator[tuple[int, str, list[tuple[Cell, Finding]]]]:
        """The number, the title and the findings of each patch, the worst first."""
        order = list(Severity)
        for number, subject in self.rows:
            findings = [pair for pair in self.matrix.findings if pair[0].patch == number]
            findings.sort(key=lambda pair: order.index(pair[1].level))
            if findings:
                title = f"Patch {number}: {subject}" if number else "The whole series"
                yield number, title, findings[:FINDINGS]

    @property
    def notes(self) -> Iterator[str]:
        """The notes of all cells without duplicates, each with its patches."""
        patches: dict[tuple[str, str], list[str]] = {}
        for cell in self.matrix.cells:
            if cell.note:
                name = str(cell.patch) if cell.patch else "whole"
                patches.setdefault((cell.check, cell.note), []).append(name)
        for (check, note), names in patches.items():
            yield f"{check} ({', '.join(names)}): {note}"


@dataclasses.dataclass(frozen=True)
class MatrixRow:
    """A cell of a matrix of runs, its words on each axis, and the path of its report, or ""."""

    cell: MatrixCell
    values: tuple[str, ...]
    kind: str
    report: str


@dataclasses.dataclass(frozen=True)
class Page:
    """Everything that a page shows.

    ``failures`` are those on the judged kernel, ``base_failures`` those on the base; ``hidden`` is
    the number of failures that are only in the table.  ``boot_splats`` were printed before a
    kernel's first test.  ``not_booted`` contains (kernel, error, end of the console), ``options``
    contains (name, requested value, actual value).  ``axes`` are the titles of a matrix of runs.
    """

    verdict: Verdict
    title: str
    subject: str
    lead: tuple[str, ...]
    folder: Path
    command: str = ""
    about: tuple[tuple[str, str], ...] = ()
    tiles: tuple[Tile, ...] = ()
    sides: tuple[Trial, ...] = ()
    columns: tuple[KernelColumn, ...] = ()
    rows: tuple[TestRow, ...] = ()
    groups: tuple[TestGroup, ...] = ()
    failures: tuple[ShownFailure, ...] = ()
    base_failures: tuple[ShownFailure, ...] = ()
    hidden: int = 0
    boot_splats: tuple[tuple[KernelColumn, ShownSplat], ...] = ()
    not_booted: tuple[tuple[str, str, Excerpt], ...] = ()
    dumps: tuple[str, ...] = ()
    warnings: tuple[CompilerWarning, ...] = ()
    checks: MatrixSection | None = None
    bisection: Bisected | None = None
    mutation: Mutation | None = None
    axes: tuple[str, ...] = ()
    cells: tuple[MatrixRow, ...] = ()
    patches: tuple[ShownPatch, ...] = ()
    timeline: Timeline | None = None
    options: tuple[tuple[str, str, str], ...] = ()

    @property
    def unnoticed(self) -> tuple[MutantResult, ...]:
        """The mutants that no test noticed."""
        states = (MutantState.SURVIVED, MutantState.NOT_EXECUTED)
        return self.mutation.of(*states) if self.mutation else ()

    @property
    def word(self) -> str:
        """The verdict in capitals."""
        return self.verdict.upper()

    @property
    def colour(self) -> str:
        """The verdict's colour."""
        return _COLOURS.get(self.verdict, "warn")

    @property
    def outcomes(self) -> Mapping[Outcome, int]:
        """The number of tests with each outcome on the judged kernel."""
        return counts([row.judged for row in self.rows])

    @property
    def broken(self) -> tuple[TestRow, ...]:
        """The tests that the series breaks."""
        return tuple(row for row in self.rows if row.change == "broken")

    @property
    def fixed(self) -> Mapping[str, int]:
        """The number of tests that the series fixes, by file."""
        return Counter(row.id.partition("::")[0] for row in self.rows if row.change == "fixed")

    @functools.cached_property
    def links(self) -> Mapping[tuple[str, str], str]:
        """The anchors of failures, by the kernel's label and the test."""
        return links((*self.failures, *self.base_failures))

    @functools.cached_property
    def patch_links(self) -> Mapping[str, str]:
        """The anchors of patches, by their subjects."""
        return {patch.subject: patch.anchor for patch in self.patches}


def links(failures: tuple[ShownFailure, ...]) -> dict[tuple[str, str], str]:
    """Return the anchors of failures, by the kernel's label and the test."""
    return {(failure.column, failure.test.id): failure.anchor for failure in failures}


def write(page: Page, file: Path) -> int:
    """Write the page completely or not at all; return its size in bytes.

    Raises OSError if the file cannot be written.
    """
    draft = file.with_name(f".{file.name}.part")
    script = (_TEMPLATES / "script.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        clock=clock, counts=counts, excerpt=excerpt, sentences=sentences, WARNINGS=WARNINGS
    )
    stream = environment.get_template("page.html").stream(
        page=page,
        style=markupsafe.Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8")),
        script=markupsafe.Markup(script),
        digest=digest,
    )
    stream.enable_buffering(64)
    try:
        with draft.open("w", encoding="utf-8") as out:
            out.writelines(stream)
        size = draft.stat().st_size
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return size


def visible(value: object) -> object:
    """Make control characters visible, including those that change the order of the text."""
    if not isinstance(value, str) or isinstance(value, markupsafe.Markup):
        return "" if value is None else value
    if value.isascii() and value.isprintable():
        return value
    text = _CONTROL.sub(lambda match: chr(0x2400 + ord(match[0])), value)
    text = _INVISIBLE.sub(lambda match: f"<U+{ord(match[0]):04X}>", text)
    return _SURROGATE.sub("�", text)
