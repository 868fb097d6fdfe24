# SPDX-License-Identifier: GPL-2.0-only
"""The command line: a verb is a file.  Only here is printed and an exit code chosen."""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import io
import json
import logging
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import harness
from harness import errors
from harness.cli.interrupts import interruptible
from harness.cli.parser import Help, Parser, nearest, parse
from harness.progress import Progress

VERBS = (
    "run",
    "check",
    "compare",
    "bisect",
    "report",
    "history",
    "runs",
    "show",
    "gc",
    "doctor",
    "setup",
    "shell",
    "splats",
    "series",
    "fetch",
    "clean",
    "completion",
)

DESCRIPTION = """\
Test what a patch series does to the kernel: apply it, build, boot in QEMU, run
pytest in the guest, and say with evidence what it fixes and what it breaks."""

STOPPING = "stopping: what was found is kept (once more stops at once)"

EPILOG = f"""\
exit codes: {errors.GOOD} good, {errors.BAD} bad, {errors.UNTESTABLE} untestable (does not apply,
configure or build), {errors.HOST_FAULT} a fault of this machine, {errors.USAGE} usage,
{errors.INTERRUPTED} interrupted.  They fit `git bisect run`.

`harness VERB --help` shows a verb's options with examples.  Tests of your own on a
kernel you have: `pytest --kernel IMAGE PATH`."""


def parser(verb: str = "") -> Parser:
    """Make the parser with all verbs, or with one: doctor must work where run cannot."""
    top = Parser(
        "harness",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=Help,
    )
    top.add_argument("--version", action="version", version=f"harness {harness.__version__}")
    commands = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in (verb,) if verb in VERBS else VERBS:
        importlib.import_module(f"harness.cli.{name}").add(commands)
        words = commands.choices[name]
        words.add_argument("--json", action="store_true", help="the result as JSON on stdout")
        loud = words.add_mutually_exclusive_group()
        loud.add_argument("-q", "--quiet", action="store_true", help="no progress")
        loud.add_argument(
            "-v",
            "--verbose",
            action="store_true",
            help="also the commands that are started, and what pytest prints",
        )
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; gives the exit code."""
    if "_ARGCOMPLETE" in os.environ:
        importlib.import_module("harness.cli.completion").answer()
    words = list(sys.argv[1:] if argv is None else argv)
    _streams()
    if not words:
        print(importlib.import_module("harness.cli.first").words(), end="")
        return errors.USAGE
    progress = Progress()
    try:
        options = understood(words)
    except errors.HarnessError as error:
        return _told(error, "--json" in words, progress)
    except SystemExit as end:  # --help and --version: argparse has printed them
        return errors.GOOD if not end.code else errors.USAGE
    progress = Progress(quiet=options.quiet, verbose=options.verbose)
    code = _run(options, progress)
    _let_go()
    return code


def understood(words: Sequence[str]) -> argparse.Namespace:
    """Understand the command line."""
    verb = words[0]
    if verb not in VERBS and not verb.startswith("-"):
        near = nearest(verb, VERBS)
        meant = ["run", *words] if Path(verb).exists() else [near, *words[1:]] if near else []
        hint = shlex.join(["harness", *(meant or ["--help"])])
        raise errors.UsageError(f"there is no verb {verb!r}", hint=hint)
    cut = words.index("--") if "--" in words else len(words)
    options = parse(parser(verb), verb, words[:cut])
    options.rest = tuple(words[cut + 1 :])
    options.command = ("harness", *words)
    return options


def _run(options: argparse.Namespace, progress: Progress) -> int:
    """Run the verb; whatever stops it becomes words and an exit code."""
    stopping = functools.partial(progress.say, STOPPING)
    at_once = functools.partial(_at_once, progress)
    try:
        with _commands_shown(progress), interruptible(stopping, at_once):
            code: int = options.run(options, progress)
            sys.stdout.flush()
    except errors.HarnessError as error:
        code = _told(error, options.json, progress)
    except KeyboardInterrupt:
        again = shlex.join(options.command)
        what = "interrupted; what is downloaded and compiled is kept"
        code = _told(errors.Interrupted(what, hint=again), options.json, progress)
    except BrokenPipeError:  # somebody's `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = errors.HOST_FAULT
    except OSError as error:
        code = _told(_of_system(error), options.json, progress)
    return code


def _at_once(progress: Progress) -> None:
    """End now, after a second Ctrl-C; guards end what we started."""
    with contextlib.suppress(OSError):
        os.write(2, b"\x1b[?25h\n" if progress.live else b"")  # the cursor is shown again
    os._exit(errors.INTERRUPTED)


@contextlib.contextmanager
def _commands_shown(progress: Progress) -> Iterator[None]:
    """With -v, show the programs that are started."""
    handler = logging.Handler()
    handler.emit = lambda record: progress.more(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("harness.process")
    if not progress.verbose:
        yield
        return
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)


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


def _told(error: errors.HarnessError, as_json: bool, progress: Progress) -> int:
    """Show an error to the person, or to the script."""
    if as_json:
        table = {"what": error.what, "hint": error.hint, "details": error.details}
        print(json.dumps({"error": table, "exit_code": error.exit_code}, indent=1))
    if error.details:
        progress.say(error.details)
    progress.say(f"harness: {error.what}")
    if error.hint:
        progress.say(f"  try: {error.hint}")
    if os.environ.get("GITHUB_ACTIONS") == "true":  # an annotation says it on the job's page
        importlib.import_module("harness.cli.formats").error_in_ci(error)
    return error.exit_code


def _of_system(error: OSError) -> errors.HarnessError:
    """Turn a fault of the system that no stage foresaw (disk full, no permission) into words."""
    where = f": {error.filename}" if error.filename else ""
    full = "free some space (harness clean), or set HARNESS_CACHE and HARNESS_STATE elsewhere"
    return errors.HostFault(f"{error.strerror or error}{where}", hint=full)


if __name__ == "__main__":
    sys.exit(main())
