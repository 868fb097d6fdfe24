# SPDX-License-Identifier: GPL-2.0-only
"""``harness splats``: what went wrong in a kernel, read from any log it left."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import rich.console

from harness import decode, errors, series, splat
from harness.cli.logs import opened, reading
from harness.decode import Decoded, Decoder
from harness.model import Splat
from harness.progress import Progress
from harness.serial import to_json
from harness.series.mail import parse

DESCRIPTION = """\
Find what a kernel complained of in logs: consoles, dmesg, journals, reports, of
any architecture, with any kind of time stamp, compressed with gzip, xz or bzip2
or not.  Each splat is named as syzbot names it, with the function to blame and
the task.  Exit code 0 when there is none, 1 when there are some.

The harness's marks in a console say which test a splat came from: [ID] during
it, [after ID] between its end and the next one's start (its teardown, or work
it left behind), [boot] before the first.

With --vmlinux and --tree the stacks are shown with file and line, from the
tree's own scripts; with --series, lines that a patch added are marked."""

EXAMPLES = """\
examples:
  harness splats console.log            one line for each splat
  harness splats --full console.log     with the kernel's own lines
  dmesg | harness splats -              from standard input
  harness splats --json */console.log   for a script: a line of JSON for each file
  harness splats console.log --vmlinux out/vmlinux --tree linux --series patches/x

JSON, one line for each file, splats in the order of the log:
  {"file": ..., "splats": [{"kind", "title", "function", "line", "test", "phase",
   "frames", "task", "cpu", "taint", "access", "size", "address", "alloc_stack",
   "free_stack", "modules", "panic", "fingerprint", "lines", "raw"}]}
"line" counts from 1; "phase" is "boot", "during" or "after" the test "test";
"decoded" is there with --vmlinux.
"""


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
    where = parser.add_argument_group("file and line of each frame")
    where.add_argument("--vmlinux", type=Path, metavar="FILE", help="the kernel's, as it was built")
    where.add_argument("--tree", type=Path, metavar="DIR", help="its sources, with its scripts/")
    where.add_argument("--commit", default="", help="show the sources of this commit of the tree")
    where.add_argument("--modules", type=Path, metavar="DIR", help="where its .ko files are")
    where.add_argument("--series", type=Path, metavar="PATH", help="the patches that are in it")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Read and show."""
    decoder = _decoder(options)
    some = False
    for name in options.files:
        with progress.stage("splats", name), opened(name) as file, reading(name):
            found = splat.find(file)
        decoded = decoder.decode(found) if decoder else ()
        some = some or bool(found)
        if options.json:
            print(json.dumps(_table(name, found, decoded), ensure_ascii=False))
        else:
            show(name, found, decoded, full=options.full)
    return errors.BAD if some else errors.GOOD


def _table(name: str, found: tuple[Splat, ...], decoded: tuple[Decoded, ...]) -> dict[str, Any]:
    splats = to_json(found)
    for one, places in zip(splats, decoded, strict=False):
        one["decoded"] = to_json(places)
    return {"file": name, "splats": splats}


def _decoder(options: argparse.Namespace) -> Decoder | None:
    """Make what decodes, if the person asked for it and gave what it takes."""
    asked = {name: getattr(options, name) for name in ("tree", "commit", "modules", "series")}
    if options.vmlinux is None and not any(asked.values()):
        return None
    if options.vmlinux is None or options.tree is None:
        raise errors.UsageError(
            "file and line take the kernel and its sources",
            hint="give both: --vmlinux FILE --tree DIR",
        )
    for path, there, what in (
        (options.vmlinux, options.vmlinux.is_file(), "file"),
        (options.tree / "scripts", (options.tree / "scripts").is_dir(), "folder"),
    ):
        if not there:
            raise errors.UsageError(f"there is no {what} {path}", hint="check the path")
    added = decode.added_lines(_diffs(options.series)) if options.series else None
    return Decoder(
        options.vmlinux, options.tree, added, commit=options.commit, modules=options.modules
    )


def _diffs(path: Path) -> list[tuple[str, bytes]]:
    """The (subject, diff) of each patch of a series."""
    diffs = []
    for patch in series.load(path).patches:
        mail = parse(patch.path.read_bytes(), str(patch.path))
        diffs.append((patch.subject, mail.patch))
    return diffs


def show(name: str, found: tuple[Splat, ...], decoded: tuple[Decoded, ...], *, full: bool) -> None:
    """Print for people: a line for each splat, in the order of the log."""
    console = rich.console.Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"{name}: {len(found) or 'no'} splat{'' if len(found) == 1 else 's'}")
    for n, one in enumerate(found):
        about = [word for word in (one.task, f"taint {one.taint}" if one.taint else "") if word]
        test = f"after {one.test}" if one.phase == "after" else one.test
        console.print(f"  {one.line:7}  {one.title}  [{test}]  {', '.join(about)}".rstrip())
        if one.panic and one.kind != "panic":
            console.print(f"           then a panic: {one.panic}")
        if decoded:
            words = decode.render(decoded[n]).split("\n")[1:]
            console.print("".join(f"         {line}\n" for line in words))
        if full:
            console.print("".join(f"           {line}\n" for line in one.lines))
