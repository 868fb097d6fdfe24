# SPDX-License-Identifier: GPL-2.0-only
"""``harness series``: what was understood of a series, before anything is done with it."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import rich.console

from harness import errors, paths, settings
from harness.cli.parser import add_options, typed_plan
from harness.lab import plan
from harness.model import Series
from harness.progress import Progress
from harness.series import trust

DESCRIPTION = """\
Show a series as the harness understands it: cover letter, patches in order,
version, and what is missing or there twice.  It may be a folder of patches (a
quilt `series` file gives their order), files, an mbox of any size, a maildir, -
for standard input, A..B or a branch of a git tree, a message id or link of a
mail archive (through b4: the newest revision, with trailers and attestation), or
a link to an mbox.  Only message ids and links reach the network.

Exit code 0 when the series is whole, 125 when patches are missing or differ."""

EXAMPLES = """\
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


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "series",
        help="show what is understood of a series",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", metavar="SERIES", help="see above; several files, too")
    add_options(parser, "series")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Read and show."""
    there = settings.load(Path.cwd())
    wish = dataclasses.replace(plan.wish(typed_plan(options), there), whole=False)
    with paths.in_use():
        found = plan.find_series(options.words, there, wish)
    for note in found.notes:
        progress.say(note)
    for line in trust.commands(found):
        progress.say(f"runs on this machine, so that --trust is needed: {line}")
    if options.json:
        print(json.dumps(table(found), indent=1, ensure_ascii=False))
    else:
        show(found)
    if found.fault:
        progress.say(f"harness: {found.fault}")
    return errors.UNTESTABLE if found.fault else errors.GOOD


def table(series: Series) -> dict[str, Any]:
    """Give what is understood, in the form that scripts read."""
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
    """Print for people."""
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
