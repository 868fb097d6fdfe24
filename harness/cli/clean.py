# SPDX-License-Identifier: GPL-2.0-only
"""``harness clean`` and ``harness gc``: show and remove what is in the cache and the runs."""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Iterable
from pathlib import Path

import rich.console
import rich.filesize
import rich.table

from harness import cache, errors, paths
from harness.cache import CacheEntry
from harness.cli import runs
from harness.cli.terminal import ago
from harness.history import retention, waiting
from harness.progress import Progress
from harness.results.store import COMMAND

# A run's folder name begins with the run's time, or with .removed.N. during its removal.
_RUN_FOLDER = re.compile(r"(\.removed\.\d+\.)?\d{8}-\d{6}-")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Show what is stored, or remove what was chosen."""
    entries = cache.entries()
    choices = frozenset(options.choices)
    doomed = cache.chosen(entries, choices)
    acting = bool(choices) and not options.dry_run
    removed = cache.remove(doomed, progress) if acting and doomed else ()
    if options.json:
        table = {"entries": _rows(doomed if choices else entries), "removed": _rows(removed)}
        print(json.dumps({**table, "freed": sum(entry.bytes for entry in removed)}, indent=2))
    elif acting:
        print(f"removed {len(removed)}, freed {_size(removed)}")
    elif choices:
        for entry in doomed:
            held = "  (in use: stays)" if entry.held else ""
            print(f"{_size([entry]):>10}  {entry.path}{held}")
        print(f"{_size(entry for entry in doomed if not entry.held):>10}  would be freed")
    else:
        rich.console.Console(highlight=False).print(_table(entries))
    return errors.GOOD


def _table(entries: tuple[CacheEntry, ...]) -> rich.table.Table:
    """Build the table of kinds."""
    grid = rich.table.Table(box=None, pad_edge=False, header_style="dim")
    grid.add_column("kind")
    for title in ("entries", "size", "last used"):
        grid.add_column(title, justify="right", no_wrap=True)
    grid.add_column("what", ratio=1)
    grid.add_column("removed by", no_wrap=True)
    for kind in (*cache.KINDS, cache.OTHER):
        of_kind = [entry for entry in entries if entry.kind == kind]
        last = ago(max(entry.used for entry in of_kind)) if of_kind else ""
        row = (str(len(of_kind)), _size(of_kind), last, kind.what, f"--{kind.choice}")
        grid.add_row(kind.name, *row, style="" if of_kind else "dim")
    grid.add_row("all", str(len(entries)), _size(entries), "", "", "")
    return grid


def _rows(entries: Iterable[CacheEntry]) -> list[dict[str, object]]:
    return [
        {
            "kind": entry.kind.name,
            "path": str(entry.path),
            "bytes": entry.bytes,
            "used": entry.used,
            "held": entry.held,
        }
        for entry in entries
    ]


def _size(entries: Iterable[CacheEntry]) -> str:
    return rich.filesize.decimal(sum(entry.bytes for entry in entries))


def run_gc(options: argparse.Namespace, progress: Progress) -> int:
    """Remove what exceeds the limits, or show what would be removed."""
    days = options.keep_days
    limits = retention.Limits(
        oldest=None if days is None else time.time() - days * retention.DAY,
        most=amount(options.max_size) if options.max_size else None,
    )
    if days is not None and not days >= 0:  # also rejects nan
        raise errors.UsageError("--keep-days must be 0 or more", hint="--keep-days 30")
    entries = cache.entries()
    plan = retention.sort(entries, _held(options.db, entries), limits)
    doomed = [entry for entry, _ in plan.goes]
    removed = () if options.dry_run or not doomed else _remove(doomed, progress)
    if options.json:
        print(json.dumps(_gc_table(plan, removed), indent=1))
    else:
        _show_gc(options, plan, removed)
    return errors.GOOD


def amount(text: str) -> int:
    """Convert a size such as 500M or 1.5G to bytes.  Raises UsageError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?", text.strip().upper())
    if match is None:
        raise errors.UsageError(f"{text!r} is not a size", hint="a size such as 500M or 20G")
    return int(float(match[1]) * _UNITS[match[2]])


def _held(db: str, entries: Iterable[CacheEntry]) -> retention.Held:
    """Return the runs that must stay.  Raises HarnessError if the history cannot be read."""
    from harness.history import database, run_queries

    with database.opened(db) as (connection, _):
        known = [run for run in run_queries.runs(connection) if run.there]
    state = paths.state(cache.RUNS)
    folders = {Path(run.folder) for run in known}
    here = [entry.path for entry in entries if entry.kind.name == cache.RUNS]
    in_progress = waiting.running()
    return retention.Held(
        pinned=frozenset(Path(run.folder) for run in known if run.pinned),
        running=frozenset(path for run in in_progress for path in (run.folder, *run.uses) if path),
        elsewhere=frozenset(path for path in folders if not path.is_relative_to(state)),
        strange=frozenset(path for path in here if path not in folders and not _is_ours(path)),
    )


def _is_ours(path: Path) -> bool:
    """Whether a folder among the runs was created by the harness, judging by its name and files."""
    return bool(_RUN_FOLDER.match(path.name)) or any(
        (path / name).exists() for name in (*runs.RESULTS, COMMAND)
    )


def _remove(doomed: list[CacheEntry], progress: Progress) -> tuple[CacheEntry, ...]:
    """Remove runs, and entries of the cache unless a run is using the cache."""
    of_runs = [entry for entry in doomed if entry.kind.name == cache.RUNS]
    of_cache = [entry for entry in doomed if entry.kind.name != cache.RUNS]
    removed = cache.remove(of_runs, progress, cached=False) if of_runs else ()
    if of_cache:
        try:
            removed += cache.remove(of_cache, progress)
        except errors.HostFault as error:
            if "using the cache" not in error.what:
                raise
            progress.say(f"kept {len(of_cache)} cache entries: {error.what}")
    return removed


def _show_gc(
    options: argparse.Namespace, plan: retention.Sorted, removed: tuple[CacheEntry, ...]
) -> None:
    unlimited = options.keep_days is None and not options.max_size
    if options.dry_run or unlimited:
        for entry, why in sorted(plan.goes, key=lambda pair: -pair[0].bytes):
            print(f"{_size([entry]):>10}  {entry.path}  ({why}, last used {ago(entry.used)})")
        print(f"{_size(entry for entry, _ in plan.goes):>10}  would be freed")
    else:
        print(f"removed {len(removed)}, freed {_size(removed)}")
    for reason in dict.fromkeys(why for _, why in plan.stays):
        staying = [entry for entry, why in plan.stays if why == reason]
        names = [entry.kind.name for entry in staying]
        kinds = ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))
        why = reason or "within the limits"
        print(f"{_size(staying):>10}  stays: {len(staying)} {why} ({kinds})")
    if plan.over:
        more = rich.filesize.decimal(plan.over)
        print(f"{more:>10}  above --max-size: what stays is pinned, needed or in use")
    if unlimited:
        print("give a limit: --keep-days N or --max-size SIZE")


def _gc_table(plan: retention.Sorted, removed: tuple[CacheEntry, ...]) -> dict[str, object]:
    def rows(pairs: Iterable[tuple[CacheEntry, str]]) -> list[dict[str, object]]:
        return [
            {"kind": entry.kind.name, "path": str(entry.path), "bytes": entry.bytes, "why": why}
            for entry, why in pairs
        ]

    return {
        "goes": rows(plan.goes),
        "stays": rows(plan.stays),
        "removed": [str(entry.path) for entry in removed],
        "freed": sum(entry.bytes for entry in removed),
        "over": plan.over,
    }
