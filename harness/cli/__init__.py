# SPDX-License-Identifier: GPL-2.0-only
"""The command line.  Only this package prints results and chooses the exit code."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import itertools
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import harness
from harness import errors
from harness.cli import ending
from harness.cli.parser import (
    Answered,
    Commands,
    HelpFormatter,
    Parser,
    flags,
    nearest,
    parse,
    takes_value,
    verbs,
)
from harness.cli.verbs import VERBS
from harness.progress import Progress

__all__ = ["DESCRIPTION", "EPILOG", "VERBS", "main", "overview", "parser", "understood"]

DESCRIPTION = """\
Test what a patch series does to the kernel: apply it, build, boot in QEMU, run
pytest in the guest, and report with evidence what it fixes and what it breaks."""

EPILOG = f"""\
exit codes, as for `git bisect run`:
  {errors.GOOD} good, {errors.BAD} bad, {errors.UNTESTABLE} untestable (does not apply or configure,
  or does not build and no base was built either), {errors.HOST_FAULT} host fault or
  internal error, {errors.USAGE} usage error, {errors.INTERRUPTED} interrupted

`harness VERB --help` shows the options of a verb, with examples.
`pytest --kernel IMAGE PATH` runs your own tests on your own kernel image."""


def _top() -> tuple[Parser, Commands]:
    top = Parser("harness", description=DESCRIPTION, epilog=EPILOG, formatter_class=HelpFormatter)
    top.add_argument("--version", action="version", version=f"harness {harness.__version__}")
    return top, top.add_subparsers(dest="verb", metavar="VERB", required=True)


def parser(verb: str = "") -> Parser:
    """Build the parser for all verbs, or for one: doctor must work if run cannot be imported."""
    top, commands = _top()
    for name in (verb,) if verb in VERBS else VERBS:
        VERBS[name].add(name, commands)
    return top


def overview() -> Parser:
    """Build a parser that lists the verbs, but knows none of their arguments."""
    top, commands = _top()
    for name, verb in VERBS.items():
        commands.add_parser(name, help=verb.short)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return the exit code.  An unexpected exception never becomes a verdict."""
    words = list(sys.argv[1:] if argv is None else argv)
    progress, as_json = Progress(), "--json" in words
    try:
        if "_ARGCOMPLETE" in os.environ:
            importlib.import_module("harness.cli.completion").answer()
        _streams()
        if not words:
            print(importlib.import_module("harness.cli.first_steps").text(), end="")
            return ending.let_go(errors.USAGE)
        options = understood(words)
        progress = Progress(quiet=options.quiet, verbose=options.verbose)
        as_json = options.json
        code = _run(options, progress)
    except Answered:
        code = errors.GOOD
    except BaseException as error:  # every exception: none may become exit code 1
        code = ending.ended(error, words, progress, as_json=as_json)
    return ending.let_go(code)


def understood(words: Sequence[str]) -> argparse.Namespace:
    """Parse the command line.

    Raises UsageError with the command that was probably meant, or Answered for --help and
    --version.
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
    """Return the arguments that were probably meant if the first one is not a verb."""
    if _exists(words[0]):
        return ["run", *words]
    if words[0] == "help":
        near = nearest(words[1], VERBS) if words[1:] else ""
        return [near, "--help"] if near else ["--help"]
    near = nearest(words[0], VERBS)
    return [near, *words[1:]] if near else ["--help"]


def _without_verb(words: Sequence[str]) -> errors.UsageError:
    """Return the error for a command line that begins with an option; it suggests a command.

    Raises Answered for --help and --version.
    """
    head = itertools.takewhile(lambda word: word not in (*VERBS, "--"), words)
    if questions := [word for word in head if word in ("-h", "--help", "--version")]:
        overview().parse_args(questions)
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
    """Return the error for a command line that has an option but no verb."""
    top = parser()
    known = {"-", "--"}.union(*(flags(top, verb) for verb in verbs(top)))
    if first.partition("=")[0] in known - {"--help"}:
        what = "no verb given" if first in ("-", "--") else f"no verb given, only {first}"
        return errors.UsageError(what, hint=_command(["--help"]))
    near = nearest(first.partition("=")[0], ("--help", "--version"))
    return errors.UsageError(f"harness has no option {first}", hint=_command([near or "--help"]))


def _verb_first(words: Sequence[str]) -> Iterator[list[str]]:
    """Yield the command line with each argument that may be the verb moved to the front."""
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


def _exists(word: str) -> bool:
    with contextlib.suppress(OSError):  # the name may be too long
        return bool(word) and Path(word).exists()
    return False


def _run(options: argparse.Namespace, progress: Progress) -> int:
    """Run the verb; if one of our threads died, the result is a host fault instead of a verdict."""
    with (
        ending.threads_watched(progress) as faults,
        _commands_shown(progress),
        ending.interruptible(progress),
    ):
        code = VERBS[options.command[1]].run(options, progress)  # runs has a --verb of its own
        sys.stdout.flush()
    return errors.HOST_FAULT if faults else code


@contextlib.contextmanager
def _commands_shown(progress: Progress) -> Iterator[None]:
    """With -v, show each program that is started."""
    if not progress.verbose:
        yield
        return
    import logging

    handler = logging.Handler()
    handler.emit = lambda record: progress.more(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("harness.process")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _streams() -> None:
    """Make sure that the three standard streams are open and can print any character."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:  # else a new file takes its place
        os.set_inheritable(fd, True)
    os.close(fd)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a test may have replaced it
            stream.reconfigure(errors="backslashreplace")  # a terminal may only support ASCII
