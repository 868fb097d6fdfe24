# SPDX-License-Identifier: GPL-2.0-only
"""Read a kernel's Kconfig files as far as needed to explain why an option did not land.

Why not kconfiglib: its last release (14.1.0, 2020) stops at what 7.x kernels use
(``transitional``, ``modules`` as a property, ``depends on A if B``), and it works values out
itself, running the compiler for every $(cc-option,...).  The values we need are in the .config
that landed, so reading the structure is enough; nothing here decides what a .config holds.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from harness.kconfig.expression import Expression, Name, Not, Pair, read, tokens

_TYPES = ("bool", "tristate", "int", "hex", "string")
_PROPERTY = re.compile(
    r"(config|menuconfig|choice|menu|if|endif|endmenu|endchoice|comment|mainmenu|prompt|default"
    r"|def_bool|def_tristate|select|imply|range|bool|tristate|int|hex|string|depends|visible"
    r"|o?r?source|help)\b\s*(.*)$"
)
_COMMENT = re.compile(r"""("(?:[^"\\]|\\.)*")|#.*""")
_SOURCES = ("source", "rsource", "osource", "orsource")


@dataclasses.dataclass(frozen=True)
class Link:
    """Something that holds under a condition: a select's symbol, a default, a range."""

    text: str
    condition: tuple[Expression, ...] = ()


@dataclasses.dataclass
class Entry:
    """One definition of a symbol; ``depends`` has the surroundings' conditions too.

    ``visible`` are the conditions of its prompt, None when it has no prompt; ``choice`` numbers
    the choice it belongs to.
    """

    name: str
    where: str
    depends: list[Expression]
    kind: str = ""
    visible: list[Expression] | None = None
    choice: int | None = None
    selects: list[Link] = dataclasses.field(default_factory=list)
    ranges: list[Link] = dataclasses.field(default_factory=list)
    defaults: list[Link] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Options:
    """All definitions of a tree, by symbol, and who selects whom."""

    entries: dict[str, list[Entry]]

    def selectors(self, name: str) -> list[tuple[Entry, Link]]:
        """Give the definitions that select ``name``."""
        return [
            (entry, link)
            for entries in self.entries.values()
            for entry in entries
            for link in entry.selects
            if link.text == name
        ]


def options(source: Path, folder: str) -> Options:
    """Read a tree for the architecture whose folder below arch/ is ``folder``."""
    reader = _Reader(source, folder)
    reader.file("Kconfig")
    return Options(reader.entries)


@dataclasses.dataclass
class _Block:
    """What an if, menu or choice adds to everything inside it."""

    word: str
    depends: list[Expression] = dataclasses.field(default_factory=list)
    visible: list[Expression] = dataclasses.field(default_factory=list)
    choice: int | None = None


class _Reader:
    def __init__(self, source: Path, folder: str) -> None:
        self.source, self.folder = source, folder
        self.entries: dict[str, list[Entry]] = {}
        self.blocks: list[_Block] = []
        self.at: Entry | _Block | None = None
        self.choices = 0

    def file(self, name: str) -> None:
        """Read one file; one that is missing is the tree's affair, not ours."""
        path = self.source / name
        if not path.is_file():
            return
        for number, line in _lines(path.read_text(errors="replace")):
            if found := _PROPERTY.match(line):
                self.line(found[1], found[2], f"{name}:{number}")

    def line(self, word: str, rest: str, where: str) -> None:
        """Take one statement."""
        if word in _SOURCES:
            self._source(rest, where, relative="rsource" in word)
        elif word in ("config", "menuconfig"):
            self._entry(rest.strip(), where)
        elif word in ("if", "menu", "choice"):
            self._open(word, rest)
        elif word in ("endif", "endmenu", "endchoice"):
            del self.blocks[-1:]
            self.at = None
        elif word in ("comment", "mainmenu"):
            self.at = None
        elif isinstance(self.at, Entry):
            self._property(self.at, word, rest)
        elif isinstance(self.at, _Block):
            if word == "depends":
                self.at.depends += _dependency(rest)
            elif word == "visible":
                self.at.visible += _condition(rest)

    def _source(self, rest: str, where: str, *, relative: bool) -> None:
        name = re.sub(r"\$\((?:SRCARCH|ARCH)\)|\$SRCARCH", self.folder, rest.strip().strip('"'))
        above = Path(where.rpartition(":")[0]).parent if relative else Path()
        for path in sorted(self.source.glob(str(above / name))) if "$" not in name else []:
            self.file(str(path.relative_to(self.source)))

    def _open(self, word: str, rest: str) -> None:
        block = _Block(word)
        if word == "if":
            block.depends += filter(None, [read(_COMMENT.sub(r"\1", rest))])
        if word == "choice":
            self.choices += 1
            block.choice = self.choices
        self.blocks.append(block)
        self.at = block

    def _entry(self, name: str, where: str) -> None:
        self.at = Entry(name, where, [e for block in self.blocks for e in block.depends])
        if self.blocks and self.blocks[-1].choice:
            self.at.choice = self.blocks[-1].choice
        self.entries.setdefault(name, []).append(self.at)

    def _property(self, entry: Entry, word: str, rest: str) -> None:
        if word in (*_TYPES, "prompt"):
            entry.kind = word if word in _TYPES else entry.kind
            if rest.startswith(('"', "'")):
                around = [e for block in self.blocks for e in block.visible]
                entry.visible = around + _condition(rest)
        elif word in ("def_bool", "def_tristate"):
            entry.kind = word.removeprefix("def_")
            entry.defaults.append(_link(rest))
        elif word == "depends":
            entry.depends += _dependency(rest)
        elif word in ("select", "default", "range"):
            {"select": entry.selects, "default": entry.defaults, "range": entry.ranges}[
                word
            ].append(_link(rest))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Give the statements with their line numbers: lines joined, help texts and comments gone."""
    joined, first = "", 0
    help_indent: int | None = None  # -1 until the text's first line tells
    for number, line in enumerate(text.expandtabs().splitlines(), 1):
        bare = line.strip()
        indent = len(line) - len(line.lstrip())
        if help_indent is not None:
            if not bare or (indent and help_indent in (-1, indent)) or indent > help_indent >= 0:
                help_indent = indent if bare and help_indent == -1 else help_indent
                continue
            help_indent = None
        joined, first = joined + bare, first or number
        if joined.endswith("\\"):
            joined = joined[:-1] + " "
            continue
        if joined in ("help", "---help---"):
            help_indent = -1
        elif joined and not joined.startswith("#"):
            yield first, joined
        joined, first = "", 0


def _split(rest: str) -> tuple[list[str], str]:
    """Cut ``A B if C  # comment`` into the words before and the text behind the ``if``."""
    words = tokens(_COMMENT.sub(r"\1", rest))
    if "if" not in words:
        return words, ""
    at = words.index("if")
    return words[:at], " ".join(words[at + 1 :])


def _condition(rest: str) -> list[Expression]:
    found = read(_split(rest)[1])
    return [found] if found else []


def _link(rest: str) -> Link:
    words, condition = _split(rest)
    found = read(condition)
    return Link(" ".join(words), (found,) if found else ())


def _dependency(rest: str) -> list[Expression]:
    """Read ``on A`` and ``on A if B``, which means: A, or not B."""
    words, condition = _split(rest.removeprefix("on"))
    needed, when = read(" ".join(words)), read(condition)
    if needed is None:
        return []
    return [Pair("||", needed, Not(when)) if when else needed]


def is_macro(expression: Expression) -> bool:
    """Whether an expression is a question to the compiler."""
    return isinstance(expression, Name) and expression.text.startswith("$(")
