# SPDX-License-Identifier: GPL-2.0-only
"""``harness bisect``: which patch, commit or option made it fail."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from harness import cli, history, paths
from harness.bisect import BisectPlan, bisect, prober, report, signature
from harness.cli import bisecting
from harness.cli.parser import Commands, add_options, add_verb, parse
from harness.model import BisectMode, SearchStart
from harness.progress import Progress
from harness.results import store
from harness.text import one_line

DESCRIPTION = """\
Find what made a test fail, and prove it: the patch of a series (without --good), the
commit between --good and --bad, the options of a config, or the patches that only do
it together.  Behind -- stand the files that commits must touch, or a command whose
exit code is taken as `git bisect run` does.  Exit code 0 when one answer was found
and holds, 125 when what is left cannot be tested, 1 when the proof contradicts it."""

EXAMPLES = """\
examples:
  harness bisect --series patches/mine --test tests/guest/configfs/test_mount.py::test_x
  harness bisect --tree ~/linux --good v7.1 --bad v7.2 --test tests/test_nvme.py=timeout
  harness bisect --tree ~/linux --good v7.1 --bad HEAD --splat 'use-after-free' -- fs drivers/nvme
  harness bisect --tree ~/linux --good v7.2 --bad v7.1 --find-fix --boot
  harness bisect --tree ~/linux --good v7.1 --bad v7.2 --with-series --series my.mbox --test ID
  harness bisect --config-bad debug --test ID       which option of the fragment does it
  harness bisect --interaction --test ID            which patch needs which other
  harness bisect --tree . --good A --bad B -- ./mine.sh
  harness bisect --resume                           go on where it was stopped
"""


def add(commands: Commands) -> None:
    """Add the verb to the command line."""
    short = "find the patch, commit or option that made a test fail"
    parser = add_verb(commands, "bisect", short, DESCRIPTION, EXAMPLES, run)
    parser.add_argument(
        "words", nargs="*", metavar="SERIES | CONFIG_X=y", help="as harness run takes them"
    )
    _range(parser)
    _signature(parser)
    _trials(parser)
    add_options(parser, "bisect")


def _range(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where it is looked for")
    group.add_argument("--series", default="", metavar="SERIES", help="its patches are the range")
    group.add_argument(
        "--good", action="append", default=[], metavar="REF", help="a commit of --tree that works"
    )
    group.add_argument("--bad", default="", metavar="REF", help="one that does not")
    group.add_argument("--first-parent", action="store_true", help="follow first parents only")
    group.add_argument(
        "--with-series", action="store_true", help="the series on top of each commit"
    )
    group.add_argument("--find-fix", action="store_true", help="--bad is older: what made it good?")
    group.add_argument(
        "--config-good", default="", metavar="FILE|NAME", help="a .config or a fragment"
    )
    group.add_argument("--config-bad", default="", metavar="FILE|NAME", help="the same")
    group.add_argument(
        "--interaction", action="store_true", help="leave out patches, one and two at a time"
    )
    group.add_argument("--replay", default="", metavar="FILE", help="go on from a git bisect log")
    group.add_argument(
        "--resume", nargs="?", const="last", default="", metavar="DIR", help="go on (the last one)"
    )


def _signature(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what counts as bad")
    for kind in signature.KINDS:
        if kind.option and not kind.metavar:
            group.add_argument(kind.option, action="store_true", help=kind.help)
        elif kind.option:
            group.add_argument(kind.option, type=kind.convert, metavar=kind.metavar, help=kind.help)
    group.add_argument("--above", type=float, metavar="N", help="... it is above N")
    group.add_argument("--below", type=float, metavar="N", help="... it is below N")
    group.add_argument(
        "--no-build", action="store_true", help="-- CMD looks at the sources, needs no kernel"
    )
    group.add_argument(
        "--other",
        default="skip",
        choices=("skip", "good", "bad"),
        help="what another failure counts as (%(default)s)",
    )


def _trials(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("trials")
    group.add_argument(
        "--confidence",
        type=float,
        default=0.99,
        metavar="P",
        help="of each call, when the failure is flaky (%(default)s)",
    )
    group.add_argument(
        "--trials",
        type=int,
        default=10,
        metavar="N",
        help="runs of the bad end for it to fail at all (%(default)s)",
    )


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Bisect, and show what was found."""
    begun = None
    if options.resume:
        folder = paths.state("runs") if options.resume == "last" else Path(options.resume)
        place = prober.last_bisection(folder) if options.resume == "last" else folder.absolute()
        begun = prober.StateFile.load(place)
        options = _again(begun.begun, options)
    with paths.in_use():
        asked = bisecting.ask(options)
        _say(asked, progress)
        with history.recording(
            options.verb, options.command, progress.say, db=options.db, series=asked.run.series
        ) as recording:
            found = bisect(asked, progress, options.command, begun, recording.at)
            recording.finish(found.verdict)
    if options.json:
        print(json.dumps(store.bisection_table(found), indent=1))
    else:
        print(report.text(found), end="")
    return found.verdict.exit_code


def _say(asked: BisectPlan, progress: Progress) -> None:
    """Say what is going to be searched: the series may be the project's, and it takes long."""
    series = asked.run.series
    if asked.mode is BisectMode.SERIES and series is not None:
        many = len(series.patches)
        patches = f"{many} patch{'es' if many > 1 else ''}"
        name = one_line(series.title or series.name)
        progress.say(f"searching the {patches} of {name}: {asked.signature}")


def _again(begun: SearchStart, now: argparse.Namespace) -> argparse.Namespace:
    """Read the command line that a bisection was begun with, where it was typed."""
    os.chdir(begun.cwd)
    options = parse(cli.parser("bisect"), "bisect", begun.command[1:])
    options.command = begun.command
    options.json, options.quiet, options.verbose = now.json, now.quiet, now.verbose
    return options
