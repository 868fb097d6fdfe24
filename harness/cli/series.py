# SPDX-License-Identifier: GPL-2.0-only
"""``harness series`` and ``harness fetch``: show how a series is parsed, and store one."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness import errors, paths, settings
from harness import series as series_stage
from harness.cli.parser import typed_plan
from harness.lab import plan
from harness.model import Series
from harness.progress import Progress
from harness.series import trust
from harness.text import printable


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Read a series and show it."""
    with _read(options, progress, collect=False, whole=False) as series:
        for line in () if series.fault else trust.commands(series):
            progress.say(f"needs --trust, since it runs on this machine: {line}")
    if options.json:
        print(json.dumps(table(series), indent=1, ensure_ascii=False))
    else:
        show(series)
    if series.fault:
        progress.say(f"harness: {series.fault}")
    return errors.UNTESTABLE if series.fault else errors.GOOD


@contextlib.contextmanager
def _read(
    options: argparse.Namespace, progress: Progress, *, collect: bool, whole: bool
) -> Iterator[Series]:
    """Load the named series; see SeriesRequest for ``collect`` and ``whole``.

    Files that had to be made for it exist only during the context: nobody else would use them.
    """
    project = settings.load(Path.cwd())
    request = plan.series_request(typed_plan(options, words=()), project)
    with paths.in_use(), paths.scratch(paths.cache("series") / "shown") as home:
        series = plan.find_series(
            options.words,
            project,
            dataclasses.replace(request, collect=collect, whole=whole, home=home),
        )
        for note in series.notes:
            progress.say(note)
        yield series


def run_fetch(options: argparse.Namespace, progress: Progress) -> int:
    """Read a series and store it."""
    name, word = options.name, options.words[0]
    if name and not re.fullmatch(r"\w[\w.-]*", name):
        raise errors.UsageError(f"{name!r} cannot be a folder's name", hint="letters, digits and -")
    with _read(options, progress, collect=options.trailers, whole=True) as series:
        link = word if re.match(r"https?://|<?[^\s/]+@", word) else ""
        patches = settings.load(Path.cwd()).folder / "patches"
        folder = patches / (name or series_stage.slug(series.title))
        series_stage.keep(series, folder, link)
    if options.json:
        print(json.dumps({**table(series), "folder": str(folder)}, indent=1))
    else:
        show(series)
        print(f"stored in {folder}")
    return errors.GOOD


def table(series: Series) -> dict[str, Any]:
    """Return a series as JSON, for scripts."""
    cover = {"subject": series.cover_subject, "message_id": series.cover_id}
    return {
        "name": series.name,
        "version": series.version,
        "total": series.total,
        "cover": cover if series.cover else None,
        "patches": [
            {
                "number": patch.number,
                "subject": patch.subject,
                "author": patch.author,
                "message_id": patch.message_id,
            }
            for patch in series.patches
        ],
        "missing": list(series.missing),
        "duplicates": list(series.duplicates),
    }


def show(series: Series) -> None:
    """Print a series as it was parsed."""
    version = f" v{series.version}" if series.version > 1 else ""
    print(printable(f"{series.name}:{version} {series.title}"))
    for patch in series.patches:
        print(printable(f"  {patch.number:3}/{series.total}  {patch.subject}  ({patch.author})"))
    for word, numbers in (("missing", series.missing), ("twice", series.duplicates)):
        if numbers:
            print(printable(f"  {word}: {', '.join(map(str, numbers))}"))
    if series.base:
        earlier = "".join(f" with {before.name}" for before in series.after)
        print(printable(f"  made on {series.base}{earlier}"))
