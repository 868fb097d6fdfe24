# SPDX-License-Identifier: GPL-2.0-only
"""``harness runs``: the runs there were."""

from __future__ import annotations

import argparse
import json
import time

import rich.table

from harness import errors
from harness.cli import tables
from harness.cli.clean import ago
from harness.cli.history import show, verdict
from harness.cli.parser import add_options
from harness.history.histories import RunRow
from harness.progress import Progress, clock
from harness.serial import to_json

DESCRIPTION = """\
List the runs that the history knows, the newest first: run, check, compare, bisect.
A run that is pinned keeps its folder and its kernels whatever `harness gc` removes."""

EXAMPLES = """\
examples:
  harness runs                 the last twenty
  harness runs -n 0 --bad      all that were bad
  harness runs --series configfs --json
  harness runs --pin 3fa9      keep a run (its id, or the beginning of it)
  harness runs --unpin 3fa9
"""

VERBS = ("run", "check", "compare", "bisect")  # those that are recorded


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "runs",
        help="the runs there were",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-n", "--last", type=int, default=20, metavar="N", help="how many, 0: all (%(default)s)"
    )
    parser.add_argument("--series", default="", metavar="WORDS", help="with this in the title")
    parser.add_argument("--verb", default="", choices=VERBS, help="only runs of this verb")
    parser.add_argument("--bad", action="store_true", help="only bad ones")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--pin", default="", metavar="RUN", help="keep this run from gc")
    group.add_argument("--unpin", default="", metavar="RUN", help="keep it no longer")
    add_options(parser, "runs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """List runs, or pin one."""
    from harness.history import database, run_queries

    word = options.pin or options.unpin
    found: tuple[RunRow, ...]
    with database.opened(options.db) as (connection, trouble):
        if trouble:
            progress.say(f"history: {trouble}")
        if word:
            found = (only(run_queries.named(connection, word), word),)
        else:
            fits = run_queries.matching(options.series, options.verb, bad=options.bad)
            found = run_queries.runs(connection, fits, max(0, options.last) or None)
    if word:
        found = (database.pin(options.db, found[0].id, pinned=bool(options.pin)),)
    if options.json:
        print(json.dumps({"runs": to_json(found)}, indent=1))
    elif not found:
        asked = options.series or options.verb or options.bad
        print("no such runs" if asked else "no runs yet; `harness run` makes one")
    else:
        show([table(found)])
    return errors.GOOD


def only(found: tuple[RunRow, ...], word: str) -> RunRow:
    """Give the one run that a word means.  Raises UsageError for none or several."""
    if len(found) == 1:
        return found[0]
    if not found:
        raise errors.UsageError(
            f"the history knows no run {word!r}", hint="`harness runs` lists them"
        )
    lines = (
        f"  {one.id}  {time.strftime('%F %R', time.localtime(one.began))}  {one.series or one.verb}"
        for one in found
    )
    raise errors.UsageError(
        f"{word!r} is the beginning of {len(found)} runs",
        hint="type more of its id",
        details="\n".join(lines),
    )


def table(found: tuple[RunRow, ...]) -> rich.table.Table:
    """Make a row for each run."""
    titles = ("run", "when", "verb", "verdict", "series", "kernel", "tests", "took", "folder")
    rows: list[tuple[tables.Cell, ...]] = []
    for one in found:
        revision = f"v{one.version} {one.series}" if one.series else ""
        took = "" if one.seconds is None else clock(one.seconds)
        kernel = one.release or one.source.partition(" ")[0]
        which = (one.id, ago(one.began), one.verb, verdict(one.ended, one.verdict))
        rows.append((*which, revision, kernel, tally(one), took, _place(one)))
    spare = ("folder", "kernel", "verb", "took")
    return tables.table(titles, rows, {"series": 24, "tests": 16}, spare)


def _place(one: RunRow) -> str:
    if one.pinned:
        return "pinned" if one.there else "pinned, gone"
    return "there" if one.there else "gone" if one.folder else "none"


def tally(one: RunRow) -> str:
    """Write the outcomes of the kernel a run judged."""
    return ", ".join(f"{number} {outcome}" for outcome, number in one.counts.items())


def place(one: RunRow) -> str:
    """Say where a run's folder is, or that it is gone, and whether it is pinned."""
    words = one.folder if one.there else f"gone ({one.folder})" if one.folder else "none"
    return f"{words} (pinned)" if one.pinned else words
