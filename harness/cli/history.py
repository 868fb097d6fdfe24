# SPDX-License-Identifier: GPL-2.0-only
"""``harness history``: the history of a test, a series or a splat."""

from __future__ import annotations

import argparse
import json
import sys
import typing
from collections.abc import Iterator

import rich.table
from rich.text import Text

from harness import errors
from harness.cli import terminal
from harness.cli.terminal import Line, TableCell, ago, ended_text
from harness.history.histories import (
    KernelInRun,
    Match,
    PastResult,
    SeriesHistory,
    SplatHistory,
    TestHistory,
)
from harness.model import Outcome
from harness.progress import Progress, clock
from harness.serial import to_json
from harness.text import quantity

if typing.TYPE_CHECKING:
    from sqlalchemy import Connection

_History = TestHistory | SeriesHistory | SplatHistory

_MARKS = {
    Outcome.PASS: ".",
    Outcome.SKIP: "s",
    Outcome.XFAIL: "x",
    Outcome.NOTRUN: "-",
    Outcome.FLAKY: "~",
}


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Look up a name and show its history.  Raises UsageError for an unknown name."""
    from harness.history import database, queries

    name = " ".join(options.words)
    with database.opened(options.db) as (connection, trouble):
        if trouble:
            progress.say(f"history: {trouble}")
        matches = queries.find(connection, name, options.kind)
        if not matches:
            raise _unknown(name)
        history = _history(connection, matches[0], options) if len(matches) == 1 else None
    if options.json:
        kind = matches[0].kind if history else "matches"
        print(json.dumps({kind: _table(history) if history else to_json(matches)}, indent=1))
    else:
        terminal.show(_lines(history) if history else _match_lines(name, matches))
    return errors.GOOD


def _history(connection: Connection, match: Match, options: argparse.Namespace) -> _History:
    from harness.history import queries, run_queries

    last = max(1, options.last)
    history: _History | None
    if match.kind == "test":
        history = queries.of_test(connection, match.word, last, options.on)
    elif match.kind == "series":
        history = run_queries.of_series(connection, match.word)
    else:
        history = queries.of_splat(connection, match.word, last)
    if history is None:
        raise _unknown(f"{match.word}{f' on {options.on} kernels' if options.on else ''}")
    return history


def _lines(history: _History) -> Iterator[Line]:
    match history:
        case TestHistory():
            return _test_lines(history)
        case SeriesHistory():
            return _series_lines(history)
        case SplatHistory():
            return _splat_lines(history)


def _unknown(name: str) -> errors.UsageError:
    return errors.UsageError(
        f"the history has no test, series or splat {name!r}",
        hint="part of a name; `harness runs` lists the runs",
    )


def _table(history: _History) -> dict[str, object]:
    """Return the history as JSON, with the names of outcomes."""
    table: dict[str, object] = to_json(history)
    if isinstance(history, TestHistory):
        table["counts"] = {outcome.value: number for outcome, number in history.counts.items()}
        table["flakes"] = {**to_json(history.flakes), "rate": history.flakes.rate}
    return table


def _match_lines(name: str, matches: tuple[Match, ...]) -> Iterator[Line]:
    yield f"{name!r} could mean {len(matches)} things; name one of them:"
    for match in matches:
        yield f"  {match.kind:<6}  {match.word}  ({match.note}, last {ago(match.last)})"


def _test_lines(history: TestHistory) -> Iterator[Line]:
    yield history.id
    counts = ", ".join(f"{number} {outcome}" for outcome, number in history.counts.items())
    yield f"  {quantity(history.runs, 'run')} since {_when(history.first)}: {counts}"
    for title, result in (
        ("first failed", history.first_failed),
        ("last failed", history.last_failed),
        ("last passed", history.last_passed),
    ):
        where = f"{_when(result)}, {_kernel(result.where)}" if result else "never"
        yield f"  {title:<13} {where}"
    if history.last_failed and history.last_failed.message:
        yield f"  message       {history.last_failed.message}"
    chance = history.flakes
    if chance.runs:
        sure = f"{100 * chance.rate:.0f} %; {_share(chance.low, chance.high)} at 95 % confidence"
        runs = quantity(chance.runs, "run")
        yield f"  by chance     bad in {chance.bad} of {runs} on kernels that can pass it ({sure})"
    trend = history.trend
    if trend.times:
        unicode = "utf" in (sys.stdout.encoding or "").lower()
        line = trend.sparkline(ascii_only=not unicode)
        change = f", lately {100 * trend.change:+.0f} %" if trend.change else ""
        span = f"{_time(trend.low)} to {_time(trend.high)}, median {_time(trend.median)}"
        yield f"  time          {line}  {span} in {len(trend.times)} passes{change}"
    yield ""
    yield _results_table(history.seen)


def _share(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.0f}ms" if seconds < 1 else clock(seconds)


def _results_table(results: tuple[PastResult, ...]) -> rich.table.Table:
    titles = ("run", "when", "kernel", "series", "outcome", "time", "message")
    rows: list[tuple[TableCell, ...]] = []
    for result in results:
        outcome = _outcome(result.outcome)
        if len(result.attempts) > 1:
            marks = "".join(_MARKS.get(attempt, "F") for attempt in result.attempts)
            outcome.append(f" ({marks})", "dim")
        kernel = result.where
        which = (kernel.run, ago(result.at), f"{kernel.side} {kernel.release}", _revision(kernel))
        rows.append((*which, outcome, _time(result.seconds), result.message))
    spare = ("series", "time", "kernel")
    return terminal.table(titles, rows, {"series": 16, "message": 24}, spare)


def _when(result: PastResult) -> str:
    return f"{ago(result.at)} (run {result.where.run})"


def _kernel(kernel: KernelInRun) -> str:
    """Describe a kernel by its side, release, series revision, source and commit."""
    parts = [f"{kernel.side} {kernel.release}".strip(), _revision(kernel), kernel.source]
    if kernel.commit:
        parts.append(f"commit {kernel.commit[:12]}")
    return ", ".join(filter(None, parts))


def _revision(kernel: KernelInRun) -> str:
    if not kernel.series or kernel.side == "base":
        return ""
    patch = f" patch {kernel.patch}" if kernel.patch else ""
    return f"v{kernel.version} {kernel.series}{patch}"


def _series_lines(history: SeriesHistory) -> Iterator[Line]:
    yield f"{history.title}{f' ({history.link})' if history.link else ''}"
    titles = ("revision", "digest", "runs", "first", "last", "verdict", "tests")
    rows: list[tuple[TableCell, ...]] = []
    for revision in history.revisions:
        last = revision.last
        counts = ", ".join(f"{number} {outcome}" for outcome, number in last.counts.items())
        which = (f"v{revision.version}", revision.digest[:12], str(revision.runs))
        when = (ago(revision.first), f"{ago(last.began)} ({last.id})")
        rows.append((*which, *when, ended_text(last.ended, last.verdict), counts))
    yield terminal.table(titles, rows, {"tests": 12}, ("first", "digest", "runs"))
    if history.failures:
        yield "\nfailures with any revision (the last outcome with each):"
        yield from _failures(history)


def _failures(history: SeriesHistory) -> Iterator[Line]:
    ran = [
        (number, revision)
        for number, revision in enumerate(history.revisions)
        if any(outcomes[number] for _, outcomes in history.failures)
    ]
    names = [f"v{revision.version} {revision.digest[:6]}" for _, revision in ran]
    rows: list[tuple[TableCell, ...]] = [
        (*(_outcome(outcomes[number]) for number, _ in ran), test)
        for test, outcomes in history.failures
    ]
    # If there is not enough room for all revisions, the oldest are left out.
    grid = terminal.table([*names, "test"], rows, {"test": 40}, names[:-1], whole=["test"])
    yield grid
    if gone := len(names) + 1 - len(grid.columns):
        yield f"not shown: {quantity(gone, 'older revision')}; --json lists all"


def _outcome(outcome: Outcome | None) -> Text:
    return Text(outcome, style=terminal.OUTCOME_COLOURS.get(outcome, "red")) if outcome else Text()


def _splat_lines(history: SplatHistory) -> Iterator[Line]:
    yield f"{history.title}\n  fingerprint   {history.fingerprint} ({history.kind})"
    yield f"  seen          {quantity(history.times, 'time')} in {quantity(history.runs, 'run')}"
    for title, kernel in (("first", history.first), ("last", history.last)):
        if kernel:
            yield f"  {title:<13} {ago(kernel.began)} (run {kernel.run}), {_kernel(kernel)}"
    grid = rich.table.Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(justify="right")
    grid.add_column(overflow="fold")
    for name, times in history.tests:
        grid.add_row(f"{times}x", name or "while booting")
    yield grid
