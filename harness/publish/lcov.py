# SPDX-License-Identifier: GPL-2.0-only
"""An lcov tracefile of the lines that a series adds, for genhtml and other programs.

Its format is described in geninfo(1).  Paths are relative to the kernel tree.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.model import Coverage, FileCoverage, LineCount
from harness.text import one_line


def tracefile(coverage: Coverage, title: str) -> str:
    """Return the tracefile: a record for each file, with all tests added up."""
    name = "".join(char if char.isalnum() else "_" for char in one_line(title))
    return "".join(f"{line}\n" for file in coverage.files for line in _record(file, name))


def _record(file: FileCoverage, title: str) -> Iterator[str]:
    yield f"TN:{title}"
    yield f"SF:{file.path}"
    for function in file.functions:
        yield f"FN:{function.first},{function.name}"
    for function in file.functions:
        yield f"FNDA:{function.times},{function.name}"
    yield f"FNF:{len(file.functions)}"
    yield f"FNH:{sum(function.times > 0 for function in file.functions)}"
    lines = [
        (number, count) for count in file.lines for number in range(count.first, count.last + 1)
    ]
    yield from _branches(lines)
    for number, count in lines:
        yield f"DA:{number},{count.times}"
    yield f"LF:{len(lines)}"
    yield f"LH:{sum(count.times > 0 for _, count in lines)}"
    yield "end_of_record"


def _branches(lines: list[tuple[int, LineCount]]) -> Iterator[str]:
    ways = [
        (number, way, taken, count.times)
        for number, count in lines
        for way, taken in enumerate(count.branches)
    ]
    for number, way, taken, times in ways:
        # A dash means that the condition itself was never reached.
        yield f"BRDA:{number},0,{way},{taken if times else '-'}"
    if ways:
        yield f"BRF:{len(ways)}"
        yield f"BRH:{sum(taken > 0 for _, _, taken, _ in ways)}"
