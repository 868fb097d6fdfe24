# SPDX-License-Identifier: GPL-2.0-only
"""Which options decide what of the touched files is compiled.  Pure but for reading Makefiles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

_OBJECT = re.compile(r"^(?:obj|lib)-(?:\$\(CONFIG_(\w+)\)|y|m)\s*[:+]?=\s*(.*)$")
_PART = re.compile(r"^([\w-]+?)-(?:objs|y|m|\$\(CONFIG_(\w+)\))\s*[:+]?=\s*(.*)$")
_GUARD = re.compile(r"^\s*#\s*(?:el)?if(?:n?def)?\b|\bIS_(?:ENABLED|BUILTIN|MODULE|REACHABLE)\b")
_NAME = re.compile(r"\bCONFIG_(\w+)\b")


def options(tree: Path, files: Iterable[str], lines: Iterable[str]) -> tuple[str, ...]:
    """Give the options that guard ``files`` in Makefiles, and those in conditions of ``lines``.

    ``lines`` are what the series adds and removes.  Names are without CONFIG_.
    """
    found: dict[str, None] = {}
    for file in files:
        if file.endswith((".c", ".S")):
            found |= dict.fromkeys(_guards(tree, PurePosixPath(file)))
    for line in lines:
        if _GUARD.search(line):
            found |= dict.fromkeys(_NAME.findall(line))
    return tuple(found)


def _guards(tree: Path, file: PurePosixPath) -> Iterator[str]:
    """Give the options of a file's own object and of the folders above it."""
    name = f"{file.stem}.o"
    for folder in file.parents:
        rules = list(_rules(tree / folder))
        # What is part of a composite object hangs on that one's option.
        names = {name}
        for whole, option, objects in rules:
            if whole and names & objects:
                names.add(f"{whole}.o")
                if option:
                    yield option
        for whole, option, objects in rules:
            if not whole and option and names & objects:
                yield option
        name = f"{folder.name}/"


def _rules(folder: Path) -> Iterator[tuple[str, str, set[str]]]:
    """Give (composite object or "", option or "", objects) of a folder's Makefile."""
    file = next((one for one in (folder / "Kbuild", folder / "Makefile") if one.is_file()), None)
    if file is None:
        return
    for line in re.sub(r"\\\n", " ", file.read_text(errors="replace")).splitlines():
        text = line.split("#")[0].strip()
        if match := _OBJECT.match(text):
            yield "", match[1] or "", set(match[2].split())
        elif match := _PART.match(text):
            yield match[1], match[2] or "", set(match[3].split())
