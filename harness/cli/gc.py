# SPDX-License-Identifier: GPL-2.0-only
"""``harness gc``: keep runs, kernels and builds below a size, or as long as they are of use."""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Iterable
from pathlib import Path

import rich.filesize

from harness import cache, errors, paths
from harness.cache import CacheEntry
from harness.cli import show
from harness.cli.clean import ago, size
from harness.cli.parser import add_options
from harness.history import retention, waiting
from harness.lab.folder import COMMAND
from harness.progress import Progress

DESCRIPTION = """\
Remove what is old or too much: folders of runs, kernels, images, builds.  A pinned run
stays (harness runs --pin), what a kept run needs stays (its kernels), and a run that goes
on is never touched.  To save space, what can be made again goes before the oldest runs.
Folders that --out named are yours and stay; so does what the history knows of all runs.
Without a limit nothing is removed."""

EXAMPLES = """\
examples:
  harness gc                                what there is, and what stays for what reason
  harness gc --keep-days 30                 nothing that was not used for 30 days
  harness gc --max-size 20G --dry-run       what would go to come below 20 GB
"""

# A run's folder begins with its time; what is half removed keeps its name behind another word.
_NAME = re.compile(r"(\.removed\.\d+\.)?\d{8}-\d{6}-")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "gc",
        help="remove old runs, kernels and builds",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--keep-days", type=float, metavar="N", help="remove what is older")
    parser.add_argument("--max-size", default="", metavar="SIZE", help="such as 500M or 20G")
    parser.add_argument("-n", "--dry-run", action="store_true", help="only say what would go")
    add_options(parser, "gc")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Sort, and remove what goes."""
    days = options.keep_days
    limits = retention.Limits(
        oldest=None if days is None else time.time() - days * retention.DAY,
        most=amount(options.max_size) if options.max_size else None,
    )
    if options.keep_days is not None and not options.keep_days >= 0:  # no number is not, either
        raise errors.UsageError("--keep-days is a number of days", hint="--keep-days 30")
    there = cache.entries()
    found = retention.sort(there, _held(options.db, there), limits)
    doomed = [one for one, _ in found.goes]
    gone = () if options.dry_run or not doomed else _remove(doomed, progress)
    if options.json:
        print(json.dumps(_table(found, gone), indent=1))
        return errors.GOOD
    _show(options, found, gone)
    return errors.GOOD


def amount(text: str) -> int:
    """Read a size such as 500M or 1.5G as bytes.  Raises UsageError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?", text.strip().upper())
    if match is None:
        raise errors.UsageError(f"{text!r} is not a size", hint="for instance 500M or 20G")
    return int(float(match[1]) * _UNITS[match[2]])


def _held(db: str, there: Iterable[CacheEntry]) -> retention.Held:
    """Say which runs stay.  Raises HarnessError when the history cannot say what is pinned."""
    from harness.history import database, run_queries

    with database.opened(db) as (connection, _):
        found = [one for one in run_queries.runs(connection) if one.there]
    ours = paths.state(cache.RUNS)
    folders = {Path(one.folder) for one in found}
    alive = waiting.running()
    own = (one.path for one in there if one.kind.name == cache.RUNS)
    return retention.Held(
        pinned=frozenset(Path(one.folder) for one in found if one.pinned),
        running=frozenset(path for one in alive for path in (one.folder, *one.uses) if path),
        elsewhere=frozenset(one for one in folders if not one.is_relative_to(ours)),
        strange=frozenset(one for one in own if one not in folders and not _made(one)),
    )


def _made(path: Path) -> bool:
    """Whether the harness made what lies among the runs, by its name or what is in it."""
    return bool(_NAME.match(path.name)) or any(
        (path / name).exists() for name in (*show.NAMES, COMMAND)
    )


def _remove(doomed: list[CacheEntry], progress: Progress) -> tuple[CacheEntry, ...]:
    """Remove runs, and what is in the cache unless a run is using that."""
    runs = [one for one in doomed if one.kind.name == cache.RUNS]
    others = [one for one in doomed if one.kind.name != cache.RUNS]
    gone = cache.remove(runs, progress, cached=False) if runs else ()
    if others:
        try:
            gone += cache.remove(others, progress)
        except errors.HostFault as error:
            if "using the cache" not in error.what:
                raise
            progress.say(f"kept: {len(others)} entries of the cache, since {error.what}")
    return gone


def _show(
    options: argparse.Namespace, found: retention.Sorted, gone: tuple[CacheEntry, ...]
) -> None:
    if options.dry_run or (options.keep_days is None and not options.max_size):
        for one, why in sorted(found.goes, key=lambda pair: -pair[0].bytes):
            print(f"{size([one]):>10}  {one.path}  ({why}, last used {ago(one.used)})")
        print(f"{size(one for one, _ in found.goes):>10}  would be free")
    else:
        print(f"removed {len(gone)}, freed {size(gone)}")
    for why in dict.fromkeys(why for _, why in found.stays):
        some = [one for one, its in found.stays if its == why]
        print(f"{size(some):>10}  stays: {len(some)} {why or 'within the limits'} ({_kinds(some)})")
    if found.over:
        more = rich.filesize.decimal(found.over)
        print(f"{more:>10}  above --max-size: what stays is pinned, needed or in use")
    if options.keep_days is None and not options.max_size:
        print("name a limit: --keep-days N, --max-size SIZE")


def _kinds(some: Iterable[CacheEntry]) -> str:
    names = [one.kind.name for one in some]
    return ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))


def _table(found: retention.Sorted, gone: tuple[CacheEntry, ...]) -> dict[str, object]:
    def rows(pairs: Iterable[tuple[CacheEntry, str]]) -> list[dict[str, object]]:
        return [
            {"kind": one.kind.name, "path": str(one.path), "bytes": one.bytes, "why": why}
            for one, why in pairs
        ]

    return {
        "goes": rows(found.goes),
        "stays": rows(found.stays),
        "removed": [str(one.path) for one in gone],
        "freed": sum(one.bytes for one in gone),
        "over": found.over,
    }
