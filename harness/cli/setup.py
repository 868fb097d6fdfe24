# SPDX-License-Identifier: GPL-2.0-only
"""``harness setup``: install what ``harness doctor`` finds missing."""

from __future__ import annotations

import argparse
import json
import shlex
import sys

from harness import doctor, errors
from harness.progress import Progress

DESCRIPTION = """\
Install the system packages that `harness doctor` finds missing, with the
distribution's own package manager, and with sudo unless run as root.
Exit code 0 when all that is required or was named is there afterwards, else 128."""

EXAMPLES = """\
examples:
  harness setup              show the command, ask, install
  harness setup --yes        install without asking
  harness setup clang lld    also what --llvm needs
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "setup",
        help="install what this machine lacks",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="also this, named as in doctor")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Install, and examine again: what counts is what is there then."""
    names = frozenset(options.names)
    before = wanted(names)
    command = doctor.install_command(before)
    if command and not options.yes:
        agree(command)
    if doctor.missing(before):
        install(before, progress)
    after = wanted(names)
    lacking = [one for one in after if one.state is not doctor.NeedState.OK]
    if options.json:
        had = {one.what for one in lacking}
        rows = [c.what for c in doctor.missing(before) if c.what not in had]
        print(json.dumps({"installed": rows, "missing": [one.what for one in lacking]}))
    else:
        print("All is here." if not lacking else "\n".join(map(_line, lacking)))
    bad = any(one.bad or one.what in names for one in lacking)
    return errors.HOST_FAULT if bad else errors.GOOD


def wanted(names: frozenset[str]) -> tuple[doctor.NeedCheck, ...]:
    """Examine what the main job needs or likes, and what was asked for by name."""
    unknown = names - {need.what for need in doctor.NEEDS}
    if unknown:
        raise errors.UsageError(
            f"nothing is called {', '.join(sorted(unknown))}",
            hint="harness doctor --all shows the names",
        )
    return doctor.examine(
        tuple(n for n in doctor.NEEDS if n.level is not doctor.NeedLevel.EXTRA or n.what in names)
    )


def install(checks: tuple[doctor.NeedCheck, ...], progress: Progress) -> None:
    """Install all; when that fails, at least what is required (a package may not exist here)."""
    try:
        doctor.install(checks, progress)
    except errors.HostFault:
        required = tuple(one for one in checks if one.bad)
        if not required or len(required) == len(doctor.missing(checks)):
            raise
        progress.say("trying once more, with only what is required")
        doctor.install(required, progress)


def agree(command: tuple[str, ...]) -> None:
    """Show the command and ask; raises UsageError when there is nobody to ask, or on a no."""
    if not sys.stdin.isatty():
        raise errors.UsageError(
            "there is no terminal to ask on",
            hint=f"harness setup --yes, or type: {shlex.join(command)}",
        )
    print(shlex.join(command), file=sys.stderr)
    print("Run this? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise errors.UsageError("nothing was installed", hint=shlex.join(command))


def _line(one: doctor.NeedCheck) -> str:
    found = f"found {one.found}, needs {one.minimum}" if one.found else "missing"
    return f"{one.what} ({one.level}): {found}; {one.note or one.why}"
