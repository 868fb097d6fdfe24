# SPDX-License-Identifier: GPL-2.0-only
"""The parser of the command line, and its hints for what it cannot parse."""

from __future__ import annotations

import argparse
import difflib
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from harness import options, paths
from harness.cli.verbs import VERBS
from harness.errors import UsageError
from harness.model import Plan

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

_CHOICE = re.compile(r"argument (?P<name>.+): invalid choice: (?P<word>'.*?'|\S+) .*", re.DOTALL)
_MISSING = re.compile(r"the following arguments are required: (.+)", re.DOTALL)
_NUMBER = re.compile(r"argument (?:\S+/)?(\S+): invalid (int|float) value: (.+)", re.DOTALL)
_ASSIGNMENT = re.compile(r"(CONFIG_)?[A-Z][A-Z0-9_]*=.*")

_TO_PYTEST = ("run", "check")  # verbs that pass the arguments after -- to pytest


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help with one line per verb: argparse does not account for the indentation of their list."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = 14


class Answered(Exception):
    """--help or --version was given, and its output has been printed."""


class Parser(argparse.ArgumentParser):
    """argparse's parser; its errors become UsageErrors with a hint."""

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """Write the help; argparse's own method would hide write errors."""
        (file or sys.stderr).write(message)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Raise Answered: argparse calls this after --help and --version."""
        raise Answered(message or status)

    def error(self, message: str) -> NoReturn:
        """Raise a UsageError with a hint."""
        hint = f"{self.prog} --help"
        if match := _CHOICE.fullmatch(message):
            name, word = match["name"], match["word"].strip("'")
            choices = self._choices(name)
            near = nearest(word, choices)
            before = name if name.startswith("-") else self.prog
            hint = f"{before} {near}" if near else f"one of {', '.join(choices)}"
            raise UsageError(f"{name} cannot be {word!r}", hint=hint)
        if match := _MISSING.fullmatch(message):
            raise UsageError(f"{self.prog} needs {match[1]}", hint=hint)
        if match := _NUMBER.fullmatch(message):
            kind = "whole number" if match[2] == "int" else "number"
            raise UsageError(f"{match[1]}: expected a {kind}, got {match[3]}", hint=hint)
        raise UsageError(f"{self.prog}: {message}", hint=hint)

    def _choices(self, name: str) -> list[str]:
        names = set(name.split("/"))
        for action in self._actions:
            if action.choices and (names & set(action.option_strings) or action.dest == name):
                return [str(choice) for choice in action.choices]
        return []


#: The argparse object that verbs are added to.
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def add_verb(
    commands: Commands,
    name: str,
    description: str,
    examples: str,
) -> argparse.ArgumentParser:
    """Add a verb with the options that all verbs have; return its parser."""
    parser = commands.add_parser(
        name,
        help=VERBS[name].short,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    volume = parser.add_mutually_exclusive_group()
    volume.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    volume.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="show the commands that are started, and pytest's output",
    )
    return parser


def add_options(parser: argparse.ArgumentParser, verb: str) -> None:
    """Add the options that harness.options defines for a verb, in their groups."""
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in options.of_verb(verb):
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group)
        groups[option.group].add_argument(option.flag, dest=option.dest, **option.form)


def typed_plan(typed: argparse.Namespace, words: Sequence[str] | None = None) -> Plan:
    """Return the plan of the command line; ``words`` replace its positional arguments.

    Raises UsageError if they name more than one series.
    """
    words = typed.words if words is None else words
    assignments = tuple(word for word in words if _ASSIGNMENT.fullmatch(word))
    series = tuple(word for word in words if word not in assignments)
    if len(series) > 1 and not all(paths.expanded(word).is_file() for word in series):
        raise UsageError(
            f"one series at a time, not {len(series)}: {' '.join(series)}",
            hint="name suites with --suite PATH, pytest's own arguments after --",
        )
    fields = {
        option.plan: getattr(typed, option.dest)
        for option in options.of_verb(typed.verb)
        if option.plan
    }
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return Plan(
        folder=Path.cwd(),
        series_words=series,
        assignments=assignments,
        pytest_args=typed.rest if typed.verb in _TO_PYTEST else (),
        **{**fields, **lists},
    )


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known name that ``word`` resembles; empty if there is none."""
    return next(iter(difflib.get_close_matches(word, list(known), 1, 0.6)), "")


def parse(top: Parser, verb: str, words: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of one verb; ``rest`` contains those after ``--``.

    Raises UsageError with the command that was probably meant, or Answered for --help and
    --version.
    """
    cut = words.index("--") if "--" in words else len(words)
    typed, unknown = top.parse_known_args(words[:cut])
    typed.rest = tuple(words[cut + 1 :])
    late = [word for word in unknown if word == "-" or not word.startswith("-")]
    if late == unknown and isinstance(getattr(typed, "words", None), list):
        typed.words += late  # argparse accepts only adjacent positional arguments
        return typed
    if not unknown:
        return typed
    wrong = next((word for word in unknown if word not in late), "")
    if not wrong:
        what = f"harness {verb}: unexpected argument: {late[0]}"
        raise UsageError(what, hint=f"harness {verb} --help")
    flag = wrong.partition("=")[0]
    meant = _meant(verb, words[:cut], typed.rest, unknown, nearest(flag, flags(top, verb)))
    raise UsageError(f"harness {verb} has no option {flag}", hint=meant)


def _meant(
    verb: str, words: Sequence[str], rest: Sequence[str], unknown: Sequence[str], near: str
) -> str:
    """Return the command that was probably meant; options unknown to us may be pytest's."""
    odd = [word for word in unknown if word.startswith("-") and word != "-"]
    flag = odd[0].partition("=")[0]
    if near:
        mended = [near + word.removeprefix(flag) if word == odd[0] else word for word in words]
        return shlex.join(["harness", *mended, *(("--", *rest) if rest else ())])
    if verb not in _TO_PYTEST or flag.startswith("--") or odd[0] not in words:
        return f"harness {verb} --help"
    behind = words[words.index(odd[0]) + 1 :]
    if behind and not behind[0].startswith("-"):  # this may be the option's value
        return f"harness {verb} SERIES -- {flag} ..."
    ours = [word for word in words if word not in odd]
    return shlex.join(["harness", *ours, "--", *odd, *rest])


def flags(top: argparse.ArgumentParser, verb: str) -> list[str]:
    """Return the options of a verb."""
    return [flag for action in verbs(top)[verb]._actions for flag in action.option_strings]


def takes_value(top: argparse.ArgumentParser, verb: str, flag: str) -> bool:
    """Whether this option of a verb takes a value."""
    actions = [a for a in verbs(top)[verb]._actions if flag in a.option_strings]
    return any(action.nargs != 0 for action in actions)


def verbs(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each verb in ``top``."""
    actions = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(actions[0].choices) if actions else {}
