# SPDX-License-Identifier: GPL-2.0-only
"""The page of a run, which may be unfinished."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.model import ChangeKind, CheckMatrix, Outcome, Run, Side, Test, Verdict
from harness.progress import clock
from harness.publish import sentences
from harness.publish.html import check_page, diffs, failures, test_table, timeline
from harness.publish.html.diffs import ShownPatch
from harness.publish.html.excerpts import Budget
from harness.publish.html.failures import Ask, ShownFailure, ShownSplat
from harness.publish.html.page import MatrixSection, Page, Tile, links
from harness.publish.html.test_table import KernelColumn, TestRow
from harness.results import evidence, journal, store
from harness.results.regression import settled

_TAGGED = (ChangeKind.REGRESSION, ChangeKind.SUSPECT, ChangeKind.FLAKY, ChangeKind.NEW)
_BASE_ROOM = 2 << 20  # maximum number of characters of evidence for failures on the base
_SET = re.compile(r"^(CONFIG_\w+)=(.*)$|^# (CONFIG_\w+) is not set$", re.MULTILINE)


def of_run(folder: Path, ask: Ask | None = None, check: Path | None = None) -> Page:
    """Return the page of a run; ``check`` is the folder of a check of the same series.

    Raises UsageError if ``folder`` does not contain a run, or ``check`` a check.
    """
    run = settled(store.load_run(folder))
    matrix = store.load_check(check) if check else None
    kernels = test_table.columns(run, folder)
    columns = list(kernels)
    if matrix and check:  # the base is that of the run; the check's patches follow it
        between = check_page.kernels(matrix, check)
        columns[-1:-1] = [kernel for kernel in between if kernel.label != test_table.BASE]
    own, base = _failures(run, kernels, ask)
    rows = test_table.rows(columns, {change.test: change.kind for change in run.changes})
    boot = tuple(failures.boot_splats(run, kernels))
    side = kernels[-1].folder if kernels else folder
    return Page(
        verdict=run.verdict,
        title=(run.series.title or run.series.name) if run.series else run.source.name,
        subject=f"on {run.source.name}, {_minute(run.started)}",
        lead=_lead(run),
        folder=folder,
        command=shlex.join(run.command),
        about=tuple(_about(run, side)),
        tiles=tuple(_tiles(run, rows)),
        sides=run.sides,
        columns=tuple(columns),
        rows=rows,
        groups=test_table.groups(rows),
        failures=own,
        base_failures=base,
        hidden=sum(len(failures.bad(kernel)) for kernel in kernels) - len(own) - len(base),
        boot_splats=boot,
        not_booted=tuple(failures.not_booted(run, kernels)),
        dumps=failures.dumps(kernels),
        warnings=run.sides[-1].kernel.warnings if run.sides else (),
        checks=MatrixSection(matrix) if matrix else None,
        patches=tuple(_patches(run, folder, matrix, own, [splat for _, splat in boot])),
        timeline=timeline.lay_out(timeline.stages(run), kernels, links((*own, *base))),
        options=tuple(_options(side)),
    )


def _failures(
    run: Run, kernels: Sequence[KernelColumn], ask: Ask | None
) -> tuple[tuple[ShownFailure, ...], tuple[ShownFailure, ...]]:
    """Return the judged kernel's failures, those affecting the verdict first, and the base's."""
    if not kernels:
        return (), ()
    *others, judged = kernels
    blamed = {test.id for test in run.blamed}
    changes = {test: "old" for base in others for test in base.bad if test not in blamed}
    changes |= {c.test: test_table.change_word(c.kind) for c in run.changes if c.kind in _TAGGED}
    budget = Budget(failures.ROOM)
    tests = sorted(failures.bad(judged), key=lambda test: test.id not in blamed)
    own = failures.show(tests, judged, budget, changes, ask)
    fixed = {change.test: "fixed" for change in run.changes if change.fixed}
    before: tuple[ShownFailure, ...] = ()
    for base in others:
        room = Budget(min(_BASE_ROOM, budget.left))
        before += failures.show(failures.bad(base), base, room, fixed)
    return own, before


def _lead(run: Run) -> tuple[str, ...]:
    if not run.sides:
        return ("The run ended before any kernel was tested.",)
    return sentences.verdict(run), sentences.tested(run.judged.side, run.judged.tests)


def _tiles(run: Run, rows: Sequence[TestRow]) -> Iterator[Tile]:
    tests = run.sides[-1].tests if run.sides else ()
    left = _count(tests, Outcome.NOTRUN)
    passed, skipped = _count(tests, Outcome.PASS), _count(tests, Outcome.SKIP)
    bad = sum(test.outcome.bad for test in tests) - left
    if run.sides and run.judged.error:
        yield Tile("0", "guests booted", "fail", "failures")
    kind = "fail" if run.blamed else "skip" if bad else "pass" if passed else ""
    yield Tile(str(bad), "failed", kind, "failures" if bad else "")
    yield Tile(str(passed), "passed", "pass" if passed else "", "tests")
    if rows and len(rows[0].cells) > 1:
        broken, fixed = (sum(row.change == what for row in rows) for what in ("broken", "fixed"))
        yield Tile(str(broken), "broken by the series", "fail" if broken else "pass", "changes")
        yield Tile(str(fixed), "fixed by the series", "pass" if fixed else "", "changes")
    yield Tile(str(skipped), "skipped", "skip" if skipped else "", "tests")
    if left:
        yield Tile(str(left), "not run", "skip", "tests")
    if warnings := sum(len(side.kernel.warnings) for side in run.sides[-1:]):
        kind = "fail" if run.warnings else "skip"
        yield Tile(str(warnings), "compiler warnings", kind, "warnings")
    else:
        yield Tile("0", "compiler warnings")
    yield Tile(clock(run.seconds), "total time", "", "timeline")


def _count(tests: Sequence[Test], outcome: Outcome) -> int:
    return sum(test.outcome is outcome for test in tests)


def _about(run: Run, side: Path) -> Iterator[tuple[str, str]]:
    yield "source", f"{run.source.name} {run.source.commit[:12]} {run.source.origin}".strip()
    if run.series:
        yield "series", f"{run.series.name}, {len(run.series.patches)} patches"
        if run.series.link:
            yield "link", run.series.link
    yield "guests", f"{run.accel}: {'hardware' if run.accel == 'kvm' else 'emulated'}"
    if compiler := evidence.compiler(evidence.config(side)):
        yield "compiler", compiler
    yield from run.about


def _options(side: Path) -> Iterator[tuple[str, str, str]]:
    """Return (name, requested value, actual value) for each requested config option."""
    lines = _SET.finditer(evidence.config(side))
    got = {line[1] or line[3]: line[2] or "n" for line in lines}
    for name, asked in sorted(evidence.options(side).items()):
        yield name, asked, got.get(name, "n")


def _minute(started: str) -> str:
    """Return the start of a run in UTC, to the minute."""
    return f"{started[:16].replace('T', ' ')} UTC" if started.endswith("+00:00") else started


def _patches(
    run: Run,
    folder: Path,
    matrix: CheckMatrix | None,
    own: Sequence[ShownFailure],
    boot: Sequence[ShownSplat],
) -> Iterator[ShownPatch]:
    findings = check_page.remarks(matrix) if matrix else {}
    by_subject = diffs.remarks_of_run(run, own, boot)
    budget, counted = Budget(diffs.ALL), diffs.counted_lines(run.lines)
    for patch in run.series.patches if run.series else ():
        remarks = [*findings.get(patch.number, ()), *by_subject.get(patch.subject, ())]
        path = evidence.patch_file(folder, patch)
        lines = counted.get(patch.number, {})
        yield diffs.show(patch.number, patch.subject, patch.author, path, remarks, budget, lines)


def is_unfinished(folder: Path) -> bool:
    """Whether a folder contains an unfinished run."""
    return any((folder / side / journal.NAME).is_file() for side in Side)


def of_unfinished(folder: Path, ask: Ask | None = None) -> Page:
    """Return the page of an unfinished run, from its journals and guests."""
    kernels = [
        test_table.column(side.value, "", folder / side, stopped=True)
        for side in Side
        if (folder / side / journal.NAME).is_file()
    ]
    budget = Budget(failures.ROOM)
    shown = tuple(
        failure
        for kernel in kernels
        for failure in failures.show(failures.bad(kernel), kernel, budget, ask=ask)
    )
    judged = kernels[-1].label
    rows = test_table.rows(kernels)
    return Page(
        verdict=Verdict.NONE,
        title=folder.name,
        subject="a run that did not finish",
        lead=(
            "It was killed or is still running; these are the results so far.",
            *(sentences.tested(kernel.label, kernel.tests) for kernel in kernels),
        ),
        folder=folder,
        command=check_page.command(folder),
        columns=tuple(kernels),
        rows=rows,
        groups=test_table.groups(rows),
        failures=tuple(failure for failure in shown if failure.column == judged),
        base_failures=tuple(failure for failure in shown if failure.column != judged),
        timeline=timeline.lay_out((), kernels, links(shown)),
    )
