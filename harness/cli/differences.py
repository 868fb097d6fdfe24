# SPDX-License-Identifier: GPL-2.0-only
"""What differs between two runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import rich.console

from harness.cli.terminal import verdict_text
from harness.model import Change, ChangeKind, Comparison, Outcome
from harness.progress import clock
from harness.text import printable

_SHOWN = 20  # maximum number of lines of a kind; --json shows all
_TITLES = {
    ChangeKind.REGRESSION: ("regression{s}", "red"),
    ChangeKind.SUSPECT: ("suspected regression{s}, not rerun on both kernels", "red"),
    ChangeKind.FIX: ("fixed", "green"),
    ChangeKind.FLAKY: ("flaky", "yellow"),
    ChangeKind.CHANGED: ("other change{s}", "yellow"),
    ChangeKind.NEW: ("new test{s}", "dim"),
    ChangeKind.GONE: ("test{s} gone", "yellow"),
}


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
