# SPDX-License-Identifier: GPL-2.0-only
"""``harness doctor`` and ``harness setup``: show what this machine lacks, and install it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
from collections.abc import Iterable, Sequence

import rich.console
import rich.markup
import rich.table

from harness import doctor, errors
from harness.doctor import NeedCheck, NeedLevel, NeedState
from harness.progress import Progress

_MARKS = {
    NeedState.OK: "[green]✓[/]",
    NeedState.OLD: "[yellow]old[/]",
    NeedState.MISSING: "[red]✗[/]",
}


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Examine the machine, and show the results."""
    with progress.stage("doctor", "examining this machine"):
        checks = doctor.examine()
    wanted = [check for check in checks if check.level is not NeedLevel.EXTRA]
    command = doctor.install_command(wanted)
    if options.json:
        print(json.dumps(_doctor_table(checks, command), indent=2))
    else:
        console = rich.console.Console(highlight=False)
        console.print(_grid(check for check in checks if options.all or _is_shown(check)))
        console.print(_advice(wanted, command), markup=False, soft_wrap=True)
    return errors.HOST_FAULT if any(check.bad for check in checks) else errors.GOOD


def _is_shown(check: NeedCheck) -> bool:
    """Whether to show a check without --all: not if it is missing and only some options need it."""
    extra = check.level is NeedLevel.EXTRA
    return not extra or check.state is NeedState.OK or bool(check.note)


def _grid(checks: Iterable[NeedCheck]) -> rich.table.Table:
    grid = rich.table.Table(box=None, pad_edge=False, header_style="dim")
    for title in ("", "what", "for", "found", "needs", ""):
        grid.add_column(title, no_wrap=title != "")
    for check in checks:
        least = f">= {check.minimum}" if check.minimum else ""
        cells = (check.what, check.stage, check.found or "-", least, check.note or check.why)
        grid.add_row(_MARKS[check.state], *map(rich.markup.escape, cells))
    return grid


def _advice(checks: Sequence[NeedCheck], command: tuple[str, ...]) -> str:
    """Describe what is missing, and what to do about it."""
    bad = [check.what for check in checks if check.bad]
    lines = [
        "",
        f"missing: {', '.join(bad)}" if bad else "Everything that harness run needs is present.",
    ]
    if command:
        lines.append(f"harness setup installs what is missing, or run: {shlex.join(command)}")
    lines += [f"{check.what}: {check.note}" for check in checks if check.bad and check.note]
    return "\n".join(lines)


def _doctor_table(checks: Sequence[NeedCheck], command: tuple[str, ...]) -> dict[str, object]:
    """Return the JSON; ``packages`` are named as in this machine's package manager."""
    installer = doctor.installer()
    rows = []
    for check in checks:
        packages = list(check.packages.of(installer.name)) if installer else []
        rows.append({**dataclasses.asdict(check), "packages": packages})
    good = not any(check.bad for check in checks)
    return {"good": good, "checks": rows, "install": list(command)}


def run_setup(options: argparse.Namespace, progress: Progress) -> int:
    """Install what is missing, then examine the machine again to decide the exit code."""
    names = frozenset(options.names)
    before = _examined(names)
    command = doctor.install_command(before)
    if command and not options.yes:
        _confirm(command)
    if doctor.missing(before):
        _install(before, progress)
    lacking = [check for check in _examined(names) if check.state is not NeedState.OK]
    if options.json:
        still = [check.what for check in lacking]
        installed = [check.what for check in doctor.missing(before) if check.what not in still]
        print(json.dumps({"installed": installed, "missing": still}))
    else:
        print("Nothing is missing." if not lacking else "\n".join(map(_lacking_line, lacking)))
    bad = any(check.bad or check.what in names for check in lacking)
    return errors.HOST_FAULT if bad else errors.GOOD


def _examined(names: frozenset[str]) -> tuple[NeedCheck, ...]:
    """Examine everything that is required, recommended or in ``names``."""
    unknown = names - {need.what for need in doctor.NEEDS}
    if unknown:
        raise errors.UsageError(
            f"unknown name: {', '.join(sorted(unknown))}",
            hint="harness doctor --all for the names",
        )
    needs = [n for n in doctor.NEEDS if n.level is not NeedLevel.EXTRA or n.what in names]
    return doctor.examine(tuple(needs))


def _install(checks: tuple[NeedCheck, ...], progress: Progress) -> None:
    """Install everything; if that fails (a package may not exist), only what is required."""
    try:
        doctor.install(checks, progress)
    except errors.HostFault:
        required = tuple(check for check in checks if check.bad)
        if not required or len(required) == len(doctor.missing(checks)):
            raise
        progress.say("trying again with only what is required")
        doctor.install(required, progress)


def _confirm(command: tuple[str, ...]) -> None:
    """Ask before running the command.  Raises UsageError on "no", and if there is no terminal."""
    if not sys.stdin.isatty():
        raise errors.UsageError(
            "cannot ask for confirmation without a terminal",
            hint=f"harness setup --yes, or run: {shlex.join(command)}",
        )
    print(shlex.join(command), file=sys.stderr)
    print("Run this? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise errors.UsageError("nothing was installed", hint=shlex.join(command))


def _lacking_line(check: NeedCheck) -> str:
    state = f"found {check.found}, needs {check.minimum}" if check.found else "missing"
    return f"{check.what} ({check.level}): {state}; {check.note or check.why}"
