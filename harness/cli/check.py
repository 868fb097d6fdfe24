# SPDX-License-Identifier: GPL-2.0-only
"""``harness check``: a series, patch by patch, before it is merged."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
from pathlib import Path

from harness import check, errors, git, history, paths, settings
from harness.check import CheckRequest, checks, commits, report
from harness.cli import formats
from harness.cli import matrix as shown
from harness.cli.parser import add_options, typed_plan
from harness.lab import plan
from harness.model import Matrix, Plan, Series
from harness.progress import Progress
from harness.results import store

MOST = 50  # tests that are run before all others

DESCRIPTION = """\
Look at each patch of a series, and at the whole: its mail, the tree's own scripts,
does it build with W=1 and without new warnings, does it boot and pass the suites.
A table says what is wrong where, in which patch a problem enters and in which it
goes away.  Exit code 0 good, 1 bad (an error; with --strict a warning), 125 when
it does not apply."""

EXAMPLES = """\
examples:
  harness check patches/configfs-ns            a series, on its kernel
  harness check --only mail,scripts my.mbox    quick: nothing is built
  harness check HEAD                           one commit of the tree you are in
  harness check v7.2..topic --tree ~/linux     some of them
  git rebase -i --exec 'harness check HEAD' v7.2
  harness check patches/v3 --previous patches/v2
  harness check --b4 --only mail,scripts       for b4, which pipes a patch in:
    git config b4.review-perpatch-check-cmd 'harness check --b4 --only mail,scripts'
    git config b4.review-series-check-cmd 'harness check --b4 --only build,tests'
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    names = "\n".join(
        f"  {entry.name:<12} {entry.help}{'' if entry.default else ' (when asked for)'}"
        for entry in checks.CHECKS
    )
    groups = "\n".join(f"  {name:<12} {' '.join(some)}" for name, some in checks.groups().items())
    parser = commands.add_parser(
        "check",
        help="check a series patch by patch, before it is merged",
        description=DESCRIPTION,
        epilog=f"checks:\n{names}\n\ngroups of them:\n{groups}\n\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="SERIES | COMMITS | CONFIG_X=y",
        help="a folder, mbox or name below patches/; a commit or A..B; - is standard input",
    )
    group = parser.add_argument_group("what is checked")
    group.add_argument(
        "--only", action="append", default=[], metavar="CHECK,...", help="these checks or groups"
    )
    group.add_argument("--skip", action="append", default=[], metavar="CHECK,...", help="not these")
    for entry in checks.CHECKS:
        if not entry.default:
            group.add_argument(f"--{entry.name}", action="store_true", help=entry.help)
    group.add_argument("--strict", action="store_true", help="a warning is bad too")
    group.add_argument(
        "--previous", default="", metavar="SERIES", help="the revision before, for git range-diff"
    )
    group.add_argument("--b4", action="store_true", help="speak b4's check-command protocol")
    add_options(parser, "check")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Check and show what was found."""
    if options.no_series or options.patched_only:
        raise errors.UsageError(
            "a check is of a series against its base", hint="harness run takes a kernel as it is"
        )
    by_name = [entry.name for entry in checks.CHECKS if not entry.default]
    more = [name for name in by_name if getattr(options, name)]
    wanted = checks.choose(options.only, options.skip, more)
    request = CheckRequest(wanted, trust=options.trust, strict=options.strict)
    if options.b4:
        progress.quiet, progress.live = True, False
    with contextlib.ExitStack() as stack:
        stack.enter_context(paths.in_use())
        if options.b4 and not options.out:  # b4 keeps what it is told; nobody looks for a folder
            options.out = stack.enter_context(paths.scratch(paths.cache() / "b4")) / "check"
        made, request = _plan(options, request)
        if options.previous:
            before = plan.find_series(options.previous, settings.load(Path.cwd()))
            request = dataclasses.replace(request, previous=before)
        if request.wants("tests"):
            failed = _failed(request.previous or made.series, options.db, progress)
            request = dataclasses.replace(request, first=failed)
        recording = stack.enter_context(
            history.recording(
                options.verb, options.command, progress.say, db=options.db, series=made.series
            )
        )
        found, place = check.check(made, request, progress, options.command, recording.at)
        report.write(found, place)
        recording.finish(found.verdict, error=found.trouble)
    _show(options, found, place)
    if not options.b4:
        formats.in_ci(place)
    return found.verdict.exit_code


def _show(options: argparse.Namespace, found: Matrix, place: Path) -> None:
    if options.b4:
        print(json.dumps(report.b4(found), indent=1))
    elif options.json:
        print(json.dumps(store.check_table(found), indent=1))
    else:
        shown.show(found, place)


def _plan(options: argparse.Namespace, request: CheckRequest) -> tuple[Plan, CheckRequest]:
    """Find out what is to be checked: mails, a pipe, or commits."""
    there = settings.load(Path.cwd())
    typed = typed_plan(options)
    if options.b4 and not typed.series_words:  # b4 says nothing, and pipes a patch in
        typed = dataclasses.replace(typed, series_words=("-",))
    piped = "-" in typed.series_words
    own = True  # commits of one's own tree are trusted
    try:
        made = plan.complete(typed, there)
    except errors.SeriesError:  # b4 pipes the cover letter in to have the whole series checked
        span = commits.reviewed_by_b4(Path(os.environ.get("B4_TRACKING_FILE", "")))
        if not (options.b4 and span):
            raise
        own = piped = False  # b4 made them of somebody's mails
        series = tuple(span if word == "-" else word for word in typed.series_words)
        made = plan.complete(dataclasses.replace(typed, series_words=series), there)
    if made.series is not None:
        request = request.of_commits(made.series, trust=own or options.trust)
    if piped:
        made = _on_head(made, typed)
    return _with_fragments(made), request


def _failed(series: Series | None, db: str, progress: Progress) -> tuple[str, ...]:
    """Give what failed when this series, or the revision before, was last tested."""
    try:
        return history.last_failures(series, db=db)[:MOST] if series else ()
    except errors.HarnessError as error:  # no reason not to check
        progress.say(f"what failed before is not known: {error.what}")
        return ()


def _on_head(made: Plan, typed: Plan) -> Plan:
    """A mail from a pipe is for the tree we are in, unless something else was named."""
    if typed.kernel or typed.tree or made.tree:
        return made
    return dataclasses.replace(made, tree=git.top_of(Path.cwd()) or Path.cwd(), kernel="")


def _with_fragments(made: Plan) -> Plan:
    """Without any fragment a kernel does not boot."""
    return made if made.fragments else dataclasses.replace(made, fragments=("base",))
