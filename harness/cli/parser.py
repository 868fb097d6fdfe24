# SPDX-License-Identifier: GPL-2.0-only
"""The parser of the command line, and what it says of words it does not know."""

from __future__ import annotations

import argparse
import difflib
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from harness import options
from harness.errors import UsageError
from harness.lab import plan
from harness.model import Plan
from harness.options import CommandOption

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

_CHOICE = re.compile(r"argument (?P<name>.+): invalid choice: (?P<word>'.*?'|\S+) .*", re.DOTALL)
_LACKING = re.compile(r"the following arguments are required: (.+)", re.DOTALL)
_TO_PYTEST = ("run", "check")  # what stands behind -- is pytest's
_NUMBER = re.compile(r"argument (?:\S+/)?(\S+): invalid (int|float) value: (.+)", re.DOTALL)


class Help(argparse.RawDescriptionHelpFormatter):
    """Help in which each verb is a line: argparse forgets that it indents their list."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = 14


class Answered(Exception):
    """What was asked for is printed: the help, or the version."""


class Parser(argparse.ArgumentParser):
    """argparse's parser, whose complaints are UsageErrors with the one thing to try next."""

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """Write help; argparse's own is silent about what could not be written."""
        (file or sys.stderr).write(message)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Raise Answered: argparse calls this behind --help and --version."""
        raise Answered(message or status)

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong, with a hint."""
        hint = f"{self.prog} --help"
        if match := _CHOICE.fullmatch(message):
            word = match["word"].strip("'")
            choices = self._choices(match["name"])
            near = nearest(word, choices)
            name = match["name"]
            before = name if name.startswith("-") else self.prog
            hint = f"{before} {near}" if near else f"one of {', '.join(choices)}"
            raise UsageError(f"{name} is not {word!r}", hint=hint)
        if match := _LACKING.fullmatch(message):
            raise UsageError(f"{self.prog} needs {match[1]}", hint=hint)
        if match := _NUMBER.fullmatch(message):
            kind = "whole number" if match[2] == "int" else "number"
            raise UsageError(f"{match[1]}: expected a {kind}, got {match[3]}", hint=hint)
        raise UsageError(f"{self.prog}: {message}", hint=hint)

    def _choices(self, name: str) -> list[str]:
        flags = name.split("/")
        for action in self._actions:
            if action.choices and (set(flags) & set(action.option_strings) or action.dest == name):
                return [str(one) for one in action.choices]
        return []


def nearest(word: str, known: Iterable[str]) -> str:
    """Give the known word that is meant, or an empty one when none is near."""
    return next(iter(difflib.get_close_matches(word, list(known), 1, 0.6)), "")


def parse(top: Parser, verb: str, words: Sequence[str]) -> argparse.Namespace:
    """Parse the words of one verb; ``rest`` of the options are those behind ``--``.

    Raises UsageError; a word nearly right is told as it should be.  Raises Answered for --help and
    --version.
    """
    cut = words.index("--") if "--" in words else len(words)
    options, unknown = top.parse_known_args(words[:cut])
    options.rest = tuple(words[cut + 1 :])
    late = [word for word in unknown if word == "-" or not word.startswith("-")]
    if late == unknown and isinstance(getattr(options, "words", None), list):
        options.words += late  # argparse takes only words that stand together
        return options
    if not unknown:
        return options
    wrong = next((word for word in unknown if word not in late), "")
    if not wrong:
        what, hint = f"harness {verb}: unexpected argument: {late[0]}", f"harness {verb} --help"
        raise UsageError(what, hint=hint)
    flag = wrong.partition("=")[0]
    meant = _meant(verb, words[:cut], options.rest, unknown, nearest(flag, flags(top, verb)))
    raise UsageError(f"harness {verb} has no option {flag}", hint=meant)


def _meant(
    verb: str, words: Sequence[str], rest: Sequence[str], unknown: Sequence[str], near: str
) -> str:
    """Give the command that is meant by one with unknown options, which may be pytest's."""
    odd = [word for word in unknown if word.startswith("-") and word != "-"]
    flag = odd[0].partition("=")[0]
    if near:
        mended = [near + word.removeprefix(flag) if word == odd[0] else word for word in words]
        return shlex.join(["harness", *mended, *(("--", *rest) if rest else ())])
    if verb not in _TO_PYTEST or flag.startswith("--") or odd[0] not in words:
        return f"harness {verb} --help"
    then = words[words.index(odd[0]) + 1 :]
    if then and not then[0].startswith("-"):  # is it the option's?
        return f"harness {verb} SERIES -- {flag} ..."
    ours = [word for word in words if word not in odd]
    return shlex.join(["harness", *ours, "--", *odd, *rest])


def flags(top: argparse.ArgumentParser, verb: str) -> list[str]:
    """Give the options of a verb."""
    return [flag for action in verbs(top)[verb]._actions for flag in action.option_strings]


def takes_value(top: argparse.ArgumentParser, verb: str, flag: str) -> bool:
    """Whether the word behind this option of a verb is its value."""
    actions = [one for one in verbs(top)[verb]._actions if flag in one.option_strings]
    return any(action.nargs != 0 for action in actions)


def verbs(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Give the parsers of the verbs that ``top`` has."""
    kinds = [one for one in top._actions if isinstance(one, argparse._SubParsersAction)]
    return dict(kinds[0].choices) if kinds else {}


def add_options(parser: argparse.ArgumentParser, verb: str) -> None:
    """Add the options that the table has for a verb, by groups."""
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in options.of_verb(verb):
        group = groups.get(option.group) or parser.add_argument_group(option.group)
        groups[option.group] = group
        add_option(group, option)


def add_option(group: argparse._ActionsContainer, option: CommandOption) -> None:
    """Add an option to a parser or a group of its options."""
    names = [name for name in (option.short, option.flag) if name]
    group.add_argument(*names, dest=option.dest, **option.form)


def typed_plan(typed: argparse.Namespace, words: Sequence[str] | None = None) -> Plan:
    """Return the plan as the command line gives it; ``words`` are its own unless they are given.

    Raises UsageError for words that cannot be one series.
    """
    series, assignments = plan.tell(typed.words if words is None else words)
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
