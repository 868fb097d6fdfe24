# SPDX-License-Identifier: GPL-2.0-only
"""``harness show``: one run again, as it was shown when it ended."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rich.table
from rich.text import Text

from harness import errors, paths, serial
from harness.cli import compare as compared
from harness.cli import matrix, runs, summary
from harness.cli.formats import COMPARED
from harness.cli.history import Line, show, verdict
from harness.cli.parser import add_options
from harness.history.histories import RunRow, SideRow
from harness.model import Comparison, Outcome
from harness.progress import Progress, clock
from harness.publish import sentences
from harness.results import store
from harness.results.regression import settled

DESCRIPTION = """\
Show a run as it was shown when it ended, and say where things are.  A run whose folder
is gone, or that was killed, is shown from what the history knows of it."""

EXAMPLES = """\
examples:
  harness show last
  harness show 3fa9                 by the beginning of its id, see harness runs
  harness show ./out --json         by its folder
"""

NAMES = (store.RUN, store.CHECK, COMPARED, store.BISECTION)
_FILES = {
    "report.html": "page",
    "junit.xml": "junit",
    "check.json": "matrix",
    COMPARED: "compared",
    store.BISECTION: "bisected",
    "splats.txt": "splats",
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "show",
        help="show a run again",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "which", metavar="RUN", help='an id, the beginning of one, a folder, "last"'
    )
    add_options(parser, "show")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Show it: from its folder if that is whole, else from the history."""
    from harness.history import database, run_queries
    from harness.publish.html import run_page

    folder = paths.expanded(options.which).absolute()
    whole = folder.is_dir() and _whole(folder)
    with database.opened(options.db) as (connection, trouble):
        if trouble:
            progress.say(f"history: {trouble}")
        found = run_queries.named(connection, options.which)
        if not (found or whole) and run_page.is_unfinished(folder):
            raise errors.UsageError(
                f"the run in {options.which} did not come to its end, and is in no history here",
                hint=f"harness report {shlex.quote(options.which)}",
            )
        one = None if whole and not found else runs.only(found, options.which)
        sides = run_queries.sides(connection, one.id) if one else ()
    if one is None:  # never recorded, but there it is
        return _show(folder, options.json)
    if one.there and _whole(Path(one.folder)) and one.ended != "running":
        if not options.json:
            print(f"run {one.id}, {_when(one)}: {one.command}")
        return _show(Path(one.folder), options.json)
    if options.json:
        print(json.dumps({"run": serial.to_json(one), "sides": serial.to_json(sides)}, indent=1))
    else:
        show(_known(one, sides))
    return errors.GOOD


def _whole(folder: Path) -> bool:
    """Whether a folder holds what a run writes when it ends."""
    return any((folder / name).is_file() for name in NAMES)


def _show(folder: Path, as_json: bool) -> int:
    """Show what a folder holds as its verb did, or print its JSON."""
    name = next(name for name in NAMES if (folder / name).is_file())
    text = (folder / name).read_text(encoding="utf-8", errors="replace")
    if as_json:
        _read(folder / name, text)
        print(text)
        return errors.GOOD
    if name == store.RUN:
        # The folder may have been moved, say off a CI system.
        summary.show(dataclasses.replace(settled(store.load_run(folder)), folder=folder))
    elif name == store.BISECTION:
        print((folder / "bisect.txt").read_text(encoding="utf-8"), end="")
    elif name == store.CHECK:
        matrix.show(store.load_check(folder), folder)
    else:
        compared.show(_read(folder / name, text))
    for line in _places(folder):
        print(line)
    return errors.GOOD


def _read(file: Path, text: str) -> Any:
    """Read what a run wrote.  Raises UsageError when it is damaged."""
    if file.name == store.CHECK:
        return store.load_check(file.parent)
    if file.name == store.BISECTION:
        return store.load_bisection(file.parent)
    try:
        table = dict(json.loads(text))
        if file.name == COMPARED:  # an older harness wrote null for a test that was not there
            for test in table["tests"]:
                test |= {side: test[side] or Outcome.NOTRUN for side in ("base", "patched")}
            return serial.from_json(Comparison, table)
        return table
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        what = f"{file} is damaged: {store.why(error)}"
        raise errors.UsageError(what, hint=store.DAMAGED) from error


def _places(folder: Path) -> Iterator[str]:
    for name, what in _FILES.items():
        if (folder / name).is_file():
            yield f"{what:<9} {folder / name}"


def _when(one: RunRow) -> str:
    return time.strftime("%F %R", time.localtime(one.began))


def _known(one: RunRow, sides: tuple[SideRow, ...]) -> Iterator[Line]:
    """Say what the history knows of a run."""
    yield f"run {one.id} on {one.host}, {_when(one)}: {one.command}"
    grid = rich.table.Table(box=None, pad_edge=False, header_style="dim")
    for title in ("kernel", "release", "build", "boot", "tests"):
        grid.add_column(title, no_wrap=title != "tests")
    for side in sides:
        tests = ", ".join(f"{number} {outcome}" for outcome, number in side.counts.items())
        build = sentences.built(side.seconds, side.warnings, reused=side.reused)
        boot = sentences.booted(side.boots, cached=side.cached)
        grid.add_row(side.name, side.release, build, boot, tests or side.error or "none")
    if sides:
        yield grid
    bad = [(side, *failure) for side in sides[-1:] for failure in side.failures]
    if bad:
        yield f"\n{len(bad)} not good on the {bad[0][0].name} kernel:"
    for _, name, outcome, message in bad[:20]:
        yield f"  {outcome:<8} {name}  {message}"
    if len(bad) > 20:
        yield f"  ... and {len(bad) - 20} more: harness show {one.id} --json"
    word = verdict(one.ended, one.verdict)
    what = f" {one.series or one.source}{f' on {one.source}' if one.series and one.source else ''}"
    took = f" after {clock(one.seconds)}" if one.seconds is not None else ""
    word = Text(word.plain.upper(), style=f"bold {word.style}")
    yield (
        Text("\n").append_text(word).append(f"{what}{took}{f': {one.error}' if one.error else ''}")
    )
    yield f"evidence {runs.place(one)}"
