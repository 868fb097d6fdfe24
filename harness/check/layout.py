# SPDX-License-Identifier: GPL-2.0-only
"""The checks ``size`` and ``layout``: bloat-o-meter and pahole, before and after a patch."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping

from harness import process
from harness.check import builds
from harness.check.builds import Build
from harness.check.findings import diff_of_texts, shortened
from harness.check.scripts import BLOAT_O_METER, Scripts
from harness.check.walk import Step, Walk
from harness.model import WHOLE_SERIES, Cell, CellState, Finding, Kernel, Severity

_SYMBOL = re.compile(r"^(\S+)\s+(\d+|-)\s+(\d+|-)\s+([+-]\d+)\s*$")
_TOTAL = re.compile(r"^Total: Before=(\d+), After=(\d+)")
SYMBOLS = 8  # maximum number of symbols shown

LIMIT = 300.0  # seconds for pahole; a 150 MB kernel takes four
STRUCTURES = 12  # maximum number of structures shown
_MEMBERS = 4  # maximum number of members shown per structure
_BEGIN = re.compile(r"^(struct|union) (\w+) \{$")
_MEMBER = re.compile(
    r"^\t.*?(\w+|\))(?:\[\d*\])*(?:\s*:\d+)?(?: __attribute__\(.*\))?;\s*"
    r"/\*\s*(\d+)(?::\s*\d+)?\s+\d+ \*/"
)
_POINTER = re.compile(r"\(\*\s*(\w+)\)")
_SIZE = re.compile(r"^\t/\* size: (\d+),", re.MULTILINE)

#: The layout of each structure as pahole prints it, by ``struct name``.
Layouts = Mapping[str, str]


class Sizes:
    """The check ``size``: the changes of each patch, and of the whole series."""

    def __init__(self, walk: Walk, check: str) -> None:
        self.walk, self.check = walk, check

    def take(self, step: Step) -> Iterator[Cell]:
        if step.build is None or step.mail is None:
            return
        grown: tuple[Finding, ...] = ()
        if step.previous and step.previous.digest != step.build.digest:
            grown = compare_sizes(self.walk.scripts, step.previous, step.build)
        state = CellState.GOOD if grown else CellState.UNKNOWN
        note = total(grown) if step.build.kernel else "does not build"
        yield Cell(
            step.number, self.check, CellState.SAME if step.unchanged else state, grown, note
        )

    def finish(self) -> Iterator[Cell]:
        first, last = self.walk.builds[0], self.walk.builds[-1]
        if first.kernel and last.kernel and first.digest != last.digest:
            note = total(compare_sizes(self.walk.scripts, first, last))
            yield Cell(WHOLE_SERIES, self.check, CellState.GOOD, note=note)


def compare_sizes(scripts: Scripts, before: Build, after: Build) -> tuple[Finding, ...]:
    """Return the changes of symbol sizes: the total first, then the largest changes."""
    old = before.kernel.vmlinux if before.kernel else None
    new = after.kernel.vmlinux if after.kernel else None
    if old is None or new is None or not scripts.has(BLOAT_O_METER):
        return ()
    result = scripts.run(BLOAT_O_METER, old, new)
    return read_sizes(result.stdout) if result.ok else ()


def read_sizes(text: str) -> tuple[Finding, ...]:
    """Parse bloat-o-meter's table; sizes are in bytes."""
    symbols: list[tuple[int, Finding]] = []
    totals: list[Finding] = []
    for line in text.splitlines():
        if match := _SYMBOL.match(line):
            name, old, new, change = match.groups()
            words = f"{name}: {int(change):+} bytes ({old} to {new})"
            symbols.append((int(change), Finding(Severity.NOTE, words, rule=name)))
        elif match := _TOTAL.match(line):
            words = f"{int(match[2]) - int(match[1]):+} bytes, from {match[1]} to {match[2]}"
            totals = [Finding(Severity.NOTE, words, rule="total", same="total")]
    symbols.sort(key=lambda symbol: -abs(symbol[0]))
    return (*totals, *(finding for _, finding in symbols[:SYMBOLS]))


def total(findings: tuple[Finding, ...]) -> str:
    """Return only the total, as a note."""
    return findings[0].text.partition(",")[0] if findings else ""


class StructureLayouts:
    """The check ``layout``: structures whose layout a patch changes."""

    def __init__(self, walk: Walk, check: str) -> None:
        self.walk, self.check = walk, check
        self.changed: dict[int, tuple[Finding, ...]] = {}
        self._last: Layouts | None = None

    def take(self, step: Step) -> Iterable[Cell]:
        build, previous = step.build, step.previous
        if build is None or build.kernel is None or not installed():
            return ()
        if previous and previous.digest == build.digest:
            return ()
        with self.walk.progress.stage(self.check, build.checkout.commit[:12]):
            before, self._last = self._last, read(build.kernel)
        if previous and before is not None and self._last is not None:
            self.changed[step.number] = compare_layouts(before, self._last)
            if self.changed[step.number]:
                diff = diff_of_texts(before, self._last, ("before/", "after/"), context=99)
                self.walk.write_diff(self.check, step.number, diff)
        return ()

    def finish(self) -> Iterator[Cell]:
        """Return the cells; without pahole or debug info, one cell with the reason."""
        missing = "" if installed() else "pahole is not installed"
        if not missing and self._last is None and any(build.kernel for build in self.walk.builds):
            missing = "the kernels have no debug info (CONFIG_DEBUG_INFO)"
        if missing:
            yield Cell(WHOLE_SERIES, self.check, CellState.UNKNOWN, note=missing)
            return
        unchanged = builds.unchanged(self.walk.builds)
        unbuilt = builds.unbuilt(self.walk.builds)
        for number in range(1, len(self.walk.builds)):
            state = CellState.GOOD if number in self.changed else CellState.UNKNOWN
            state = CellState.SAME if number in unchanged else state
            findings, note = self.changed.get(number, ()), unbuilt.get(number, "")
            yield Cell(number, self.check, state, findings, note)


def installed() -> bool:
    """Whether pahole is installed."""
    return shutil.which("pahole") is not None


def read(kernel: Kernel) -> Layouts | None:
    """Return the layouts of a kernel's structures; None if it has no debug info."""
    if kernel.vmlinux is None:
        return None
    result = process.run(["pahole", kernel.vmlinux], timeout=LIMIT, check=False)
    return parse(result.stdout) if result.ok and result.stdout else None


def parse(text: str) -> Layouts:
    """Split pahole's output by structure."""
    layouts: dict[str, str] = {}
    name, lines = "", list[str]()
    for line in text.splitlines():
        if match := _BEGIN.match(line):
            name, lines = f"{match[1]} {match[2]}", []
        elif line.startswith("}") and name:
            layouts.setdefault(name, "\n".join([f"{name} {{", *lines, "}"]))
            name = ""
        else:
            lines.append(line)
    return layouts


def compare_layouts(before: Layouts, after: Layouts) -> tuple[Finding, ...]:
    """Return a line for each structure that is new or removed, or whose layout changed."""
    names = [*after, *(name for name in before if name not in after)]
    findings = [
        Finding(Severity.NOTE, text, rule=name, same=name)
        for name in names
        if before.get(name) != after.get(name)
        and (text := _change(name, before.get(name), after.get(name)))
    ]
    return shortened(findings, STRUCTURES, "structures differ")


def _change(name: str, old: str | None, new: str | None) -> str:
    """Describe how a layout changed; empty if only the type of a member changed."""
    if old is None or new is None:
        return f"{name}: " + (f"new, {_size(new)} bytes" if new is not None else "removed")
    sizes = (_size(old), _size(new))
    what = f"{sizes[0]} to {sizes[1]} bytes" if sizes[0] != sizes[1] else f"stayed {sizes[0]} bytes"
    before, after = _members(old), _members(new)
    added = [member for member in after if member not in before]
    removed = [member for member in before if member not in after]
    moved = [member for member in after if before.get(member, after[member]) != after[member]]
    parts = [
        f"{word} {', '.join(members[:_MEMBERS])}{' ...' if len(members) > _MEMBERS else ''}"
        for word, members in (("added", added), ("removed", removed), ("moved", moved))
        if members
    ]
    if not parts and sizes[0] == sizes[1]:
        return ""
    return f"{name}: {what}{': ' if parts else ''}{'; '.join(parts)}"


def _size(text: str | None) -> int:
    match = _SIZE.search(text or "")
    return int(match[1]) if match else 0


def _members(text: str) -> dict[str, int]:
    """Return the offset in bytes of each direct member of a structure."""
    offsets = {}
    for line in text.splitlines():
        if match := _MEMBER.match(line):
            pointer = _POINTER.search(line)
            offsets[pointer[1] if pointer else match[1]] = int(match[2])
    return offsets
