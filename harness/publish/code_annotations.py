# SPDX-License-Identifier: GPL-2.0-only
"""Annotations of source lines from a run or a check, for GitHub and GitLab."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.model import Cell, CheckMatrix, Finding, Run, SeriesLines, Severity, Splat
from harness.publish import sentences
from harness.results import evidence
from harness.text import clean, clip, one_line

FAILURES = 100  # failures without a splat in one group; GitHub and GitLab show fewer
SHOWN = 10  # maximum number of annotations of each level that GitHub shows per step

_PLACE = re.compile(r"(.+):(\d+)")


class AnnotationLevel(enum.StrEnum):
    """The severity of an annotation, in GitHub's terms, the worst first."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


_FINDINGS = {
    Severity.ERROR: AnnotationLevel.ERROR,
    Severity.WARNING: AnnotationLevel.WARNING,
    Severity.NOTE: AnnotationLevel.NOTICE,
}
_GITLAB = {
    AnnotationLevel.ERROR: "critical",
    AnnotationLevel.WARNING: "minor",
    AnnotationLevel.NOTICE: "info",
}


@dataclasses.dataclass(frozen=True)
class Annotation:
    """A remark on a line of the kernel sources; ``file`` is empty if no line is known.

    ``rule`` is the kind of problem, ``title`` is one line, ``text`` contains the details.
    """

    level: AnnotationLevel
    rule: str
    title: str
    text: str
    file: str = ""
    line: int = 0

    @property
    def fingerprint(self) -> str:
        """The annotation's identity across runs, by which GitLab compares two reports."""
        identity = "\0".join((self.rule, self.file, self.title))
        return hashlib.sha256(identity.encode(errors="replace")).hexdigest()[:40]


def of_run(run: Run) -> tuple[Annotation, ...]:
    """Return the annotations for the judged kernel without duplicates, errors first."""
    if not run.sides:
        return ()
    return _sorted((*_splats(run), *_failures(run), *_warnings(run), *_unexecuted(run.lines)))


def _sorted(annotations: Iterable[Annotation]) -> tuple[Annotation, ...]:
    order = list(AnnotationLevel)
    return tuple(sorted(dict.fromkeys(annotations), key=lambda note: order.index(note.level)))


def _splats(run: Run) -> Iterator[Annotation]:
    """Annotate the source lines of splats, each splat only once."""
    seen, added = set(), _added_lines(run.folder / run.judged.side)
    new = None if run.strict or not run.compared else {splat.name for splat in run.splats}
    owners = [("boot", run.judged.boot_splats)]
    owners += [(test.id, test.splats) for group in run.failure_groups for test in group.tests]
    for name, splats in owners:
        for splat in splats:
            if splat.name not in seen:
                seen.add(splat.name)
                counts = new is None or splat.name in new
                level = AnnotationLevel.ERROR if counts else AnnotationLevel.NOTICE
                yield _splat(splat, name, added.get((splat.title, splat.frames), ""), level)


def _added_lines(folder: Path) -> dict[tuple[str, tuple[str, ...]], str]:
    """Return, as file:line, the innermost line in each splat's stacks that a patch added.

    Reviewers look at these lines, and a pull request shows annotations only there.
    """
    lines: dict[tuple[str, tuple[str, ...]], str] = {}
    for splat in evidence.decoded(folder):
        decoded = splat.decoded
        for frame in (*decoded.frames[decoded.guilty :], *decoded.alloc, *decoded.free):
            for place in frame.places:
                if place.patch:
                    lines.setdefault((splat.title, splat.frames), f"{place.file}:{place.line}")
    return lines


def _splat(splat: Splat, test: str, added: str, level: AnnotationLevel) -> Annotation:
    place = _PLACE.fullmatch(added or splat.place)
    lines = [
        f"in {one_line(test)}",
        *([f"at {one_line(splat.place)}"] if added and splat.place else []),
        *(f'through code changed by "{one_line(subject)}"' for subject in splat.patches),
        *sentences.trimmed(splat, 20),
    ]
    return Annotation(
        level,
        f"splat: {splat.kind}",
        one_line(splat.title),
        "\n".join(lines),
        one_line(place[1]) if place else "",
        int(place[2]) if place else 0,
    )


def _failures(run: Run) -> Iterator[Annotation]:
    """Annotate failures without a splat, for which no source line is known."""
    error = run.judged.error
    if error and not any(splat.title in error for splat in run.judged.boot_splats):
        text = clean(clip(error, 2000))
        yield Annotation(AnnotationLevel.ERROR, "boot", one_line(error), text)
    for group in run.failure_groups:
        level = AnnotationLevel.ERROR if group.counts else AnnotationLevel.NOTICE
        for test in group.tests[:FAILURES]:
            if not any(splat.title and splat.title in test.headline for splat in test.splats):
                change = run.change(test.id)
                before = f"{change.base} -> {change.patched}, " if change else ""
                text = "\n".join((f"{before}{group.reason}", one_line(test.headline, 500)))
                title = f"{test.outcome}: {one_line(test.id)}"
                yield Annotation(level, f"test: {test.outcome}", title, text.strip())
    if left := sentences.left(run.judged):
        yield Annotation(AnnotationLevel.ERROR, "test: notrun", left, left)


def _warnings(run: Run) -> Iterator[Annotation]:
    """Annotate compiler warnings that are new or on lines that the series adds."""
    new = set(run.warnings)
    for warning in run.judged.kernel.warnings:
        if run.compared and warning not in new and not warning.patch:
            continue
        patch = f'in a line of "{one_line(warning.patch)}"' if warning.patch else ""
        yield Annotation(
            AnnotationLevel.ERROR if warning in new else AnnotationLevel.WARNING,
            "compiler",
            one_line(warning.text),
            "\n".join(filter(None, (one_line(warning.text, 1000), patch))),
            one_line(warning.file),
            warning.line,
        )


def _unexecuted(lines: SeriesLines | None) -> Iterator[Annotation]:
    """Annotate the lines of the series that nothing executes."""
    for part in lines.unexecuted() if lines else ():
        where = one_line(part.where)
        text = f"{where}, {part.why}" if part.why else where
        title = f"no test executes {where}"
        level, file = AnnotationLevel.NOTICE, one_line(part.path)
        yield Annotation(level, "coverage", title, text, file, part.first)


def of_check(matrix: CheckMatrix) -> tuple[Annotation, ...]:
    """Return the findings of a check, each with the patch that introduces it, errors first."""
    findings = (_finding(cell, finding) for cell, finding in matrix.findings)
    return _sorted((*findings, *_unexecuted(matrix.lines)))


def _finding(cell: Cell, finding: Finding) -> Annotation:
    where = f"patch {cell.patch}" if cell.patch else "the whole series"
    leaves = f"; fixed in patch {finding.leaves}" if finding.leaves else ""
    text = clean(clip(finding.text, 2000))
    rule = f" [{one_line(finding.rule)}]" if finding.rule else ""
    return Annotation(
        _FINDINGS[finding.level],
        one_line(f"{cell.check}: {finding.rule}" if finding.rule else cell.check),
        f"{where}, {one_line(cell.check)}: {one_line(text, 120)}",
        f"{text}{rule}{leaves}",
        one_line(finding.file, 1000),
        finding.line,
    )


def github(annotations: Sequence[Annotation]) -> list[str]:
    """Return workflow commands for GitHub, one per line, at most SHOWN of each level."""
    lines: list[str] = []
    for level in AnnotationLevel:
        of_level = [note for note in annotations if note.level is level]
        # Annotations of a line are more useful than the others.
        of_level.sort(key=lambda note: not note.line)
        lines += map(_command, of_level[:SHOWN])
    return lines


def _command(annotation: Annotation) -> str:
    line = str(annotation.line or "")
    values = {"file": annotation.file, "line": line, "title": annotation.title}
    properties = ",".join(
        f"{key}={_escaped(value).replace(':', '%3A').replace(',', '%2C')}"
        for key, value in values.items()
        if value
    )
    message = clip(annotation.text or annotation.title, 4000)
    return f"::{annotation.level} {properties}::{_escaped(message)}"


def _escaped(text: str) -> str:
    """Escape text, because a guest's output could contain a workflow command."""
    return clean(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def gitlab(annotations: Sequence[Annotation]) -> str:
    """Return GitLab's code quality report.

    Annotations without a file are left out, because the JUnit report contains them.
    """
    by_fingerprint = {note.fingerprint: note for note in reversed(annotations) if note.file}
    return json.dumps([_issue(note) for note in reversed(by_fingerprint.values())], indent=1)


def _issue(annotation: Annotation) -> dict[str, object]:
    text = f": {annotation.text}" if annotation.text else ""
    return {
        "description": one_line(f"{annotation.title}{text}", 1000),
        "check_name": one_line(annotation.rule),
        "fingerprint": annotation.fingerprint,
        "severity": _GITLAB[annotation.level],
        "location": {"path": annotation.file, "lines": {"begin": max(1, annotation.line)}},
    }
