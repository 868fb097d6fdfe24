# SPDX-License-Identifier: GPL-2.0-only
"""``harness splats``: what went wrong in a kernel, read from any log it left."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import rich.console

from harness import errors, splat
from harness.model import Splat
from harness.progress import Progress
from harness.results.record import to_json

DESCRIPTION = """\
Find what a kernel complained of in logs: consoles, dmesg, journals, reports, of
any architecture, with any kind of time stamp.  Each splat is named as syzbot
names it, with the function to blame, the task, and the harness's test during
which it came.  Exit code 0 when there is none, 1 when there are some."""

EXAMPLES = """\
examples:
  harness splats console.log            one line for each splat
  harness splats --full console.log     with the kernel's own lines
  dmesg | harness splats -              from standard input
  harness splats --json */console.log   for a script: a line of JSON for each file
"""

PIECE = 1 << 20  # characters; a line that has more is read in pieces


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "splats",
        help="find the kernel's complaints in logs",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a log; - is standard input")
    parser.add_argument("--full", action="store_true", help="show the kernel's lines as well")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Read and show."""
    some = False
    for name in options.files:
        with progress.stage("splats", name), _open(name) as file:
            found = splat.find(_lines(file, name))
        some = some or bool(found)
        if options.json:
            print(json.dumps({"file": name, "splats": to_json(found)}, ensure_ascii=False))
        else:
            show(name, found, options.full)
    return errors.BAD if some else errors.GOOD


def _open(name: str) -> IO[str]:
    """Open a log; what is no text in it is kept out of the way."""
    if name == "-":
        return open(
            sys.stdin.fileno(), encoding="utf-8", errors="replace", newline="\n", closefd=False
        )
    path = Path(name)
    if path.is_dir():
        raise errors.UsageError(
            f"{name} is a folder", hint=f"name the logs in it: {name.rstrip('/')}/*.log"
        )
    try:
        return path.open(encoding="utf-8", errors="replace", newline="\n")
    except FileNotFoundError:
        raise errors.UsageError(f"there is no file {name}", hint="check the path") from None
    except PermissionError:
        raise errors.HostFault(
            f"{name} may not be read", hint="become its owner, or root"
        ) from None


def _lines(file: IO[str], name: str) -> Iterator[str]:
    """Give the lines; a flood without a newline does not fill the memory."""
    try:
        yield from iter(lambda: file.readline(PIECE), "")
    except OSError as error:
        raise errors.HostFault(f"{name} cannot be read: {error.strerror}") from error


def show(name: str, found: tuple[Splat, ...], full: bool) -> None:
    """Print for people: a line for each splat, in the order of the log."""
    console = rich.console.Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"{name}: {len(found) or 'no'} splat{'' if len(found) == 1 else 's'}")
    for one in found:
        about = [word for word in (one.task, f"taint {one.taint}" if one.taint else "") if word]
        console.print(f"  {one.line:7}  {one.title}  [{one.test}]  {', '.join(about)}".rstrip())
        if one.panic and one.kind != "panic":
            console.print(f"           then a panic: {one.panic}")
        if full:
            console.print("".join(f"           {line}\n" for line in one.lines))
