# SPDX-License-Identifier: GPL-2.0-only
"""``harness fetch``: keep a series as a folder below patches/."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from pathlib import Path

from harness import errors, paths, settings
from harness import series as stage
from harness.cli import series as shown
from harness.cli.parser import add_options, typed_plan
from harness.lab import plan
from harness.progress import Progress

DESCRIPTION = """\
Keep a series under patches/NAME: each patch as a plain mail that `git am` takes,
with the cover letter and a series.toml.  It takes what `harness series` takes; a
message id or link is asked of its archive, through b4.  What is there already is
never overwritten."""

EXAMPLES = """\
examples:
  harness fetch 20260101120000.1234-1-someone@example.org
  harness fetch thread.mbox --name configfs-ns --trailers
  harness fetch v6.19..my-branch --tree ~/linux
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "fetch",
        help="keep a series below patches/",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="+", metavar="SERIES", help="as for harness series")
    parser.add_argument("--name", default="", metavar="SLUG", help="of the folder (by the title)")
    parser.add_argument(
        "--trailers", action="store_true", help="put Reviewed-by and such of replies to the patches"
    )
    add_options(parser, "fetch")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Read, keep, show."""
    name = options.name
    if name and not re.fullmatch(r"\w[\w.-]*", name):
        raise errors.UsageError(f"'{name}' is no name for a folder", hint="letters, digits and -")
    there = settings.load(Path.cwd())
    wish = dataclasses.replace(plan.wish(typed_plan(options), there), collect=options.trailers)
    with paths.in_use():
        found = plan.find_series(options.words, there, wish)
        for note in found.notes:
            progress.say(note)
        word = options.words[0]
        link = word if re.match(r"https?://|<?[^\s/]+@", word) else ""
        folder = there.folder / "patches" / (name or stage.slug(found.title))
        stage.keep(found, folder, link)
    if options.json:
        print(json.dumps({**shown.table(found), "folder": str(folder)}, indent=1))
    else:
        shown.show(found)
        print(f"kept in {folder}")
    return errors.GOOD
