# SPDX-License-Identifier: GPL-2.0-only
"""``harness clean``: what the cache holds, and how to be rid of it."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable

import rich.console
import rich.filesize
import rich.table

from harness import cache, errors
from harness.progress import Progress, clock

DESCRIPTION = """\
Show what the harness keeps, by kind, with sizes and last use; remove what you choose.
Without a choice nothing is removed.  What a run holds is never removed; everything in
the cache can be made again, runs cannot."""

EXAMPLES = """\
examples:
  harness clean                   what there is
  harness clean --builds          remove build folders (kernels stay)
  harness clean --all --dry-run   what would go
  harness clean --runs            remove the evidence of past runs as well
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "clean",
        help="show and remove what the cache holds",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    words = {
        "builds": "build folders",
        "kernels": "finished kernels, and what is known of them",
        "sources": "kernel sources, and the worktrees of them",
        "trees": "worktrees",
        "all": "the whole cache, but no runs",
        "runs": "the evidence of past runs; it cannot be made again",
    }
    for choice, what in words.items():
        parser.add_argument(
            f"--{choice}", dest="choices", action="append_const", const=choice, help=what
        )
    parser.add_argument("-n", "--dry-run", action="store_true", help="only say what would go")
    parser.set_defaults(run=run, choices=[])


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Show, or remove and say how much that gave."""
    found = cache.entries()
    choices = frozenset(options.choices)
    doomed = cache.chosen(found, choices)
    acting = bool(choices) and not options.dry_run
    gone = cache.remove(doomed, progress) if acting and doomed else ()
    if options.json:
        said = {"entries": _rows(doomed if choices else found), "removed": _rows(gone)}
        print(json.dumps({**said, "freed": sum(one.bytes for one in gone)}, indent=2))
    elif acting:
        print(f"removed {len(gone)}, freed {size(gone)}")
    elif choices:
        for one in doomed:
            print(f"{size([one]):>10}  {one.path}" + ("  (in use: stays)" if one.held else ""))
        print(f"{size(one for one in doomed if not one.held):>10}  would be free")
    else:
        rich.console.Console(highlight=False).print(table(found))
    return errors.GOOD


def table(found: tuple[cache.CacheEntry, ...]) -> rich.table.Table:
    """Make the table that people read: a line for each kind."""
    grid = rich.table.Table(box=None, pad_edge=False, header_style="dim")
    grid.add_column("kind")
    for title in ("entries", "size", "last used"):
        grid.add_column(title, justify="right", no_wrap=True)
    grid.add_column("what", ratio=1)
    grid.add_column("removed by", no_wrap=True)
    for kind in (*cache.KINDS, cache.OTHER):
        mine = [one for one in found if one.kind == kind]
        last = ago(max(one.used for one in mine)) if mine else ""
        words = (str(len(mine)), size(mine), last, kind.what, f"--{kind.choice}")
        grid.add_row(kind.name, *words, style="" if mine else "dim")
    grid.add_row("all", str(len(found)), size(found), "", "", "")
    return grid


def size(found: Iterable[cache.CacheEntry]) -> str:
    """Write how much the entries take."""
    return rich.filesize.decimal(sum(one.bytes for one in found))


def ago(when: float) -> str:
    """Write how long ago something was: minutes, hours or days."""
    seconds = max(0.0, time.time() - when)
    for unit, length in (("d", 86400), ("h", 3600)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit} ago"
    return f"{clock(seconds)} ago"


def _rows(found: Iterable[cache.CacheEntry]) -> list[dict[str, object]]:
    return [
        {
            "kind": one.kind.name,
            "path": str(one.path),
            "bytes": one.bytes,
            "used": one.used,
            "held": one.held,
        }
        for one in found
    ]
