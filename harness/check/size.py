# SPDX-License-Identifier: GPL-2.0-only
"""How much code and data grew, by the tree's own bloat-o-meter."""

from __future__ import annotations

import re

from harness.check.builds import Made
from harness.check.scripts import Scripts
from harness.model import Finding, Severity

_ROW = re.compile(r"^(\S+)\s+(\d+|-)\s+(\d+|-)\s+([+-]\d+)\s*$")
_TOTAL = re.compile(r"^Total: Before=(\d+), After=(\d+)")
_SCRIPT = "scripts/bloat-o-meter"
SHOWN = 8  # symbols that are named


def compare(tools: Scripts, before: Made, after: Made) -> tuple[Finding, ...]:
    """Compare two kernels' symbols: the total first, then the largest changes."""
    old = before.kernel.vmlinux if before.kernel else None
    new = after.kernel.vmlinux if after.kernel else None
    if old is None or new is None or not tools.has(_SCRIPT):
        return ()
    said = tools.run(_SCRIPT, old, new)
    return read(said.stdout) if said.ok else ()


def read(text: str) -> tuple[Finding, ...]:
    """Read the script's table; sizes are in bytes."""
    rows = []
    total: list[Finding] = []
    for line in text.splitlines():
        if match := _ROW.match(line):
            rows.append((int(match[4]), match[1], match[2], match[3]))
        elif match := _TOTAL.match(line):
            grown = int(match[2]) - int(match[1])
            words = f"{grown:+} bytes, from {match[1]} to {match[2]}"
            total = [Finding(Severity.NOTE, words, rule="total", same="total")]
    rows.sort(key=lambda row: -abs(row[0]))
    return tuple(total) + tuple(
        Finding(Severity.NOTE, f"{name}: {change:+} bytes ({old} to {new})", rule=name)
        for change, name, old, new in rows[:SHOWN]
    )


def summary(found: tuple[Finding, ...]) -> str:
    """Give the total alone, as a note."""
    return found[0].text.partition(",")[0] if found else ""
