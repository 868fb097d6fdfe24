# SPDX-License-Identifier: GPL-2.0-only
"""``harness compare``: what differs between two runs."""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path

from harness import compare, history, paths
from harness.cli import differences
from harness.cli.parser import typed_plan
from harness.lab import folder as run_folder
from harness.progress import Progress
from harness.results import store


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Compare two runs, and show what differs."""
    base, patched = (
        compare.read(_folder(word, options.db)) for word in (options.base, options.patched)
    )
    uses = (base.folder, patched.folder)
    with (
        paths.in_use(),
        history.recording(
            options.verb, options.command, progress.say, db=options.db, uses=uses
        ) as recording,
    ):
        plan = typed_plan(options, ())
        run_folder.check(plan)
        started = datetime.datetime.now(datetime.UTC)
        folder = run_folder.make(plan, started, options.command, "compare")
        recording.at(folder)
        with run_folder.writing(folder):
            comparison = compare.compare(base, patched, options.reruns, folder, progress, plan)
            store.save_comparison(folder, comparison)
        recording.finish(comparison.verdict)
    if options.json:
        print(json.dumps(store.comparison_table(comparison), indent=1))
    else:
        differences.show(comparison)
        print(f"evidence {folder}")
    return comparison.verdict.exit_code


def _folder(word: Path, db: str) -> Path:
    """Return the folder of a run or a side: ``word`` is a path, a run's id or name, or "last"."""
    if word.exists() or len(word.parts) > 1:
        return word
    return history.find_folder(str(word), db=db)
