# SPDX-License-Identifier: GPL-2.0-only
"""``harness doctor``: what is there, what is missing, and the one command that installs it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
from collections.abc import Iterable

import rich.console
import rich.markup
import rich.table

from harness import doctor, errors
from harness.progress import Progress

DESCRIPTION = """\
Examine the machine: which programs, headers and rights are there, which are
missing or too old, and the one command that installs them.  Changes nothing.
Exit code 0 when the main job can work, 128 when something it needs is missing."""

EXAMPLES = """\
examples:
  harness doctor             what is here and what is missing
  harness doctor --all       with what only some options need
  harness doctor --json      the same for a script
"""

MARKS = {
    doctor.NeedState.OK: "[green]✓[/]",
    doctor.NeedState.OLD: "[yellow]old[/]",
    doctor.NeedState.MISSING: "[red]✗[/]",
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="say what this machine lacks",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--all", action="store_true", help="also show what only some options need and is missing"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Examine and show."""
    with progress.stage("doctor", "examining this machine"):
        checks = doctor.examine()
    wanted = [one for one in checks if one.level is not doctor.NeedLevel.EXTRA]
    command = doctor.install_command(wanted)
    if options.json:
        print(json.dumps(as_json(checks, command), indent=2))
    else:
        console = rich.console.Console(highlight=False)
        console.print(table(one for one in checks if options.all or shown(one)))
        console.print(verdict(wanted, command), markup=False, soft_wrap=True)
    return errors.HOST_FAULT if any(one.bad for one in checks) else errors.GOOD


def shown(one: doctor.NeedCheck) -> bool:
    """Whether to show it unasked: what only some options need is shown when it is there."""
    return (
        one.level is not doctor.NeedLevel.EXTRA
        or one.state is doctor.NeedState.OK
        or bool(one.note)
    )


def table(checks: Iterable[doctor.NeedCheck]) -> rich.table.Table:
    """Make the table that people read."""
    grid = rich.table.Table(box=None, pad_edge=False, header_style="dim")
    for title in ("", "what", "for", "found", "needs", ""):
        grid.add_column(title, no_wrap=title != "")
    for one in checks:
        least = f">= {one.minimum}" if one.minimum else ""
        words = (one.what, one.stage, one.found or "-", least, one.note or one.why)
        grid.add_row(MARKS[one.state], *map(rich.markup.escape, words))
    return grid


def verdict(checks: Iterable[doctor.NeedCheck], command: tuple[str, ...]) -> str:
    """Say in words what the table means."""
    bad = [one.what for one in checks if one.bad]
    lines = ["", f"missing: {', '.join(bad)}" if bad else "All that the main job needs is here."]
    if command:
        lines.append(f"harness setup installs what is missing, or: {shlex.join(command)}")
    lines += [f"{one.what}: {one.note}" for one in checks if one.bad and one.note]
    return "\n".join(lines)


def as_json(checks: Iterable[doctor.NeedCheck], command: tuple[str, ...]) -> dict[str, object]:
    """Give the same for a script; ``packages`` are those of this machine's package manager."""
    here = doctor.installer()
    rows = []
    for one in checks:
        row = dataclasses.asdict(one)
        row["packages"] = list(one.packages.of(here.name)) if here else []
        rows.append(row)
    good = not any(one.bad for one in checks)
    return {"good": good, "checks": rows, "install": list(command)}
