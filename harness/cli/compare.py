# SPDX-License-Identifier: GPL-2.0-only
"""``harness compare``: what differs between two runs."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import rich.console

from harness import compare, errors, history, paths
from harness.cli.terminal import verdict_text
from harness.model import Change, ChangeKind, Comparison, Outcome
from harness.progress import Progress, clock
from harness.results import store
from harness.text import printable

_SHOWN = 20  # maximum number of lines of a kind; --json shows all
_ELSEWHERE = "name another folder with --out DIR"
_TITLES = {
    ChangeKind.REGRESSION: ("regression{s}", "red"),
    ChangeKind.SUSPECT: ("suspected regression{s}, not rerun on both kernels", "red"),
    ChangeKind.FIX: ("fixed", "green"),
    ChangeKind.FLAKY: ("flaky", "yellow"),
    ChangeKind.CHANGED: ("other change{s}", "yellow"),
    ChangeKind.NEW: ("new test{s}", "dim"),
    ChangeKind.GONE: ("test{s} gone", "yellow"),
}


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
        comparison = compare.compare(base, patched, options.reruns, folder, progress)
        with paths.writing(folder, _ELSEWHERE):
            store.save_comparison(folder, comparison)
        recording.finish(comparison.verdict)
    if options.json:
        print(json.dumps(store.comparison_table(comparison), indent=1))
    else:
        show(comparison)
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


def show(comparison: Comparison) -> None:
    """Print a comparison, with the worst changes first and the verdict last."""
    console = rich.console.Console(highlight=False, soft_wrap=True, markup=False)
    for kind, (title, colour) in _TITLES.items():
        changes = comparison.of(kind)
        _print_list(console, _counted(len(changes), title), colour, _change_lines(changes))
    splats = [f"{splat.title} [{splat.test}]" for splat in comparison.splats]
    gone = [splat.title for splat in comparison.healed]
    warnings = [f"{w.file}:{w.line}: {w.text}" for w in comparison.warnings]
    shifts = [
        f"{shift.what}: {_amount(shift.base, shift.unit)} -> {_amount(shift.patched, shift.unit)}"
        for shift in comparison.shifts
    ]
    for lines, title, colour in (
        (splats, "new splat{s}", "red"),
        (gone, "splat{s} gone", "green"),
        (warnings, "new warning{s}", "red"),
        (shifts, "change{s} in time or memory", "yellow"),
    ):
        _print_list(console, _counted(len(lines), title), colour, lines)
    if comparison.error:
        console.print(f"patched: {printable(comparison.error)}", style="red")
    console.print(_counted(comparison.same, "test{s} unchanged\n"))
    what = comparison.untestable or f"{comparison.patched} against {comparison.base}"
    console.print(verdict_text(comparison.verdict), printable(what))


def _counted(number: int, words: str) -> str:
    return f"{number} {words.format(s='' if number == 1 else 's')}"


def _change_lines(changes: Sequence[Change]) -> list[str]:
    """Return a line per test; if there are many, a line per bad test and counts by file."""
    if len(changes) <= _SHOWN:
        return list(map(_change_line, changes))
    bad = [change for change in changes if change.patched.bad]
    files = Counter(change.test.partition("::")[0] for change in changes if change not in bad)
    return [*map(_change_line, bad), *(f"{file}: {count}" for file, count in files.items())]


def _change_line(change: Change) -> str:
    outcomes = (change.base, change.patched)
    both = " -> ".join(
        "not there" if outcome is Outcome.NOTRUN else outcome for outcome in outcomes
    )
    if any(change.again):
        reruns = (" ".join(outcomes) or "could not be run" for outcomes in change.again)
        both += f" (again: {' -> '.join(reruns)})"
    return f"{change.test}: {both}{f'  {change.text}' if change.text else ''}"


def _amount(value: float, unit: str) -> str:
    return clock(value) if unit == "s" else f"{value:.0f} {unit}"


def _print_list(
    console: rich.console.Console, title: str, colour: str, lines: Sequence[str]
) -> None:
    if not lines:
        return
    console.print(f"{title}:", style=colour)
    for line in lines[:_SHOWN]:
        console.print(f"  {printable(line)}")
    if len(lines) > _SHOWN:
        console.print(f"  ... and {len(lines) - _SHOWN} more")
    console.print()
