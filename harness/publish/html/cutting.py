# SPDX-License-Identifier: GPL-2.0-only
"""Long texts are cut to what a page can hold; what is left out is counted."""

from __future__ import annotations

import dataclasses

from harness.publish.html.sections import Cut
from harness.text import clean

LONGEST = 2000  # characters of a line


def cut(text: str, head: int = 60, tail: int = 100) -> Cut:
    """Keep the first and the last lines of a text; long lines lose their end."""
    lines = clean(text).strip("\n").split("\n")
    if len(lines) <= head + tail:
        return Cut("\n".join(map(short, lines)))
    first, last = lines[:head], lines[len(lines) - tail :]
    left = len(lines) - head - tail
    return Cut("\n".join(map(short, first)), "\n".join(map(short, last)), left)


def short(line: str) -> str:
    """Cut a line that is too long, and say by how much."""
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ... ({len(line) - LONGEST} more)"


@dataclasses.dataclass
class Budget:
    """How much evidence a page may still take, in characters; then failures have fewer words."""

    left: int

    def spend(self, *texts: Cut) -> None:
        """Count what is shown."""
        self.left -= sum(len(one.head) + len(one.tail) for one in texts)

    @property
    def spent(self) -> bool:
        """Whether nothing long may be added any more."""
        return self.left <= 0
