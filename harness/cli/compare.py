# SPDX-License-Identifier: GPL-2.0-only
"""``harness compare``: what differs between two runs."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from harness import compare, errors, history, paths
from harness.cli import differences
from harness.cli.parser import typed_plan
from harness.progress import Progress
from harness.results import store

_ELSEWHERE = "name another folder with --out DIR"


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
        folder = _evidence_folder(options.out)
        recording.at(folder)
        comparison = compare.compare(
            base, patched, options.reruns, folder, progress, typed_plan(options, ())
        )
        with paths.writing(folder, _ELSEWHERE):
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


def _evidence_folder(out: Path | None) -> Path:
    """Create the folder for the logs; it must not contain another comparison."""
    if not out:
        runs = paths.state("runs")
        return Path(tempfile.mkdtemp(prefix=f"{time.strftime('%Y%m%d-%H%M%S')}-compare-", dir=runs))
    folder = out.absolute()
    with paths.writing(folder, _ELSEWHERE):
        folder.mkdir(parents=True, exist_ok=True)
    if (folder / store.COMPARISON).exists():
        raise errors.HostFault(f"{folder} already holds a comparison", hint=_ELSEWHERE)
    return folder
