# SPDX-License-Identifier: GPL-2.0-only
"""``harness mutate``: break each line that a series adds, and see whether a test notices."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from pathlib import Path

from harness import errors, history, paths, settings
from harness.cli.parser import typed_plan
from harness.lab import folder, plan
from harness.lab.plan import require_suites
from harness.mutate import report
from harness.mutate.engine import mutate
from harness.mutate.kinds import KINDS, kind_named
from harness.mutate.prepare import MutationPlan
from harness.progress import Progress
from harness.results import store


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Try mutants, and show the score."""
    earlier, command = None, options.command
    with paths.in_use():
        if options.resume:
            earlier = store.load_mutation(
                folder.to_resume(options.resume, store.MUTATION, "mutation")
            )
            command = earlier.command
            planned = _with_budget(MutationPlan.load(earlier.folder), options)
            os.chdir(planned.run.folder)
        else:
            planned = mutation_plan(options)
        series = planned.run.series
        with history.recording(
            options.verb, command, progress.say, db=planned.run.db, series=series
        ) as recording:
            result = mutate(planned, progress, command, earlier, recording.at)
            recording.finish(result.verdict)
    if options.json:
        print(json.dumps(store.mutation_table(result), indent=1))
    else:
        print(report.text(result), end="")
    return result.verdict.exit_code


def mutation_plan(options: argparse.Namespace) -> MutationPlan:
    """Return the mutation that the command line requests.  Raises UsageError."""
    if options.no_series:
        raise errors.UsageError("a mutation needs a series", hint="harness mutate SERIES")
    for name in options.only:
        if kind_named(name) is None:
            known = ", ".join(kind.name for kind in KINDS)
            raise errors.UsageError(f"there is no kind of mutant {name!r}", hint=known)
    planned = plan.trusted(plan.complete(typed_plan(options), settings.load(Path.cwd())))
    require_suites(planned)
    counted = history.find_folder(options.run, db=planned.db) if options.run else None
    word = options.again
    survivors = folder.to_resume(word, store.MUTATION, "mutation") if word else None
    wanted = MutationPlan(planned, kinds=tuple(options.only), run_folder=counted, again=survivors)
    return _with_budget(wanted, options)


def _with_budget(planned: MutationPlan, options: argparse.Namespace) -> MutationPlan:
    """Return the plan with the budget of the command line; --resume has a new one."""
    if not 0 <= options.at_least <= 100:
        raise errors.UsageError("--at-least is a percentage", hint="--at-least 90")
    if options.minutes < 0:
        raise errors.UsageError("--minutes cannot be negative", hint="--minutes 30")
    if options.seconds_each < 0:
        raise errors.UsageError("--seconds-each cannot be negative", hint="--seconds-each 120")
    return dataclasses.replace(
        planned,
        seed=planned.seed if options.resume else options.seed,
        minutes=options.minutes,
        most=options.most,
        seconds=options.seconds_each or planned.seconds,
        separate=options.separate or planned.separate,
        at_least=options.at_least or planned.at_least,
    )
