# SPDX-License-Identifier: GPL-2.0-only
"""The parser of the command line, and what it says of words it does not know."""

from __future__ import annotations

import argparse
import difflib
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import NoReturn

from harness.errors import UsageError

_CHOICE = re.compile(r"argument (?P<name>.+): invalid choice: (?P<word>'.*?'|\S+) .*", re.DOTALL)
_LACKING = re.compile(r"the following arguments are required: (.+)", re.DOTALL)
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
            raise UsageError(f"{match[1]} is a {kind}, not {match[3]}", hint=hint)
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
    """Parse the words of one verb.  Raises UsageError; a word nearly right is told as it should be.

    Raises Answered for --help and --version.
    """
    options, unknown = top.parse_known_args(words)
    late = [word for word in unknown if word == "-" or not word.startswith("-")]
    if late == unknown and isinstance(getattr(options, "words", None), list):
        options.words += late  # argparse takes only words that stand together
        return options
    if not unknown:
        return options
    wrong = unknown[0]
    flag = wrong.partition("=")[0]
    near = nearest(flag, flags(top, verb)) if flag.startswith("-") else ""
    mended = [near + word.removeprefix(flag) if word == wrong else word for word in words]
    hint = shlex.join(["harness", *mended]) if near else f"harness {verb} --help"
    what = "option" if flag.startswith("-") else "place for"
    raise UsageError(f"harness {verb} has no {what} {flag}", hint=hint)


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
