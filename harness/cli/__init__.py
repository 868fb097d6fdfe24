# SPDX-License-Identifier: GPL-2.0-only
"""The command line: a verb is a file.  Only here is printed and an exit code chosen."""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import sys
from collections.abc import Sequence

import harness
from harness import errors
from harness.process import interruptible
from harness.progress import Progress

VERBS = (
    "run",
    "check",
    "compare",
    "doctor",
    "setup",
    "shell",
    "splats",
    "series",
    "fetch",
    "clean",
)

DESCRIPTION = """\
Test what a patch series does to the kernel: apply it, build, boot in QEMU, run
pytest in the guest, and say with evidence what it fixes and what it breaks."""

EPILOG = f"""\
exit codes: {errors.GOOD} good, {errors.BAD} bad, {errors.UNTESTABLE} untestable (does not apply,
configure or build), {errors.HOST_FAULT} a fault of this machine, {errors.USAGE} usage.  They fit
`git bisect run`.

`harness VERB --help` shows a verb's options with examples.  Tests of your own on a
kernel you have: `pytest --kernel IMAGE PATH`."""


def parser(verb: str = "") -> argparse.ArgumentParser:
    """Make the parser with all verbs, or with one: doctor must work where run cannot."""
    top = argparse.ArgumentParser(
        "harness",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"harness {harness.__version__}")
    commands = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in (verb,) if verb in VERBS else VERBS:
        importlib.import_module(f"harness.cli.{name}").add(commands)
        words = commands.choices[name]
        words.add_argument("--json", action="store_true", help="the result as JSON on stdout")
        words.add_argument("-q", "--quiet", action="store_true", help="no progress")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; gives the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    cut = words.index("--") if "--" in words else len(words)
    try:
        options = parser(words[0] if words else "").parse_args(words[:cut])
    except SystemExit as end:  # argparse has said what is wrong; its code for that is 2
        return errors.USAGE if end.code == 2 else errors.GOOD
    options.rest = tuple(words[cut + 1 :])
    options.command = ("harness", *words)
    _streams()
    progress = Progress(quiet=options.quiet)
    try:
        with interruptible():
            code: int = options.run(options, progress)
            sys.stdout.flush()
    except errors.HarnessError as error:
        code = _told(error, options, progress)
    except KeyboardInterrupt:
        code = _told(errors.Interrupted("interrupted"), options, progress)
    except BrokenPipeError:  # somebody's `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = errors.HOST_FAULT
    except OSError as error:
        code = _told(_of_system(error), options, progress)
    _let_go()
    return code


def _let_go() -> None:
    """Drop what standard error cannot take: Python would try again at exit, and end with 120."""
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _streams() -> None:
    """See that the three standard streams are open, and take any letter."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:  # it was closed, and a file would take it
        os.set_inheritable(fd, True)
    os.close(fd)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # no test's own
            stream.reconfigure(errors="backslashreplace")  # a terminal may know ASCII only


def _told(error: errors.HarnessError, options: argparse.Namespace, progress: Progress) -> int:
    """Show an error to the person, or to the script."""
    if options.json:
        table = {"what": error.what, "hint": error.hint, "details": error.details}
        print(json.dumps({"error": table, "exit_code": error.exit_code}, indent=1))
    if error.details:
        progress.say(error.details)
    progress.say(f"harness: {error.what}")
    if error.hint:
        progress.say(f"  try: {error.hint}")
    return error.exit_code


def _of_system(error: OSError) -> errors.HarnessError:
    """Turn a fault of the system that no stage foresaw (disk full, no permission) into words."""
    where = f": {error.filename}" if error.filename else ""
    full = "free some space (harness clean), or set HARNESS_CACHE and HARNESS_STATE elsewhere"
    return errors.HostFault(f"{error.strerror or error}{where}", hint=full)


if __name__ == "__main__":
    sys.exit(main())
