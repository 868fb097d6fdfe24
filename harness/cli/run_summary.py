# SPDX-License-Identifier: GPL-2.0-only
"""The summary of a run.

On a terminal it fits on one screen, together with the next prompt.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

import rich.console
import rich.table
from rich.text import Text

from harness import options
from harness.cli import terminal
from harness.model import Change, ChangeKind, Outcome, Run, Test, Trial, Verdict
from harness.progress import clock
from harness.publish import sentences
from harness.results.regression import counts
from harness.text import printable_text, quantity

_SCREEN = 100  # lines without a terminal; run.json contains the rest
_FIXED = 3  # lines around the lists: an empty one, the verdict, the prompt
_UNEXECUTED = 5  # parts that nothing executed; the report marks all lines
_LEAST = 3  # minimum number of lines for a list: an empty line, its title, its first entry


def show(run: Run) -> None:
    """Print the summary to standard output."""
    console = rich.console.Console(highlight=False)
    if not console.is_terminal:
        console.width = terminal.WIDE
    console.print(table(run, console), crop=False)
    for line in _troubles(run):
        _print(console, line)
    for line in _lists(run, _room(console, run)):
        _print(console, line)
    console.print()
    _print(console, _verdict_line(run))
    for line in _next_steps(run):
        console.print(printable_text(line), soft_wrap=True)


def _print(console: rich.console.Console, line: Text) -> None:
    """Print a line; on a terminal it is cut to fit."""
    line = printable_text(line)
    if console.is_terminal:
        console.print(line, no_wrap=True, overflow="ellipsis")
    else:
        console.print(line, soft_wrap=True)


def _room(console: rich.console.Console, run: Run) -> int:
    """Return how many lines are available for the lists."""
    height = console.size.height if console.is_terminal else _SCREEN
    rows = len(console.render_lines(table(run, console)))
    ends = sum(-(-line.cell_len // console.width) for line in _next_steps(run))
    return height - _FIXED - rows - len(list(_troubles(run))) - ends


def table(run: Run, console: rich.console.Console) -> rich.table.Table:
    """Build the table of kernels, with a row for each."""
    titles = ("kernel", "release", "build", "boot", "tests")
    rows: list[tuple[terminal.TableCell, ...]] = []
    for side in run.sides:
        kernel = side.kernel
        build = sentences.built(kernel.seconds, len(kernel.warnings), reused=kernel.reused)
        boot = sentences.booted([guest.boot_seconds for guest in side.guests], cached=side.cached)
        rows.append((side.side, kernel.release, build, boot, _tally(side.tests)))
    spare = ("boot", "build", "release")
    return terminal.table(titles, rows, {"tests": 30}, spare, whole=("tests",), on=console)


def _tally(tests: tuple[Test, ...]) -> Text:
    """Return how many tests have each outcome, in colour."""
    parts = [
        Text(f"{number} {outcome}", terminal.OUTCOME_COLOURS.get(outcome, "red"))
        for outcome, number in counts(tests).items()
    ]
    return Text(", ").join(parts) if parts else Text("none")


def _troubles(run: Run) -> Iterator[Text]:
    """Yield problems that the test lists do not show: failed boots, new warnings, tests not run."""
    for side in run.sides:
        if side.error:
            yield Text(f"{side.side}: {side.error}", "red")
        elif side.boot_splats:
            yield Text(f"{side.side}: while booting: {side.boot_splats[0].title}", "red")
    for warning in run.warnings[:_LEAST]:
        yield Text(f"new warning: {warning.file}:{warning.line}: {warning.text}", "red")
    if len(run.warnings) > _LEAST:
        yield Text(f"... and {len(run.warnings) - _LEAST} more new warnings, see run.json", "red")
    yield from _lines(run)
    if left := sentences.left(run.judged) if run.sides else "":
        yield Text(left, "red")
    if gone := sentences.missing(run) if run.sides else 0:
        yield Text(
            f"{quantity(gone, 'test')} of the base did not exist on the patched kernel",
            "yellow",
        )


def _lines(run: Run) -> Iterator[Text]:
    """Yield how far the evidence about the lines of the series goes."""
    for text in sentences.not_compiled(run.lines, _LEAST):
        yield Text(text, "yellow")
    if text := sentences.executed(run.lines):
        yield Text(text)
    for text in sentences.unexecuted(run.lines, _UNEXECUTED):
        yield Text(text, "yellow")


def _lists(run: Run, room: int) -> Iterator[Text]:
    """Yield the failures, the fixes and the skipped tests, in at most ``room`` lines."""
    lists = [
        *_failures(run),
        _fixes(sentences.fixed(run)),
        _newly_skipped(run),
        _skips(run.judged) if run.sides else [],
    ]
    lists = [lines for lines in lists if lines][: max(1, room // _LEAST)]
    for number, lines in enumerate(lists):
        behind = _LEAST * (len(lists) - number - 1)
        part = max(_LEAST, room - behind) - 1
        yield Text()
        yield from _cut(lines, part)
        room -= min(len(lines), part) + 1


def _cut(lines: Sequence[Text], room: int) -> Iterator[Text]:
    if len(lines) <= room or room < _LEAST:
        yield from lines[:room]
        return
    yield from lines[: room - 1]
    yield Text(f"  ... and {len(lines) - room + 1} more, see run.json", "dim")


def _failures(run: Run) -> Iterator[list[Text]]:
    """Yield the judged kernel's failures by reason; those that affect the verdict come first."""
    for group in run.failure_groups:
        colour = "red" if group.counts else "yellow"
        lines = [Text(f"{len(group.tests)} {group.reason}:", colour)]
        for number, test in enumerate(group.tests):
            lines.append(_failure(test, run.change(test.id), colour))
            where = _place(test)
            if where and number == 0:  # the report shows the other locations
                lines.append(where)
        yield lines


def _failure(test: Test, change: Change | None, colour: str) -> Text:
    """Return a failure as one line, with the base's outcome if it differs."""
    before = f"{change.base} -> " if change and change.base is not Outcome.NOTRUN else ""
    rerun = _rerun(change) if change else ""
    outcomes = f"{before}{test.outcome}"
    line = f"{test.id}  {test.headline[:200]}{rerun}"
    return Text.assemble("  ", (f"{outcomes:<8} ", colour), line)


def _rerun(change: Change) -> str:
    """Return the outcomes of the reruns."""
    if change.kind is ChangeKind.SUSPECT:
        return "  (not rerun)"
    base, patched = (", ".join(outcomes) for outcomes in change.again)
    both = f"{patched}; base: {base}" if base else patched
    return f"  (rerun: {both})" if both else ""


def _place(test: Test) -> Text | None:
    """Return the source line of a failure's splat."""
    splat = next((splat for splat in test.splats if splat.place), None)
    if splat is None:
        return None
    through = f', through code changed by "{splat.patches[0]}"' if splat.patches else ""
    return Text(f"             at {splat.place}{through}")


def _fixes(rows: Sequence[Change]) -> list[Text]:
    """Count the fixed tests by file: a line per test would hide what they have in common."""
    if not rows:
        return []
    files = Counter(change.test.partition("::")[0] for change in rows)
    head = Text.assemble("the series fixes ", (quantity(len(rows), "test"), "green"), ":")
    return [head, *(Text(f"  {n:4} in {file}") for file, n in files.most_common())]


def _newly_skipped(run: Run) -> list[Text]:
    """List the tests that pass on the base: a skip may hide that something no longer works."""
    rows = [c for c in run.changes if (c.base, c.patched) == (Outcome.PASS, Outcome.SKIP)]
    if not rows:
        return []
    head = Text(f"{len(rows)} skipped, but passed on the base:", "yellow")
    return [head, *(Text(f"  {change.test}  {change.text[:200]}") for change in rows)]


def _skips(side: Trial) -> list[Text]:
    """Count the skipped tests by reason: no test is skipped silently."""
    reasons = Counter(
        test.headline.removeprefix("Skipped: ") or "no reason given"
        for test in side.tests
        if test.outcome is Outcome.SKIP
    )
    if not reasons:
        return []
    head = Text(f"{reasons.total()} skipped:")
    return [head, *(Text(f"  {n:4} {why}") for why, n in reasons.most_common())]


def _verdict_line(run: Run) -> Text:
    what = run.series.title or run.series.name if run.series else run.source.name
    stopped = ", interrupted" if run.interrupted else ""
    limit = sentences.extent(run.lines) if run.verdict is Verdict.GOOD else ""
    line = f"{limit} {what} on {run.source.name} in {clock(run.seconds)}{stopped}"
    return terminal.verdict_text(run.verdict) + line


def _next_steps(run: Run) -> Iterator[Text]:
    """Yield the run's folder, and the commands to run next."""
    yield Text(f"evidence  {run.folder}")
    yield Text(f"report    harness report {shlex.quote(str(run.folder))} --open")
    if run.failure_groups and run.plan:
        command = options.single_test_command(run, run.failure_groups[0].tests[0].id)
        yield Text(f"again     {command}")
