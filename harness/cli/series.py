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

import rich.console

from harness import errors, paths, settings
from harness import series as series_stage
from harness.cli.parser import Commands, add_options, add_verb, typed_plan
from harness.lab import plan
from harness.model import Series
from harness.progress import Progress
from harness.series import trust

SERIES = """\
Show a series as the harness reads it: cover letter, patches in order, version, and
which patches are missing or duplicated.  SERIES is a folder of patches (a quilt
`series` file gives their order), files, an mbox of any size, a maildir, - for standard
input, A..B or a branch of a git tree, a message id or link of a mail archive (through
b4: the newest revision, with trailers and attestation), or a link to an mbox.  Only
message ids and links reach the network.

Exit code 0 when the series is complete, 125 when patches are missing or duplicates differ."""

SERIES_EXAMPLES = """\
examples:
  harness series patches/configfs-ns
  harness series thread.mbox --json
  harness series archive.mbox --pick 'switch to get_tree_keyed'
  harness series v6.19..my-branch --tree ~/linux
  harness series 20260101120000.1234-1-someone@example.org

JSON:
  {"name", "version", "total", "cover": {"subject", "message_id"} or null,
   "patches": [{"number", "subject", "author", "message_id"}],
   "missing": [number], "duplicates": [number]}
"""

FETCH = """\
Store a series in patches/NAME: each patch as a plain mail for `git am`, with the cover
letter and a series.toml.  SERIES is as in `harness series`; a message id or link is
fetched from its archive, through b4.  Existing files are never overwritten."""

FETCH_EXAMPLES = """\
examples:
  harness fetch 20260101120000.1234-1-someone@example.org
  harness fetch thread.mbox --name configfs-ns --trailers
  harness fetch v6.19..my-branch --tree ~/linux
"""


def add(commands: Commands) -> None:
    """Add the verbs to the command line."""
    short = "show a series as the harness reads it"
    parser = add_verb(commands, "series", short, SERIES, SERIES_EXAMPLES, run)
    parser.add_argument(
        "words", nargs="*", metavar="SERIES", help="see above; may be several files"
    )
    add_options(parser, "series")

    short = "store a series in patches/"
    parser = add_verb(commands, "fetch", short, FETCH, FETCH_EXAMPLES, run_fetch)
    parser.add_argument("words", nargs="+", metavar="SERIES", help="as in harness series")
    parser.add_argument(
        "--name", default="", metavar="SLUG", help="the folder's name (default: from the title)"
    )
    parser.add_argument(
        "--trailers", action="store_true", help="add trailers from replies, such as Reviewed-by"
    )
    add_options(parser, "fetch")


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Read a series and show it."""
    with _read(options, progress, collect=False, whole=False) as series:
        for line in trust.commands(series):
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
    console = rich.console.Console(highlight=False, soft_wrap=True, markup=False)
    version = f" v{series.version}" if series.version > 1 else ""
    console.print(f"{series.name}:{version} {series.title}")
    for patch in series.patches:
        console.print(f"  {patch.number:3}/{series.total}  {patch.subject}  ({patch.author})")
    for word, numbers in (("missing", series.missing), ("twice", series.duplicates)):
        if numbers:
            console.print(f"  {word}: {', '.join(map(str, numbers))}")
    if series.base:
        console.print(f"  made on {series.base}")
