# SPDX-License-Identifier: GPL-2.0-only
"""``harness report``: what a run found, as something to read or to send."""

from __future__ import annotations

import argparse
import json
import tempfile
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import errors, history, paths
from harness.cli import formats
from harness.cli.parser import add_options
from harness.history.histories import TestHistory
from harness.progress import Progress
from harness.publish.html import Page, page, write

DESCRIPTION = """\
Make a report of a run: one HTML file that needs no network and no other file.  The
verdict stands first; then failures with their evidence, the table of tests by
kernel, the patches with what was found at their lines, the time line, the setup.
RUN is the folder of a harness run or harness check, a run's id, or "last".
With an option for another form (a mail, JUnit ...) that is written in its place."""

EXAMPLES = """\
examples:
  harness report last --open             look at the newest run
  harness report RUN -o report.html      to send it to somebody
  harness report RUN --check CHECK       with the matrix of a check of the same series
  harness report last --mail reply.eml --tested-by 'Jane Doe <jane@example.org>'
  harness report last --junit report.xml --side patched
"""

NAME = "report.html"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "report",
        help="a run as an HTML file, a mail, JUnit, TAP, KCIDB",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", metavar="RUN", help='a folder, a run\'s id, or "last"')
    parser.add_argument(
        "--check", default="", metavar="CHECK", help="show a check of the same series as well"
    )
    parser.add_argument(
        "-o", "--output", default="", metavar="FILE", help=f"({NAME} in the run's folder)"
    )
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    formats.options(parser)
    add_options(parser, "report")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Make the report in the form that was asked for."""
    formats.check(options)
    folder = find(options.words, options.db)
    if error := formats.compared(folder):
        raise error
    files: dict[str, object] = {}
    if formats.asked(options):
        files |= formats.write(folder, options, progress)
        if not (options.output or options.open):
            if options.json:
                print(json.dumps(files, indent=1))
            return errors.GOOD
    return html(folder, options, progress, files)


def html(
    folder: Path, options: argparse.Namespace, progress: Progress, others: dict[str, object]
) -> int:
    """Write the HTML file, say where it and the ``others`` are, and show it."""
    check = find(options.check, options.db) if options.check else None

    def ask(tests: Sequence[str]) -> Mapping[str, TestHistory]:
        return past(tests, options.db, progress)

    file = Path(options.output).absolute() if options.output else folder / NAME
    file = file / NAME if file.is_dir() else file
    with progress.stage("report", folder.name) as stage:
        with paths.writing(file, "name another file with -o FILE"):
            size = _write(page(folder, ask, check), file, options.output)
        stage.finish(f"{size / 1e6:.1f} MB")
    if options.output == "-":
        return errors.GOOD
    if options.json:
        print(json.dumps({**others, "report": str(file), "bytes": size}, indent=1))
    elif formats.printed(options):
        progress.say(str(file))
    else:
        print(file)
    if options.open and not webbrowser.open(file.as_uri()):
        raise errors.HostFault("there is no browser to open", hint=f"open {file} yourself")
    return errors.GOOD


def _write(made: Page, file: Path, asked: str) -> int:
    """Write the page; what is no file (standard output, a pipe, a device) gets it as it is."""
    if asked != "-" and (file.is_file() or not file.exists()):
        return write(made, file)
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        size = write(made, Path(folder) / NAME)
        formats.put((Path(folder) / NAME).read_bytes(), asked)
    return size


def find(word: str, db: str = "") -> Path:
    """Give the folder of the run that a word means.

    Raises UsageError when there is none, or its folder is not here.
    """
    path = paths.expanded(word)
    if path.is_dir():
        return path.absolute()
    if path.is_file():
        return path.parent.absolute()
    kept = paths.state("runs") / word
    if "/" not in word and kept.is_dir():
        return kept
    found = history.named(word, db=db)
    if not found:
        raise errors.UsageError(f"there is no run {word!r}", hint="harness runs")
    if len(found) > 1:
        names = ", ".join(row.id for row in found[:6])
        raise errors.UsageError(f"{word!r} is the beginning of several runs", hint=names)
    folder = Path(found[0].folder)
    if not folder.is_dir():
        raise errors.UsageError(
            f"the folder of run {found[0].id} is not there any more: {folder}",
            hint=f"harness show {found[0].id}",
        )
    return folder


def past(tests: Sequence[str], db: str, progress: Progress) -> Mapping[str, TestHistory]:
    """Ask for other runs of tests; a history that cannot be read costs the report only that."""
    try:
        return history.of_tests(tests, last=12, db=db)
    except errors.HarnessError as error:
        progress.say(f"no history: {error.what}")
        return {}
