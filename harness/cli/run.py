# SPDX-License-Identifier: GPL-2.0-only
"""``harness run``: test a series."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from harness import errors, history, paths, settings, vmcore
from harness.cli import ci, run_summary
from harness.cli.parser import typed_plan
from harness.lab import plan
from harness.model import Plan
from harness.progress import Progress
from harness.results import store
from harness.run import run


def make_plan(typed: Plan) -> Plan:
    """Complete a plan with the series and the project's settings.

    Raises UsageError if the series would run its own programs here without --trust.
    """
    return plan.trusted(plan.complete(typed, settings.load(Path.cwd())))


def run_verb(options: argparse.Namespace, progress: Progress) -> int:
    """Test the series, and show the results."""
    if options.hold and not options.hold_for:
        if not sys.stdin.isatty() or options.json:
            raise errors.UsageError(
                "--hold needs a terminal", hint="--hold-for SECONDS, which needs none"
            )
        progress.live = False  # a held guest uses the terminal
    with paths.in_use():
        planned = make_plan(typed_plan(options))
        for note in planned.notes:
            progress.say(note)
        with history.recording(
            options.verb, options.command, progress.say, db=options.db, series=planned.series
        ) as recording:
            result = run(planned, progress, options.command, recording.at)
            recording.finish(result.verdict, result)
    if options.json:
        more = {"exit_code": result.verdict.exit_code, "cpu_seconds": _cpu_seconds()}
        print(json.dumps({**store.run_table(result), **more}, indent=1))
    else:
        run_summary.show(result)
        for side in result.sides:
            for line in vmcore.heads(result.folder / side.side / "guests"):
                print(line)
    ci.tell(result.folder)
    return result.verdict.exit_code


def _cpu_seconds() -> dict[str, float]:
    """Return the CPU time of this process and of its children."""
    times = os.times()
    return {
        "own": times.user + times.system,
        "children": times.children_user + times.children_system,
    }
