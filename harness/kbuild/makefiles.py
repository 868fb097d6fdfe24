# SPDX-License-Identifier: GPL-2.0-only
"""Read Kbuild files as far as needed to know which options build a source file.

Why not kmax, whose klocalizer does this with symbolic conditions: see the package's README.  Only
assignments and conditionals that mention CONFIG_ options, and the few functions that such
assignments use, have a meaning here; recipes and everything else are skipped.
"""

from __future__ import annotations

import dataclasses
import functools
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from harness import git
from harness.kbuild.expression import ALWAYS, Expression, Name, Not, Pair, both, either, level

# Lists of objects that end up in the image, beside the composites named after their object.
_LISTS = {"obj", "lib", "core", "libs", "drivers", "net", "virt", "extra", "head", "vobjs"}
_ASSIGNMENT = re.compile(
    r"^(?:override\s+|export\s+)?((?:\$\((?:[^()]|\([^()]*\))*\)|[^\s:+?=#$])+)"
    r"\s*(\+|:|::|\?)?=\s*(.*)$"
)
_CONDITIONAL = re.compile(r"^(else\s+)?(ifdef|ifndef|ifeq|ifneq)\b\s*(.*)$")
_PAIR = re.compile(r"""^\((.*),(.*)\)$|^(["'])(.*)\3\s+(["'])(.*)\5$""")
_CONFIG = re.compile(r"CONFIG_(\w+)")
_REFERENCE = re.compile(r"\$[({]([\w-]+)[)}]")
_CALL = re.compile(r"\$\((addprefix|addsuffix|patsubst|sort|strip|wildcard|src-rel)\s+([^()$]*)\)")
_BESIDE = 2  # how deep a folder must be in the tree for the folders beside it to matter
_DEPTH = 8  # of variables that refer to variables


@dataclasses.dataclass(frozen=True)
class ObjectList:
    """An assignment of objects and folders (with a slash at the end) to a list.

    ``name`` is obj, lib, ... or the composite object that is made from them, such as "fs/x/y.o".
    """

    name: str
    members: frozenset[str]
    condition: Expression


class Makefiles:
    """The Kbuild files below ``root``, for the architecture in arch/``folder``.

    With ``commit``, ``root`` is a repository, and they are read from that commit when needed.
    """

    def __init__(self, root: Path, folder: str, bits: int = 64, commit: str = "") -> None:
        self.root, self.folder, self.commit = root, folder, commit
        self.variables = {"SRCARCH": folder, "ARCH": folder, "BITS": str(bits), "srctree": "."}
        self._text = functools.cache(self._read)
        self._lists = functools.cache(self._read_lists)
        self._of_folder = functools.cache(self._folder_condition)

    def condition(self, source: str) -> Expression | None:
        """Return when a source file is compiled; None if no Kbuild file mentions its object."""
        name = f"{posixpath.splitext(source)[0]}.o"
        found = self._object_condition(name, _above(name))
        return found or self._object_condition(name, self._beside(name))

    def option(self, source: str) -> str:
        """Return the option that a source file is compiled with; empty if it was not found.

        That is the nearest one: folders and objects that it is a part of may need others.
        """
        name = f"{posixpath.splitext(source)[0]}.o"
        return self._nearest_option(posixpath.dirname(name), name, frozenset())

    def _nearest_option(self, folder: str, member: str, seen: frozenset[str]) -> str:
        if not folder:
            return ""
        for entry in self._lists(folder):
            if member not in entry.members or entry.name in seen:
                continue
            last = entry.condition
            if isinstance(last, Pair) and last.operator == "&&":
                last = last.right  # what the assignment itself names
            if isinstance(last, Name) and last != ALWAYS:
                return last.text
            if entry.name.endswith(".o"):
                return self._nearest_option(folder, entry.name, seen | {member})
            break  # always compiled, if its folder is
        return self._nearest_option(posixpath.dirname(folder), f"{folder}/", seen)

    def _beside(self, name: str) -> Iterator[str]:
        """Yield the folders beside those above an object, for drivers spread over several."""
        for above in _above(name):
            if above.count("/") < _BESIDE:
                return
            for folder in sorted((self.root / above).glob("*/Makefile")):
                yield str(folder.parent.relative_to(self.root))

    def _object_condition(
        self, name: str, folders: Iterable[str], seen: frozenset[str] = frozenset()
    ) -> Expression | None:
        conditions = []
        for folder in folders:
            for entry in self._lists(folder):
                if name not in entry.members or entry.name in seen:
                    continue
                if entry.name.endswith(".o"):
                    outer = self._object_condition(entry.name, (folder,), seen | {name})
                else:
                    outer = self._of_folder(folder)
                if outer is not None:
                    conditions.append(both(entry.condition, outer))
        return either(conditions)

    def _folder_condition(self, folder: str) -> Expression | None:
        """Return when make enters a folder; None if no Kbuild file above mentions it."""
        if not folder:
            return ALWAYS
        conditions = []
        for above in _above(folder):
            outer = self._of_folder(above)
            for entry in self._lists(above) if outer is not None else ():
                if f"{folder}/" in entry.members and entry.name in _LISTS:
                    conditions.append(both(entry.condition, outer or ALWAYS))
        return either(conditions)

    def _read_lists(self, folder: str) -> tuple[ObjectList, ...]:
        names = ["Kbuild", "Makefile", f"arch/{self.folder}/Makefile"] if not folder else []
        own = (f"{folder}/Kbuild", f"{folder}/Makefile") if folder else ()
        names += [name for name in own if self._text(name)][:1]
        variables = dict(self.variables, src=folder or ".", obj=folder or ".")
        reader = _Reader(folder, variables, self._text)
        for name in names:
            reader.file(name)
        return tuple(reader.lists)

    def _read(self, name: str) -> str:
        """Return the text of a file; empty if there is none."""
        if self.commit:
            return git.content(self.root, self.commit, name) or ""
        path = self.root / name
        return path.read_text(errors="replace") if path.is_file() else ""


def _above(path: str) -> Iterator[str]:
    """Yield the folders above a path, the nearest first; the last is the empty name of the top."""
    while path:
        path = posixpath.dirname(path)
        yield path


@dataclasses.dataclass
class _Branch:
    """An open conditional: the condition of this branch, and those of the branches before it."""

    now: Expression
    before: list[Expression | None]


class _Reader:
    def __init__(self, folder: str, variables: dict[str, str], text: Callable[[str], str]) -> None:
        self.folder, self.variables, self.text = folder, variables, text
        self.lists: list[ObjectList] = []
        self.branches: list[_Branch] = []

    def file(self, name: str, depth: int = 0) -> None:
        """Read one file, and those that it includes from inside the tree."""
        for line in self.text(name).replace("\\\n", " ").split("\n"):
            if line.startswith("\t") and "=" not in line:
                continue  # a recipe
            statement = line.partition("#")[0].strip()
            if statement.startswith("include ") and depth < _DEPTH:
                for other in self.expand(statement[8:]).split():
                    if "$" not in other and not other.startswith(("scripts/", "/")):
                        self.file(posixpath.normpath(other), depth + 1)
            elif statement:
                self.statement(statement)

    def statement(self, line: str) -> None:
        """Process a conditional or an assignment; anything else has no meaning here."""
        if match := _CONDITIONAL.match(line):
            before = []
            if match[1] and self.branches:
                before = self.branches.pop().before
            own = self._test(match[2], match[3])
            self._branch(own, before)
        elif line == "else":
            if self.branches:
                self._branch(ALWAYS, self.branches.pop().before)
        elif line == "endif":
            del self.branches[-1:]
        elif match := _ASSIGNMENT.match(line):
            self._assign(match[1], match[2] or "", match[3])

    def _branch(self, own: Expression | None, before: list[Expression | None]) -> None:
        # What is not understood may be true or false: both branches count.
        others = [Not(condition) for condition in before if condition is not None]
        now = functools.reduce(both, others, own or ALWAYS)
        self.branches.append(_Branch(now, [*before, own]))

    def _test(self, word: str, rest: str) -> Expression | None:
        """Return the condition of ifdef, ifeq, ...; None if it is not understood."""
        negated = word in ("ifndef", "ifneq")
        if word in ("ifdef", "ifndef"):
            names = _CONFIG.findall(rest)
            condition: Expression | None = Name(names[0]) if names else None
        else:
            condition = self._equal(rest)
        return Not(condition) if negated and condition is not None else condition

    def _equal(self, rest: str) -> Expression | None:
        match = _PAIR.match(rest.strip())
        if match is None:
            return None
        left, right = (match[1], match[2]) if match[3] is None else (match[4], match[6])
        left, right = self.expand(left.strip()), self.expand(right.strip())
        if _CONFIG.search(right):
            left, right = right, left
        names: list[Expression] = [Name(name) for name in _CONFIG.findall(left)]
        if not names:
            # The top Makefile tests how make was called, which is not known here.
            known = "$" not in left + right and self.folder
            return (ALWAYS if left == right else Not(ALWAYS)) if known else None
        if right in ("", "n"):  # none of them is on
            return Not(either(names) or ALWAYS)
        if set(right) == {"y"} and len(right) == len(names):
            return functools.reduce(both, names)
        return Pair("=", names[0], Name("m")) if (right, len(names)) == ("m", 1) else None

    def _assign(self, name: str, how: str, text: str) -> None:
        if _REFERENCE.fullmatch(f"$({name})"):
            text = text.replace(f"$({name})", "")
            old = self.variables.get(name, "") if how == "+" else ""
            if not (how == "?" and name in self.variables):
                self.variables[name] = f"{old} {text}".strip()
        condition = functools.reduce(both, (branch.now for branch in self.branches), ALWAYS)
        stem, own = _list_name(name)
        if not stem:
            return
        members = frozenset(self._members(self.expand(text)))
        if members and level(own, {}) is not None:
            name = stem if stem in _LISTS else self._path(f"{stem}.o")
            self.lists.append(ObjectList(name, members, both(condition, own)))

    def _members(self, text: str) -> Iterator[str]:
        for word in text.split():
            if word.endswith((".o", "/")) and "$" not in word:
                yield self._path(word) + ("/" if word.endswith("/") else "")

    def _path(self, word: str) -> str:
        inside = self.folder and word.startswith(f"{self.folder}/")
        return posixpath.normpath(word if inside else posixpath.join(self.folder, word))

    def expand(self, text: str, depth: int = 0) -> str:
        """Replace variables and the functions that lists of objects use; options stay."""

        def value(match: re.Match[str]) -> str:
            known = self.variables.get(match[1])
            keep = known is None or match[1].startswith("CONFIG_") or depth >= _DEPTH
            return match[0] if keep else self.expand(known or "", depth + 1)

        if "$" not in text:
            return text
        text = _REFERENCE.sub(value, text)
        for _ in range(_DEPTH):
            shorter = _CALL.sub(_call, text)
            if shorter == text:
                break
            text = shorter
        return text


def _call(match: re.Match[str]) -> str:
    """Evaluate a function whose arguments have no more references."""
    name, arguments = match[1], [part.strip() for part in match[2].split(",")]
    words = arguments[-1].split()
    if name == "addprefix":
        return " ".join(arguments[0] + word for word in words)
    if name == "addsuffix":
        return " ".join(word + arguments[0] for word in words)
    if name == "patsubst" and len(arguments) == 3:
        old, new = (part.partition("%") for part in arguments[:2])
        return " ".join(
            new[0] + word.removeprefix(old[0]).removesuffix(old[2]) + new[2] for word in words
        )
    return " ".join(words) if name in ("sort", "strip") else ""


def _list_name(name: str) -> tuple[str, Expression]:
    """Split ``foo-$(CONFIG_X)`` into foo and X; the stem is empty if this is no list of objects."""
    stem, dash, suffix = name.partition("-$")
    if dash:
        names: Iterable[Expression] = map(Name, _CONFIG.findall(suffix))
        condition = (
            either(names) if suffix.startswith("(or ") else functools.reduce(both, names, ALWAYS)
        )
        return stem.removesuffix("-objs"), condition or ALWAYS
    stem, dash, suffix = name.rpartition("-")
    return (stem.removesuffix("-objs"), ALWAYS) if suffix in ("y", "m", "objs") else ("", ALWAYS)
