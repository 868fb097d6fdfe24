# SPDX-License-Identifier: GPL-2.0-only
"""``harness run``: the main job."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from harness import errors, history, paths, settings, vmcore
from harness.cli import formats, summary
from harness.cli.parser import add_options, typed_plan
from harness.lab import plan
from harness.model import Plan
from harness.progress import Progress
from harness.results import store
from harness.run import run

DESCRIPTION = """\
Apply a series to a kernel, build both, boot both, run the suites in their guests,
and say what the series changed.  Exit code 1 when the series breaks a test, adds a
splat or a compiler warning, or keeps the kernel from building or booting; 0 otherwise.
A test that also fails on the base is listed, and is bad only with --strict.  Without a
base (--patched-only, --no-series) every failure is bad."""

EXAMPLES = """\
examples:
  harness run                                   the default series on its kernel
  harness run patches/configfs-ns --kernel 7.2  the newest Linux 7.2.x there is
  harness run my.mbox --tree ~/linux --base v7.1
  harness run --kconfig debug CONFIG_KASAN_INLINE=n
  harness run --suite tests/guest/nvmet -k tcp -- -x --lf
  git bisect run harness run --no-series --tree . --suite tests/guest/nvmet
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "run",
        help="test a series: apply, build, boot, run the suites",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="SERIES | CONFIG_X=y",
        help="the series: a folder, mbox, maildir, -, A..B, message id or a name below patches/;"
        " or config options",
    )
    add_options(parser, "run")
    parser.set_defaults(run=run_verb)


def make_plan(typed: Plan) -> Plan:
    """Complete the plan with the series and the project's settings.

    Raises UsageError for a series that would run its own programs here and is not trusted.
    """
    return plan.trusted(plan.complete(typed, settings.load(Path.cwd())))


def run_verb(options: argparse.Namespace, progress: Progress) -> int:
    """Do the main job and show what it found."""
    if options.hold and not options.hold_for:
        if not sys.stdin.isatty() or options.json:
            raise errors.UsageError("--hold needs a terminal", hint="--hold-for SECONDS does not")
        progress.live = False  # the terminal is the guest's now and then
    with paths.in_use():
        planned = make_plan(typed_plan(options))
        for note in planned.notes:
            progress.say(note)
        with history.recording(
            options.verb, options.command, progress.say, db=options.db, series=planned.series
        ) as recording:
            found = run(planned, progress, options.command, recording.at)
            recording.finish(found.verdict, found)
    if options.json:
        more = {"exit_code": found.verdict.exit_code, "cpu_seconds": _cpu()}
        table = {**store.run_table(found), **more}
        print(json.dumps(table, indent=1))
    else:
        summary.show(found)
        for side in found.sides:
            for line in vmcore.heads(found.folder / side.side / "guests"):
                print(line)
    formats.in_ci(found.folder)
    return found.verdict.exit_code


def _cpu() -> dict[str, float]:
    """Say what this process itself used, and what its children did, in CPU seconds."""
    times = os.times()
    return {
        "own": times.user + times.system,
        "children": times.children_user + times.children_system,
    }
