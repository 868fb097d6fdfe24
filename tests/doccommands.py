# SPDX-License-Identifier: GPL-2.0-only
"""Find the commands in the documents, and check them with the real parser.

A block of commands (```sh) is run by tests/integration or, with ``<!-- run: boot -->`` before it,
by tests/boot.  ``<!-- parsed: WHY -->`` before it, or before all, says why it is only parsed.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

from harness import cli, errors
from harness.cli.parser import parse

ROOT = Path(__file__).parents[1]

_BLOCK = re.compile(
    r"(?:<!-- (?P<how>run|parsed): (?P<why>[^>]*?) -->\n+)?```(?P<kind>\w*)\n(?P<text>.*?)^```",
    re.DOTALL | re.MULTILINE,
)
_WHOLE = re.compile(r"<!-- (?P<how>parsed|run) throughout: (?P<why>[^>]*?) -->")
_STARTS = ("harness ", "$ harness ", ".venv/bin/harness ", "git bisect run harness ")


@dataclasses.dataclass(frozen=True)
class Block:
    """One block of commands; ``how`` is integration, boot or parsed."""

    file: Path
    line: int
    text: str
    how: str


@dataclasses.dataclass(frozen=True)
class Command:
    """One command of the harness in a document."""

    file: Path
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file.name}:{self.line}"


def documents() -> list[Path]:
    """Return the documents that people wrote."""
    files = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    return sorted(file for file in files if file.name != "cli.md")


def blocks(file: Path) -> list[Block]:
    """Return the blocks of commands in a document."""
    text = file.read_text()
    whole = _WHOLE.search(text)
    found = []
    for match in _BLOCK.finditer(text):
        if match["kind"] != "sh":
            continue
        how = match["how"] or (whole["how"] if whole else "")
        why = match["why"] or (whole["why"] if whole else "")
        line = text.count("\n", 0, match.start("text")) + 1
        kind = "parsed" if how == "parsed" else "boot" if why == "boot" else "integration"
        found.append(Block(file, line, match["text"], kind))
    return found


def unmarked(file: Path) -> list[int]:
    """Return the lines of blocks whose commands are not run, if no comment says why."""
    text = file.read_text()
    if _WHOLE.search(text):
        return []
    return [
        text.count("\n", 0, match.start("text")) + 1
        for match in _BLOCK.finditer(text)
        if match["kind"] != "sh"
        and any(line.lstrip().startswith(_STARTS) for line in match["text"].splitlines())
    ]


def commands() -> list[Command]:
    """Return every command of the harness in any document."""
    found = []
    for file in documents():
        text = file.read_text()
        for match in _BLOCK.finditer(text):
            first = text.count("\n", 0, match.start("text")) + 1
            for number, line in enumerate(match["text"].replace("\\\n", "  ").split("\n")):
                if line.lstrip().startswith(_STARTS):
                    words = _words(line)
                    found.append(Command(file, first + number, tuple(words)))
    return found


def _words(line: str) -> list[str]:
    """Return the words of a command, without redirections and the explanation behind it."""
    line = line.strip().removeprefix("$ ").removeprefix("git bisect run ")
    typed = line.split("   ")[0]
    lexer = shlex.shlex(typed, posix=True, punctuation_chars="|;&<>")
    lexer.whitespace_split = True
    words = list(lexer)
    end = next((n for n, word in enumerate(words) if word and word[0] in "|;&<>"), len(words))
    return words[:end]


def understood(words: list[str] | tuple[str, ...]) -> None:
    """Parse a command with the real parser.  Raises AssertionError when it is invalid."""
    given = list(words)[1:]
    given = given[: given.index("--")] if "--" in given else given
    if not given:
        return
    try:
        assert given[0] in cli.VERBS or given[0].startswith("-"), f"no verb {given[0]}"
        parse(cli.parser(given[0]), given[0], given)
    except SystemExit as end:  # --help
        if end.code:
            raise AssertionError(f"{given} ends with {end.code}") from None
    except errors.HarnessError as error:
        raise AssertionError(f"{error.what}; {error.hint}") from None
