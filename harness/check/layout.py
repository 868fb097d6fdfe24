# SPDX-License-Identifier: GPL-2.0-only
"""How structures are laid out in memory, before a patch and after it, by pahole."""

from __future__ import annotations

import difflib
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from harness import process
from harness.model import Finding, Kernel, Severity

LIMIT = 300.0  # seconds; a kernel of 150 MB takes four
SHOWN = 12  # structures that are named
_NAMES = 4  # members that are named

_BEGIN = re.compile(r"^(struct|union) (\w+) \{$")
_MEMBER = re.compile(r"^\t.*?(\w+|\))(?:\[\d*\])*(?:\s*:\d+)?(?: __attribute__\(.*\))?;\s*"
                     r"/\*\s*(\d+)(?::\s*\d+)?\s+\d+ \*/")  # fmt: skip
_POINTER = re.compile(r"\(\*\s*(\w+)\)")
_SIZE = re.compile(r"^\t/\* size: (\d+),", re.MULTILINE)

Layouts = Mapping[str, str]


def installed() -> bool:
    """Whether pahole is installed."""
    return shutil.which("pahole") is not None


def read(kernel: Kernel) -> Layouts | None:
    """Give each structure of a kernel as pahole shows it; None if it has no debug info."""
    if kernel.vmlinux is None:
        return None
    said = process.run(["pahole", kernel.vmlinux], timeout=LIMIT, check=False)
    return parse(said.stdout) if said.ok and said.stdout else None


def parse(text: str) -> Layouts:
    """Take pahole's output apart, by ``struct name``."""
    found: dict[str, str] = {}
    name, lines = "", list[str]()
    for line in text.splitlines():
        if match := _BEGIN.match(line):
            name, lines = f"{match[1]} {match[2]}", []
        elif line.startswith("}") and name:
            found.setdefault(name, "\n".join(lines))
            name = ""
        else:
            lines.append(line)
    return found


def compare(before: Layouts, after: Layouts) -> tuple[Finding, ...]:
    """Give a line for each structure that is new, gone, or laid out otherwise."""
    names = [*after, *(name for name in before if name not in after)]
    found = [
        Finding(Severity.NOTE, text, rule=name, same=name)
        for name in names
        if before.get(name) != after.get(name)
        and (text := _line(name, before.get(name), after.get(name)))
    ]
    more = len(found) - SHOWN
    rest = (
        [Finding(Severity.NOTE, f"{more} more structures differ", rule="more")] if more > 0 else []
    )
    return (*found[:SHOWN], *rest)


def difference(before: Layouts, after: Layouts) -> str:
    """Write what differs in full, as a diff."""
    lines: list[str] = []
    for name in dict.fromkeys((*before, *after)):
        old, new = (f"{name} {{\n{side[name]}\n}}\n" if name in side else ""
                    for side in (before, after))  # fmt: skip
        if old != new:
            words = (old.splitlines(), new.splitlines(), f"before/{name}", f"after/{name}")
            lines += difflib.unified_diff(*words, n=99, lineterm="")
    return "".join(f"{line}\n" for line in lines)


def _line(name: str, old: str | None, new: str | None) -> str:
    if old is None or new is None:
        return f"{name}: " + (f"new, {_size(new)} bytes" if new is not None else "gone")
    sizes = (_size(old), _size(new))
    what = f"{sizes[0]} to {sizes[1]} bytes" if sizes[0] != sizes[1] else f"{sizes[0]} bytes still"
    had, has = _members(old), _members(new)
    added = [one for one in has if one not in had]
    lost = [one for one in had if one not in has]
    moved = [one for one in has if one in had and had[one] != has[one]]
    parts = [
        f"{word} {', '.join(some[:_NAMES])}{' ...' if len(some) > _NAMES else ''}"
        for word, some in (("new", added), ("without", lost), ("moved", moved))
        if some
    ]
    if not parts and sizes[0] == sizes[1]:
        return ""  # another type of the same size in the same place
    return f"{name}: {what}{': ' if parts else ''}{'; '.join(parts)}"


def _size(text: str | None) -> int:
    match = _SIZE.search(text or "")
    return int(match[1]) if match else 0


def _members(text: str) -> dict[str, int]:
    """Give the offset of each member of the structure itself, in bytes."""
    found = {}
    for line in text.splitlines():
        if match := _MEMBER.match(line):
            pointer = _POINTER.search(line)
            found[pointer[1] if pointer else match[1]] = int(match[2])
    return found


def write(folder: Path, number: int, text: str) -> str:
    """Keep the whole difference that a patch makes; gives its name in the run's folder."""
    place = folder / "layout" / f"{number}.diff"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
    return str(place.relative_to(folder))
