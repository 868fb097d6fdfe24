# SPDX-License-Identifier: GPL-2.0-only
"""The summary of a run: what each kernel did, what failed and changed, the verdict, what next.

On a terminal it fits the screen, so that the prompt stands below all of it.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

import rich.console
import rich.table
from rich.text import Text

from harness.cli import tables
from harness.lab.again import alone
from harness.model import Change, ChangeKind, Outcome, Run, SideResult, Test, Verdict
from harness.progress import clock, printable_text
from harness.publish import sentences
from harness.results.regression import counts
from harness.text import quantity

COLOURS = {Outcome.PASS: "green", Outcome.SKIP: "yellow", Outcome.XFAIL: "yellow"}
VERDICTS = {
    **dict.fromkeys((Verdict.GOOD, Verdict.FOUND), "green"),
    **dict.fromkeys((Verdict.UNTESTABLE, Verdict.NONE, Verdict.UNDECIDED), "yellow"),
    **dict.fromkeys((Verdict.BAD, Verdict.UNPROVEN), "red"),
}
_SCREEN = 100  # lines where there is no screen: what is more is for run.json
_FIXED = 3  # lines around the lists: a blank one, the verdict, the prompt
_LEAST = 3  # lines a list has at least: a blank one, its head with their number, its first


def show(run: Run) -> None:
    """Print the summary to standard output."""
    console = rich.console.Console(highlight=False)
    if not console.is_terminal:
        console.width = tables.WIDE
    console.print(table(run, console), crop=False)
    for line in _troubles(run):
        _print(console, line)
    for line in _lists(run, _room(console, run)):
        _print(console, line)
    console.print()
    _print(console, verdict(run))
    for line in following(run):
        console.print(printable_text(line), soft_wrap=True)


def _print(console: rich.console.Console, line: Text) -> None:
    """Print a line that is cut on a terminal, and whole elsewhere."""
    line = printable_text(line)
    if console.is_terminal:
        console.print(line, no_wrap=True, overflow="ellipsis")
    else:
        console.print(line, soft_wrap=True)


def _room(console: rich.console.Console, run: Run) -> int:
    """Give the lines there are for the lists."""
    height = console.size.height if console.is_terminal else _SCREEN
    rows = len(console.render_lines(table(run, console)))
    ends = sum(-(-line.cell_len // console.width) for line in following(run))
    return height - _FIXED - rows - len(list(_troubles(run))) - ends


def table(run: Run, console: rich.console.Console) -> rich.table.Table:
    """Make a row for each kernel."""
    titles = ("kernel", "release", "build", "boot", "tests")
    rows: list[tuple[tables.Cell, ...]] = []
    for side in run.sides:
        kernel = side.kernel
        build = sentences.built(kernel.seconds, len(kernel.warnings), reused=kernel.reused)
        boot = sentences.booted([one.boot_seconds for one in side.guests], cached=side.cached)
        rows.append((side.side, kernel.release, build, boot, tally(side.tests)))
    spare = ("boot", "build", "release")
    return tables.table(titles, rows, {"tests": 30}, spare, whole=("tests",), on=console)


def tally(tests: tuple[Test, ...]) -> Text:
    """Write outcomes and their numbers, coloured."""
    parts = [(f"{n} {word}", COLOURS.get(word, "red")) for word, n in counts(tests).items()]
    return Text(", ").join(Text(*part) for part in parts) if parts else Text("none")


def _troubles(run: Run) -> Iterator[Text]:
    """Say what no list of tests shows: boots that went wrong, new warnings, tests not run."""
    for side in run.sides:
        if side.error:
            yield Text(f"{side.side}: {side.error}", "red")
        elif side.boot_splats:
            yield Text(f"{side.side}: while booting: {side.boot_splats[0].title}", "red")
    for one in run.warnings[:_LEAST]:
        yield Text(f"new warning: {one.file}:{one.line}: {one.text}", "red")
    if len(run.warnings) > _LEAST:
        yield Text(f"... and {len(run.warnings) - _LEAST} more new warnings, see run.json", "red")
    if left := sentences.left(run.judged) if run.sides else "":
        yield Text(left, "red")
    if gone := sentences.missing(run) if run.sides else 0:
        yield Text(
            f"{quantity(gone, 'test')} of the base did not exist on the patched kernel",
            "yellow",
        )


def _lists(run: Run, room: int) -> Iterator[Text]:
    """Give what failed, what was fixed and what was skipped, in as many lines as there are."""
    found = [
        *_failures(run),
        _fixes(sentences.fixed(run)),
        _skips(run.judged) if run.sides else [],
    ]
    lists = [lines for lines in found if lines]
    lists = lists[: max(1, room // _LEAST)]
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
    """Give the judged kernel's failures by reason, a line each; those that count first."""
    for group in run.failure_groups:
        colour = "red" if group.counts else "yellow"
        lines = [Text(f"{len(group.tests)} {group.reason}:", colour)]
        for number, test in enumerate(group.tests):
            lines.append(failure(test, run.change(test.id), colour))
            where = place(test)
            if where and number == 0:  # of the others the report tells
                lines.append(where)
        yield lines


def failure(test: Test, change: Change | None = None, colour: str = "red") -> Text:
    """Write a failure as one line, with what the base did where it did something else."""
    before = f"{change.base} -> " if change and change.base is not Outcome.NOTRUN else ""
    alone = _again(change) if change else ""
    words = f"{before}{test.outcome}"
    return Text.assemble("  ", (f"{words:<8} ", colour), f"{test.id}  {test.headline[:200]}{alone}")


def _again(change: Change) -> str:
    """Say how it went when it was run again."""
    if change.kind is ChangeKind.SUSPECT:
        return "  (not rerun)"
    base, patched = (", ".join(some) for some in change.again)
    told = f"{patched}; base: {base}" if base else patched
    return f"  (rerun: {told})" if told else ""


def place(test: Test) -> Text | None:
    """Say where in the sources a failure's splat was."""
    at = next((splat for splat in test.splats if splat.place), None)
    if at is None:
        return None
    through = f', through lines of "{at.patches[0]}"' if at.patches else ""
    return Text(f"             at {at.place}{through}")


def _fixes(rows: Sequence[Change]) -> list[Text]:
    """Count what the series mended, by file: many single lines hide what they have in common."""
    if not rows:
        return []
    found = Counter(change.test.partition("::")[0] for change in rows)
    head = Text.assemble("the series fixes ", (quantity(len(rows), "test"), "green"), ":")
    return [head, *(Text(f"  {n:4} in {file}") for file, n in found.most_common())]


def _skips(side: SideResult) -> list[Text]:
    """Say what was skipped and why; nothing is skipped silently."""
    reasons = Counter(
        t.headline.removeprefix("Skipped: ") or "no reason given"
        for t in side.tests
        if t.outcome is Outcome.SKIP
    )
    if not reasons:
        return []
    head = Text(f"{reasons.total()} skipped:")
    return [head, *(Text(f"  {n:4} {why}") for why, n in reasons.most_common())]


def word(verdict: Verdict) -> Text:
    """Write a verdict."""
    return Text(verdict.upper(), f"bold {VERDICTS[verdict]}")


def verdict(run: Run) -> Text:
    """Say the verdict, about what, and how long it took."""
    what = run.series.title or run.series.name if run.series else run.source.name
    stopped = ", interrupted" if run.interrupted else ""
    return word(run.verdict) + f" {what} on {run.source.name} in {clock(run.seconds)}{stopped}"


def following(run: Run) -> Iterator[Text]:
    """Say where everything is, and which command is the next."""
    yield Text(f"evidence  {run.folder}")
    yield Text(f"report    harness report {shlex.quote(str(run.folder))} --open")
    if run.failure_groups and run.plan:
        yield Text(f"again     {alone(run, run.failure_groups[0].tests[0].id)}")
