# SPDX-License-Identifier: GPL-2.0-only
"""Read a kernel's Kconfig files as far as needed to choose options, and to explain refused ones.

Why not kconfiglib: its last release (14.1.0, 2020) fails on syntax used by 7.x kernels
(``transitional``, ``modules`` as a property, ``depends on A if B``), and it evaluates symbols
itself, running the compiler for every $(cc-option,...).  The values we need are in the resulting
.config, so reading the structure is enough; nothing here determines the content of a .config.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator
from pathlib import Path

from harness.kbuild.expression import Expression, Name, Not, Pair, read, tokens

_TYPES = ("bool", "tristate", "int", "hex", "string")
_PROPERTY = re.compile(
    r"(config|menuconfig|choice|menu|if|endif|endmenu|endchoice|comment|mainmenu|prompt|default"
    r"|def_bool|def_tristate|select|imply|range|bool|tristate|int|hex|string|depends|visible"
    r"|o?r?source|help)\b\s*(.*)$"
)
_COMMENT = re.compile(r"""("(?:[^"\\]|\\.)*")|#.*""")
_SOURCES = ("source", "rsource", "osource", "orsource")


@dataclasses.dataclass(frozen=True)
class Conditional:
    """Something that applies under a condition: the symbol of a select, or a range."""

    text: str
    condition: tuple[Expression, ...] = ()


@dataclasses.dataclass
class KconfigEntry:
    """One definition of a symbol; ``depends`` includes the conditions of enclosing blocks.

    ``visible`` are the conditions of its prompt, None if it has no prompt; ``choice`` is the
    number of the choice it belongs to.
    """

    name: str
    where: str
    depends: list[Expression]
    type: str = ""
    visible: list[Expression] | None = None
    choice: int | None = None
    selects: list[Conditional] = dataclasses.field(default_factory=list)
    defaults: list[Conditional] = dataclasses.field(default_factory=list)
    ranges: list[Conditional] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class KconfigOptions:
    """All definitions of a tree, by symbol."""

    entries: dict[str, list[KconfigEntry]]

    def selectors(self, name: str) -> list[tuple[KconfigEntry, Conditional]]:
        """Return the definitions that select ``name``, each with its select."""
        return self._selectors.get(name, [])

    @functools.cached_property
    def _selectors(self) -> dict[str, list[tuple[KconfigEntry, Conditional]]]:
        by_name: dict[str, list[tuple[KconfigEntry, Conditional]]] = {}
        for entries in self.entries.values():
            for entry in entries:
                for select in entry.selects:
                    by_name.setdefault(select.text, []).append((entry, select))
        return by_name

    def members(self, choice: int) -> tuple[str, ...]:
        """Return the names of a choice's members."""
        return self._members.get(choice, ())

    @functools.cached_property
    def _members(self) -> dict[int, tuple[str, ...]]:
        by_choice: dict[int, tuple[str, ...]] = {}
        for name, entries in self.entries.items():
            for choice in {entry.choice for entry in entries if entry.choice}:
                by_choice[choice] = (*by_choice.get(choice, ()), name)
        return by_choice


def read_kconfig(source: Path, folder: str) -> KconfigOptions:
    """Read the Kconfig files of a tree for the architecture in arch/``folder``."""
    reader = _KconfigReader(source, folder)
    reader.file("Kconfig")
    return KconfigOptions(reader.entries)


@dataclasses.dataclass
class _Block:
    """What an if, menu or choice adds to all entries inside it."""

    depends: list[Expression] = dataclasses.field(default_factory=list)
    visible: list[Expression] = dataclasses.field(default_factory=list)
    choice: int | None = None


class _KconfigReader:
    def __init__(self, source: Path, folder: str) -> None:
        self.source, self.folder = source, folder
        self.entries: dict[str, list[KconfigEntry]] = {}
        self.blocks: list[_Block] = []
        self.current: KconfigEntry | _Block | None = None
        self.choices = 0

    def file(self, name: str) -> None:
        """Read one file; a missing file is reported by the tree's own tools."""
        path = self.source / name
        if not path.is_file():
            return
        for number, line in _lines(path.read_text(errors="replace")):
            if match := _PROPERTY.match(line):
                self.line(match[1], match[2], f"{name}:{number}")

    def line(self, word: str, rest: str, where: str) -> None:
        """Process one statement."""
        if word in _SOURCES:
            self._source(rest, where, relative="rsource" in word)
        elif word in ("config", "menuconfig"):
            self._entry(rest.strip(), where)
        elif word in ("if", "menu", "choice"):
            self._open_block(word, rest)
        elif word in ("endif", "endmenu", "endchoice"):
            del self.blocks[-1:]
            self.current = None
        elif word in ("comment", "mainmenu"):
            self.current = None
        elif isinstance(self.current, KconfigEntry):
            self._property(self.current, word, rest)
        elif isinstance(self.current, _Block):
            if word == "depends":
                self.current.depends += _dependency(rest)
            elif word == "visible":
                self.current.visible += _condition(rest)

    def _source(self, rest: str, where: str, *, relative: bool) -> None:
        name = re.sub(r"\$\((?:SRCARCH|ARCH)\)|\$SRCARCH", self.folder, rest.strip().strip('"'))
        above = Path(where.rpartition(":")[0]).parent if relative else Path()
        for path in sorted(self.source.glob(str(above / name))) if "$" not in name else []:
            self.file(str(path.relative_to(self.source)))

    def _open_block(self, word: str, rest: str) -> None:
        block = _Block()
        if word == "if":
            block.depends += filter(None, [read(_COMMENT.sub(r"\1", rest))])
        if word == "choice":
            self.choices += 1
            block.choice = self.choices
        self.blocks.append(block)
        self.current = block

    def _entry(self, name: str, where: str) -> None:
        entry = KconfigEntry(name, where, [e for block in self.blocks for e in block.depends])
        if self.blocks and self.blocks[-1].choice:
            entry.choice = self.blocks[-1].choice
        self.entries.setdefault(name, []).append(entry)
        self.current = entry

    def _property(self, entry: KconfigEntry, word: str, rest: str) -> None:
        if word in (*_TYPES, "prompt"):
            entry.type = word if word in _TYPES else entry.type
            if rest.startswith(('"', "'")):
                around = [e for block in self.blocks for e in block.visible]
                entry.visible = around + _condition(rest)
        elif word in ("def_bool", "def_tristate"):
            entry.type = word.removeprefix("def_")
            entry.defaults.append(_conditional(rest))
        elif word == "default":
            entry.defaults.append(_conditional(rest))
        elif word == "depends":
            entry.depends += _dependency(rest)
        elif word == "select":
            entry.selects.append(_conditional(rest))
        elif word == "range":
            entry.ranges.append(_conditional(rest))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield statements with their line numbers, continued lines joined, without help texts."""
    joined, first = "", 0
    help_indent: int | None = None  # of a help text; -1 until its first line
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
    """Split ``A B if C  # comment`` into the tokens before and the text after the ``if``."""
    parts = tokens(_COMMENT.sub(r"\1", rest))
    if "if" not in parts:
        return parts, ""
    at = parts.index("if")
    return parts[:at], " ".join(parts[at + 1 :])


def _condition(rest: str) -> list[Expression]:
    condition = read(_split(rest)[1])
    return [condition] if condition else []


def _conditional(rest: str) -> Conditional:
    return Conditional(" ".join(_split(rest)[0]), tuple(_condition(rest)))


def _dependency(rest: str) -> list[Expression]:
    """Parse ``on A``, or ``on A if B``, which means: A, or not B."""
    parts, condition = _split(rest.removeprefix("on"))
    needed, when = read(" ".join(parts)), read(condition)
    if needed is None:
        return []
    return [Pair("||", needed, Not(when)) if when else needed]


def is_macro(expression: Expression) -> bool:
    """Whether an expression is a macro call, such as a compiler check."""
    return isinstance(expression, Name) and expression.text.startswith("$(")
