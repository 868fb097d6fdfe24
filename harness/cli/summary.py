# SPDX-License-Identifier: GPL-2.0-only
"""The summary of a run on the terminal: the verdict first, at most a screen."""

from __future__ import annotations

from collections import Counter

import rich.console
import rich.markup
import rich.table

from harness.model import Change, Outcome, Run, SideResult, Test
from harness.progress import clock
from harness.results.changes import counts

SHOWN = 12  # failures that are shown in full length of a line each
COLOURS = {Outcome.PASS: "green", Outcome.SKIP: "yellow", Outcome.XFAIL: "yellow"}


def show(run: Run) -> None:
    """Print the summary to standard output."""
    console = rich.console.Console(highlight=False, soft_wrap=True)
    console.print(table(run))
    for side in run.sides:
        if side.error:
            console.print(f"[red]{side.side}: {rich.markup.escape(side.error)}[/]")
        elif side.boot_splats:
            title = rich.markup.escape(side.boot_splats[0].title)
            console.print(f"[red]{side.side}: while booting: {title}[/]")
    changes(console, run)
    failures(console, run.judged)
    skips(console, run.judged)
    console.print(verdict(run))
    console.print(f"report   {run.folder / 'junit.xml'}\nevidence {run.folder}", markup=False)


def table(run: Run) -> rich.table.Table:
    """Make a row for each kernel."""
    grid = rich.table.Table(box=None, pad_edge=False, header_style="dim")
    for title in ("kernel", "release", "build", "boot", "tests"):
        grid.add_column(title)
    for side in run.sides:
        kernel = side.kernel
        build = "reused" if kernel.reused else clock(kernel.seconds)
        if kernel.warnings:
            build += f", {len(kernel.warnings)} warnings"
        boots = [one.boot_seconds for one in side.guests if one.boot_seconds is not None]
        boot = f"{len(side.guests)} x {clock(max(boots))}" if boots else "-"
        grid.add_row(
            side.side, kernel.release, build, "reused" if side.cached else boot, tally(side.tests)
        )
    return grid


def tally(tests: tuple[Test, ...]) -> str:
    """Write outcomes and their numbers, coloured."""
    found = counts(tests).items()
    return ", ".join(f"[{COLOURS.get(o, 'red')}]{n} {o}[/]" for o, n in found) or "none"


def changes(console: rich.console.Console, run: Run) -> None:
    """Show what the series changed."""
    for title, colour, rows in (
        ("breaks", "red", [c for c in run.changes if c.regression]),
        ("fixes", "green", [c for c in run.changes if c.fix]),
    ):
        if rows:
            console.print(f"\nthe series [{colour}]{title} {len(rows)}[/]:")
            listed(
                console, [change_line(one) for one in rows] if len(rows) <= SHOWN else files(rows)
            )


def files(rows: list[Change]) -> list[str]:
    """Count changes by file: many single lines hide what they have in common."""
    found = Counter(change.test.partition("::")[0] for change in rows)
    return [f"  {number:4} in {file}" for file, number in found.items()]


def change_line(change: Change) -> str:
    """Write a change as one line."""
    return f"  {change.test}  {change.base} -> {change.patched}"


def failures(console: rich.console.Console, side: SideResult) -> None:
    """Show the judged kernel's failures with the last line of each message."""
    bad = [test for test in side.tests if test.outcome.bad]
    if bad:
        console.print(f"\n[red]{len(bad)} not good[/] on the {side.side} kernel:")
        listed(console, [failure(one) for one in bad])
        again = next((one.reproduce for one in bad if one.reproduce), "")
        if again:
            console.print(f"the first alone: {again}", markup=False)


def failure(test: Test) -> str:
    """Write a failure as one line, and where in the sources its splat was as another."""
    line = f"  {test.outcome:<8} {test.id}  {test.headline[:120]}"
    at = next((splat for splat in test.splats if splat.place), None)
    if at is None:
        return line
    through = f', through lines of "{at.patches[0]}"' if at.patches else ""
    return f"{line}\n           at {at.place}{through}"


def skips(console: rich.console.Console, side: SideResult) -> None:
    """Say what was skipped and why; nothing is skipped silently."""
    reasons: dict[str, int] = {}
    for test in side.tests:
        if test.outcome is Outcome.SKIP:
            reasons[last_line(test)] = reasons.get(last_line(test), 0) + 1
    if reasons:
        console.print(f"\n{sum(reasons.values())} skipped:")
        listed(console, [f"  {number:4} {reason}" for reason, number in reasons.items()])


def listed(console: rich.console.Console, lines: list[str]) -> None:
    """Print lines, the first few of many."""
    for line in lines[:SHOWN]:
        console.print(line, markup=False)
    if len(lines) > SHOWN:
        console.print(f"  ... and {len(lines) - SHOWN} more, see run.json", markup=False)


def last_line(test: Test) -> str:
    """Give the line of a message that says most: the error's own, which stands last."""
    return test.headline[:120]


def verdict(run: Run) -> str:
    """Say good or bad, about what, and how long it took."""
    what = run.series.title or run.series.name if run.series else run.source.name
    word = "[bold red]BAD[/]" if run.bad else "[bold green]GOOD[/]"
    return f"\n{word} {rich.markup.escape(what)} on {run.source.name} in {clock(run.seconds)}"
