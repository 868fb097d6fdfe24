# SPDX-License-Identifier: GPL-2.0-only
"""The command line: a verb is a file.  Only here is printed and an exit code chosen."""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import io
import itertools
import logging
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import harness
from harness import errors
from harness.cli import ending
from harness.cli.interrupts import interruptible
from harness.cli.parser import (
    Answered,
    Help,
    Parser,
    flags,
    nearest,
    parse,
    takes_value,
    verbs,
)
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

STOPPING = "stopping; results so far are kept (Ctrl-C again stops at once)"

EPILOG = f"""\
exit codes: {errors.GOOD} good, {errors.BAD} bad, {errors.UNTESTABLE} untestable (does not apply or
configure; does not build, where no base did), {errors.HOST_FAULT} a fault of this machine
or of the harness, {errors.USAGE} usage, {errors.INTERRUPTED} interrupted.  They fit
`git bisect run`.

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
    """Run one verb; gives the exit code, which whatever nobody foresaw does not make a verdict."""
    words = list(sys.argv[1:] if argv is None else argv)
    progress, as_json = Progress(), "--json" in words
    try:
        if "_ARGCOMPLETE" in os.environ:
            importlib.import_module("harness.cli.completion").answer()
        _streams()
        if not words:
            print(importlib.import_module("harness.cli.first").words(), end="")
            return ending.let_go(errors.USAGE)
        options = understood(words)
        progress = Progress(quiet=options.quiet, verbose=options.verbose)
        as_json = options.json
        code = _run(options, progress)
    except Answered:
        code = errors.GOOD
    except BaseException as error:  # of any kind: none may become exit code 1
        code = ending.ended(error, words, progress, as_json=as_json)
    return ending.let_go(code)


def understood(words: Sequence[str]) -> argparse.Namespace:
    """Understand the command line.

    Raises UsageError with the command that was meant, Answered for --help and --version.
    """
    verb = words[0]
    if verb.startswith("-"):
        raise _without_verb(words)
    if verb not in VERBS:
        raise errors.UsageError(f"there is no verb {verb!r}", hint=_command(_with_verb(words)))
    options = parse(parser(verb), verb, words)
    options.command = ("harness", *words)
    return options


def _with_verb(words: Sequence[str]) -> list[str]:
    """Give the words that are meant by those whose first is no verb."""
    if _is_there(words[0]):
        return ["run", *words]
    if words[0] == "help":
        near = nearest(words[1], VERBS) if words[1:] else ""
        return [near, "--help"] if near else ["--help"]
    near = nearest(words[0], VERBS)
    return [near, *words[1:]] if near else ["--help"]


def _without_verb(words: Sequence[str]) -> errors.UsageError:
    """Give what is wrong with a command line that begins with an option, and how it is meant.

    Raises Answered where --help or --version is asked for.
    """
    head = itertools.takewhile(lambda word: word not in (*VERBS, "--"), words)
    if asked := [word for word in head if word in ("-h", "--help", "--version")]:
        parser().parse_args(asked)
    fault = None
    for number, meant in enumerate(_verb_first(words)):
        try:
            understood(meant)
        except errors.UsageError as error:
            fault = error if number == 0 and meant[0] in words else fault
        else:
            return errors.UsageError(f"the verb must come before {words[0]}", hint=_command(meant))
    return fault or _no_verb(words[0])


def _no_verb(first: str) -> errors.UsageError:
    """Give what is wrong with a command line that has an option and no verb."""
    top = parser()
    known = {"-", "--"}.union(*(flags(top, verb) for verb in verbs(top)))
    if first.partition("=")[0] in known - {"--help"}:
        what = "no verb given" if first in ("-", "--") else f"no verb given, only {first}"
        return errors.UsageError(what, hint=_command(["--help"]))
    near = nearest(first.partition("=")[0], ("--help", "--version"))
    return errors.UsageError(f"harness has no option {first}", hint=_command([near or "--help"]))


def _verb_first(words: Sequence[str]) -> Iterator[list[str]]:
    """Give the words with what may be the verb in front."""
    cut = words.index("--") if "--" in words else len(words)
    for at, word in enumerate(words[:cut]):
        if word in VERBS and not takes_value(parser(word), word, words[at - 1]):
            yield [word, *words[:at], *words[at + 1 :]]
    if cut + 1 < len(words) and words[cut + 1] in VERBS:
        yield [words[cut + 1], *words[:cut], *words[cut + 2 :]]
    for at, word in enumerate(words[:cut]):
        if not word.startswith("-") and (near := nearest(word, VERBS)):
            yield [near, *words[:at], *words[at + 1 :]]
    if any(not word.startswith("-") for word in words[:cut]):
        yield ["run", *words]


def _command(words: Sequence[str]) -> str:
    return shlex.join(["harness", *words])


def _is_there(word: str) -> bool:
    with contextlib.suppress(OSError):  # a name can be too long
        return bool(word) and Path(word).exists()
    return False


def _run(options: argparse.Namespace, progress: Progress) -> int:
    """Run the verb; a thread of ours that died leaves no verdict either."""
    stopping = functools.partial(progress.say, STOPPING)
    at_once = functools.partial(_at_once, progress)
    with (
        ending.threads_heard(progress) as faults,
        _commands_shown(progress),
        interruptible(stopping, at_once),
    ):
        code: int = options.run(options, progress)
        sys.stdout.flush()
    return errors.HOST_FAULT if faults else code


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
