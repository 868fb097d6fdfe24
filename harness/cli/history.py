# SPDX-License-Identifier: GPL-2.0-only
"""``harness history``: how a test, a series or a splat did from run to run."""

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
from harness.cli.parser import Commands, add_options, add_verb
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

DESCRIPTION = """\
Show how a test, a series or a splat did from run to run: when a test first failed and
last passed, how often it fails by chance, how its time changes; the revisions of a
series and what failed with each; where a splat was seen.  A name that could mean
several things lists them."""

EXAMPLES = """\
examples:
  harness history test_mount.py::test_rmdir        a test, by a part of its name
  harness history namespace-aware configfs         a series, by its title
  harness history "WARNING in configfs_rmdir"      a splat, by its title or fingerprint
  harness history --kind test configfs             all tests with that in their names
  harness history --on base test_rmdir --json      only what base kernels did, for a script
"""

if typing.TYPE_CHECKING:
    from sqlalchemy import Connection

_Found = TestHistory | SeriesHistory | SplatHistory

_MARKS = {
    Outcome.PASS: ".",
    Outcome.SKIP: "s",
    Outcome.XFAIL: "x",
    Outcome.NOTRUN: "-",
    Outcome.FLAKY: "~",
}


def add(commands: Commands) -> None:
    """Add the verb to the command line."""
    short = "show how a test, a series or a splat did so far"
    parser = add_verb(commands, "history", short, DESCRIPTION, EXAMPLES, run)
    parser.add_argument("words", nargs="+", metavar="TEST|SERIES|SPLAT", help="what to look for")
    parser.add_argument(
        "--kind", default="", choices=("test", "series", "splat"), help="only these"
    )
    parser.add_argument("--on", default="", choices=("base", "patched"), help="only these kernels")
    parser.add_argument(
        "-n", "--last", type=int, default=20, metavar="N", help="results to show (%(default)s)"
    )
    add_options(parser, "history")


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Look a name up, and show its history.  Raises UsageError for an unknown name."""
    from harness.history import database, queries

    words = " ".join(options.words)
    with database.opened(options.db) as (connection, trouble):
        if trouble:
            progress.say(f"history: {trouble}")
        matches = queries.find(connection, words, options.kind)
        if not matches:
            raise _nothing(words)
        found = _about(connection, matches[0], options) if len(matches) == 1 else None
    if options.json:
        kind = matches[0].kind if found else "matches"
        print(json.dumps({kind: _table(found) if found else to_json(matches)}, indent=1))
        return errors.GOOD
    terminal.show(_lines(found) if found else _matches(words, matches))
    return errors.GOOD


def _about(connection: Connection, only: Match, options: argparse.Namespace) -> _Found:
    from harness.history import queries, run_queries

    last = max(1, options.last)
    found: _Found | None
    if only.kind == "test":
        found = queries.of_test(connection, only.word, last, options.on)
    elif only.kind == "series":
        found = run_queries.of_series(connection, only.word)
    else:
        found = queries.of_splat(connection, only.word, last)
    if found is None:
        raise _nothing(f"{only.word}{f' on {options.on} kernels' if options.on else ''}")
    return found


def _lines(found: _Found) -> Iterator[Line]:
    match found:
        case TestHistory():
            return _test(found)
        case SeriesHistory():
            return _series(found)
        case SplatHistory():
            return _splat(found)


def _nothing(words: str) -> errors.UsageError:
    return errors.UsageError(
        f"the history knows no test, series or splat {words!r}",
        hint="a part of the name will do; `harness runs` shows what there is",
    )


def _table(found: _Found) -> dict[str, object]:
    """Return the JSON; its keys are the outcomes' names."""
    table: dict[str, object] = to_json(found)
    if isinstance(found, TestHistory):
        table["counts"] = {outcome.value: many for outcome, many in found.counts.items()}
        table["flakes"] = {**to_json(found.flakes), "rate": found.flakes.rate}
    return table


def _matches(words: str, matches: tuple[Match, ...]) -> Iterator[Line]:
    yield f"{words!r} could mean {len(matches)} things; name one of them:"
    for one in matches:
        yield f"  {one.kind:<6}  {one.word}  ({one.note}, last {ago(one.last)})"


def _test(found: TestHistory) -> Iterator[Line]:
    yield found.id
    counts = ", ".join(f"{many} {outcome}" for outcome, many in found.counts.items())
    yield f"  {quantity(found.runs, 'run')} since {_when(found.first)}: {counts}"
    spots = (found.first_failed, found.last_failed, found.last_passed)
    for title, seen in zip(("first failed", "last failed", "last passed"), spots, strict=True):
        yield f"  {title:<13} {_when(seen) + ', ' + _where(seen.where) if seen else 'never'}"
    if found.last_failed and found.last_failed.message:
        yield f"  it said       {found.last_failed.message}"
    chance = found.flakes
    if chance.runs:
        sure = f"{100 * chance.rate:.0f} %; {_share(chance.low, chance.high)} at 95 % confidence"
        runs = quantity(chance.runs, "run")
        yield f"  by chance     bad in {chance.bad} of {runs} on kernels that can pass it ({sure})"
    times = found.trend
    if times.times:
        line = times.sparkline(ascii_only=not _draws())
        change = f", lately {100 * times.change:+.0f} %" if times.change else ""
        span = f"{_time(times.low)} to {_time(times.high)}, median {_time(times.median)}"
        yield f"  time          {line}  {span} in {len(times.times)} passes{change}"
    yield ""
    yield _seen(found.seen)


def _share(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.0f}ms" if seconds < 1 else clock(seconds)


def _draws() -> bool:
    return "utf" in (sys.stdout.encoding or "").lower()


def _seen(seen: tuple[PastResult, ...]) -> rich.table.Table:
    titles = ("run", "when", "kernel", "series", "outcome", "time", "said")
    rows: list[tuple[TableCell, ...]] = []
    for one in seen:
        outcome = Text(one.outcome, style=terminal.OUTCOME_COLOURS.get(one.outcome, "red"))
        if len(one.attempts) > 1:
            outcome.append(f" ({''.join(_MARKS.get(word, 'F') for word in one.attempts)})", "dim")
        place = one.where
        where = (place.run, ago(one.at), f"{place.side} {place.release}", _revision(place))
        rows.append((*where, outcome, _time(one.seconds), one.message))
    return terminal.table(titles, rows, {"series": 16, "said": 24}, ("series", "time", "kernel"))


def _when(seen: PastResult) -> str:
    return f"{ago(seen.at)} (run {seen.where.run})"


def _where(place: KernelInRun) -> str:
    """Name a kernel by its side, release, revision of the series, source and commit."""
    words = [f"{place.side} {place.release}".strip(), _revision(place), place.source]
    if place.commit:
        words.append(f"commit {place.commit[:12]}")
    return ", ".join(filter(None, words))


def _revision(place: KernelInRun) -> str:
    if not place.series or place.side == "base":
        return ""
    patch = f" patch {place.patch}" if place.patch else ""
    return f"v{place.version} {place.series}{patch}"


def _series(found: SeriesHistory) -> Iterator[Line]:
    yield f"{found.title}{f' ({found.link})' if found.link else ''}"
    titles = ("revision", "digest", "runs", "first", "last", "verdict", "tests")
    rows: list[tuple[TableCell, ...]] = []
    for one in found.revisions:
        last = one.last
        counts = ", ".join(f"{many} {outcome}" for outcome, many in last.counts.items())
        words = (f"v{one.version}", one.digest[:12], str(one.runs), ago(one.first))
        word = ended_text(last.ended, last.verdict)
        rows.append((*words, f"{ago(last.began)} ({last.id})", word, counts))
    yield terminal.table(titles, rows, {"tests": 12}, ("first", "digest", "runs"))
    if found.failures:
        yield "\nwhat failed with any revision (its last outcome with each):"
        yield from _failures(found)


def _failures(found: SeriesHistory) -> Iterator[Line]:
    revisions = list(enumerate(found.revisions))
    ran = [(n, one) for n, one in revisions if any(all_[n] for _, all_ in found.failures)]
    names = [f"v{one.version} {one.digest[:6]}" for _, one in ran]
    rows: list[tuple[TableCell, ...]] = [
        (*(_outcome(all_[n]) for n, _ in ran), name) for name, all_ in found.failures
    ]
    # Without room for all revisions the oldest is left out first.
    grid = terminal.table([*names, "test"], rows, {"test": 40}, names[:-1], whole=["test"])
    yield grid
    if gone := len(names) + 1 - len(grid.columns):
        yield f"no room for {quantity(gone, 'older revision')}: --json has all"


def _outcome(outcome: Outcome | None) -> Text:
    return Text(outcome, style=terminal.OUTCOME_COLOURS.get(outcome, "red")) if outcome else Text()


def _splat(found: SplatHistory) -> Iterator[Line]:
    yield f"{found.title}\n  fingerprint   {found.fingerprint} ({found.kind})"
    yield f"  seen          {quantity(found.times, 'time')} in {quantity(found.runs, 'run')}"
    for title, place in (("first", found.first), ("last", found.last)):
        if place:
            yield f"  {title:<13} {ago(place.began)} (run {place.run}), {_where(place)}"
    grid = rich.table.Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(justify="right")
    grid.add_column(overflow="fold")
    for name, times in found.tests:
        grid.add_row(f"{times}x", name or "while booting")
    yield grid
