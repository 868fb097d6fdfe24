# SPDX-License-Identifier: GPL-2.0-only
"""Write docs/reference/ and the man page from the parser and the model.

python docs/reference.py            write them
python docs/reference.py --check    exit code 1 if one of them is stale
"""

from __future__ import annotations

import argparse
import dataclasses
import enum
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

from harness import cli, model, settings
from harness.cli.parser import verbs
from harness.results.store import RUN_SCHEMA

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import schemas  # noqa: E402  it is found once its folder is known

MADE = "Made by docs/reference.py: change the sources it is made from, and run it."


@dataclasses.dataclass(frozen=True)
class Argument:
    """An option or a positional argument, and its help text."""

    words: str
    help: str


@dataclasses.dataclass(frozen=True)
class Verb:
    """A verb with its arguments by group, and the examples of its --help."""

    name: str
    short: str
    description: str
    groups: tuple[tuple[str, tuple[Argument, ...]], ...]
    epilog: str


def read() -> tuple[Verb, ...]:
    """Return all verbs of the real parser."""
    top = cli.parser()
    shorts = {
        choice.dest: choice.help or ""
        for action in top._actions
        if isinstance(action, argparse._SubParsersAction)
        for choice in action._choices_actions
    }
    return tuple(_verb(name, one, shorts[name]) for name, one in verbs(top).items())


def _verb(name: str, parser: argparse.ArgumentParser, short: str) -> Verb:
    formatter = parser._get_formatter()
    groups = []
    for group in parser._action_groups:
        found = tuple(
            Argument(_words(action), formatter._expand_help(action) if action.help else "")
            for action in group._group_actions
            if action.help != argparse.SUPPRESS and action.dest != "help"
        )
        title = {"positional arguments": "arguments"}.get(group.title or "", group.title or "")
        if found:
            groups.append((title, found))
    return Verb(name, short, parser.description or "", tuple(groups), parser.epilog or "")


def _words(action: argparse.Action) -> str:
    value = str(action.metavar or (action.choices and "|".join(map(str, action.choices))) or "")
    if not action.option_strings:
        name = value or action.dest
        return (
            f"[{name} ...]"
            if action.nargs == "*"
            else f"{name} ..." * (action.nargs == "+")
            or (f"[{name}]" if action.nargs == "?" else name)
        )
    takes = action.nargs != 0
    value = value or action.dest.upper()
    return ", ".join(action.option_strings) + (f" {value}" if takes else "")


def markdown(found: tuple[Verb, ...]) -> str:
    """Return the reference of the command line."""
    lines = [f"<!-- {MADE} -->", "# Command line", "", "```", cli.EPILOG, "```", ""]
    for verb in found:
        lines += [f"## harness {verb.name}", "", _paragraph(verb.description), ""]
        for title, arguments in verb.groups:
            lines += [f"**{title}**", "", "| | |", "|---|---|"]
            lines += [f"| `{_cell(a.words)}` | {_cell(a.help)} |" for a in arguments]
            lines.append("")
        if verb.epilog:
            lines += ["```text", verb.epilog.strip("\n"), "```", ""]
    return "\n".join(lines)


def _paragraph(text: str) -> str:
    return text.strip().replace("*", r"\*").replace("<", "&lt;")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def man(found: tuple[Verb, ...]) -> str:
    """Return the man page with all verbs."""
    lines = [f'.\\" {MADE}', '.TH HARNESS 1 "" "harness" "User Commands"', ".SH NAME"]
    lines += [r"harness \- test what a patch series does to the kernel", ".SH SYNOPSIS"]
    for verb in found:
        named = [a.words for title, some in verb.groups if title == "arguments" for a in some]
        lines += [f".B harness {verb.name}", _roff(" ".join(["[options]", *named])), ".br"]
    lines += [".SH DESCRIPTION", _roff(cli.DESCRIPTION), ".SH VERBS"]
    for verb in found:
        lines += [f".SS harness {verb.name}", _roff(verb.description)]
        for _, arguments in verb.groups:
            for one in arguments:
                lines += [".TP", rf"\fB{_roff(one.words)}\fR", _roff(one.help or "see above")]
        lines += [".PP", ".nf", _roff(verb.epilog.strip("\n")), ".fi"]
    lines += [".SH EXIT STATUS", ".nf", _roff(cli.EPILOG), ".fi", ".SH FILES"]
    for name, what in FILES:
        lines += [".TP", rf"\fI{_roff(name)}\fR", _roff(what)]
    lines += [".SH SEE ALSO", r".BR b4 (1), .BR git\-bisect (1), .BR qemu (1), .BR vng (1)"]
    return "\n".join(lines) + "\n"


FILES = (
    ("~/.cache/harness", "sources, worktrees, kernels; HARNESS_CACHE moves it"),
    ("~/.local/state/harness", "the runs and their history; HARNESS_STATE moves it"),
    ("pyproject.toml", "[tool.harness]: a project's defaults"),
    ("patches/NAME/series.toml", "what is known of a series"),
)


def _roff(text: str) -> str:
    """Escape text for roff."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    return "\n".join(rf"\&{line}" if line.startswith(".") else line for line in text.split("\n"))


def classes() -> Iterator[type]:
    """Return the classes that run.json is made of, in the order of their modules."""
    reached = schemas.definitions(model.Run)
    kinds = [getattr(model, name) for name in model.__all__ if name in reached]
    yield from sorted(kinds, key=lambda kind: (kind.__module__, _line(kind)))


def _line(kind: type) -> int:
    return inspect.getsourcelines(kind)[1]


def models() -> str:
    """Return the reference of run.json and of [tool.harness]."""
    lines = [f"<!-- {MADE} -->", "# What run.json holds", ""]
    lines += [
        f"`run.json` and `harness run --json` are a `Run` (schema {RUN_SCHEMA}). A path is a",
        "string, a tuple a list, an outcome its name. Later harnesses may add keys; they change",
        "what a key means only with another number of the schema. `run.schema.json` beside this",
        "file is the same for a program (JSON Schema 2020-12); other verbs have theirs there too.",
        "",
    ]
    for kind in (*classes(), settings.Settings):
        lines += [f"## {kind.__name__}", "", *_doc(kind), ""]
        if issubclass(kind, enum.Enum):
            lines += [", ".join(f"`{one.value}`" for one in kind), ""]
            continue
        lines += ["| field | type | default |", "|---|---|---|"]
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            default = "" if field.default is dataclasses.MISSING else f"`{_plain(field.default)}`"
            lines.append(f"| `{field.name}` | {_type(hints[field.name])} | {default} |")
        lines.append("")
    return "\n".join(lines)


def _doc(kind: type) -> list[str]:
    return [
        re.sub(r"``(.*?)``", r"`\1`", line)
        for line in inspect.cleandoc(kind.__doc__ or "").split("\n")
    ]


def _plain(value: object) -> str:
    return str(value.value) if isinstance(value, enum.Enum) else json.dumps(value, default=str)


def _type(hint: typing.Any) -> str:
    args = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return (
            f"list of {_type(args[0])}" if args[-1] is ... else f"({', '.join(map(_type, args))})"
        )
    if isinstance(hint, types.UnionType):
        return " or ".join("nothing" if one is type(None) else _type(one) for one in args)
    names = {"str": "text", "int": "number", "float": "number", "bool": "yes or no", "Path": "path"}
    return names.get(hint.__name__, hint.__name__)


def files() -> dict[Path, str]:
    """Return each generated file and its content."""
    found = read()
    return {
        HERE / "reference" / "cli.md": markdown(found),
        HERE / "reference" / "models.md": models(),
        **{
            HERE / "reference" / f"{verb}.schema.json": json.dumps(schema, indent=1) + "\n"
            for verb, schema in schemas.made(MADE).items()
        },
        HERE / "harness.1": man(found),
    }


def main(words: list[str]) -> int:
    """Write the files, or list those that are stale."""
    stale = [
        path for path, text in files().items() if not path.exists() or path.read_text() != text
    ]
    if "--check" in words:
        for path in stale:
            sys.stderr.write(f"{path.name} is stale: run python docs/reference.py\n")
        return bool(stale)
    for path in stale:
        path.write_text(files()[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
