# SPDX-License-Identifier: GPL-2.0-only
"""What a page shows: plain values, already chosen and cut, so that templates only lay them out."""

from __future__ import annotations

import dataclasses

from harness.decode import Decoded
from harness.publish.html.sections import (
    NOTHING,
    Bisection,
    Checks,
    Cut,
    OptionView,
    PatchView,
    Timeline,
)


@dataclasses.dataclass(frozen=True)
class SplatView:
    """A splat; ``decoded`` is None where nobody looked its frames up.

    ``patches`` are (subject, fragment of the page or "") of those whose lines it went through.
    """

    title: str
    place: str
    facts: tuple[str, ...]
    raw: Cut
    decoded: Decoded | None = None
    patches: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Past:
    """A test in an earlier run: when, on what, with what outcome."""

    when: str
    what: str
    outcome: str
    run: str = ""


@dataclasses.dataclass(frozen=True)
class History:
    """What is known of a test from other runs, newest first; ``words`` say it in a line."""

    words: str
    runs: tuple[Past, ...] = ()


@dataclasses.dataclass(frozen=True)
class Failure:
    """A test that was not good; ``anchor`` names it in links, and stays the same in each report."""

    anchor: str
    test: str
    column: str
    outcome: str
    headline: str
    change: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    message: Cut = NOTHING
    splats: tuple[SplatView, ...] = ()
    console: Cut = NOTHING
    output: Cut = NOTHING
    reproduce: str = ""
    history: History | None = None
    whole: bool = True

    @property
    def file(self) -> str:
        """The file of the test."""
        return self.test.partition("::")[0]

    @property
    def name(self) -> str:
        """The test's name in its file; the file itself where it has none."""
        return self.test.partition("::")[2] or self.test


@dataclasses.dataclass(frozen=True)
class Mark:
    """How one test ended on one kernel; ``link`` leads to its failure."""

    outcome: str
    seconds: float = 0.0
    link: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """A test on all kernels; ``change`` is "broken", "fixed", "other" or ""."""

    test: str
    name: str
    marks: tuple[Mark, ...]
    change: str = ""

    @property
    def outcome(self) -> str:
        """The outcome on the kernel that is judged."""
        return self.marks[-1].outcome


@dataclasses.dataclass(frozen=True)
class Group:
    """Tests of one file, or a part of them where there are many."""

    file: str
    rows: tuple[Row, ...]
    counts: tuple[tuple[str, int], ...]
    part: str = ""
    open: bool = False


@dataclasses.dataclass(frozen=True)
class KernelView:
    """A kernel in words; ``tests`` are outcomes and their numbers."""

    label: str
    about: str
    release: str
    commit: str
    build: str
    boot: str
    tests: tuple[tuple[str, int], ...]
    trouble: str = ""


@dataclasses.dataclass(frozen=True)
class Tile:
    """A number of the verdict; ``kind`` is its colour."""

    number: str
    label: str
    kind: str
    link: str = ""


@dataclasses.dataclass(frozen=True)
class Page:
    """Everything."""

    word: str
    kind: str
    title: str
    lead: tuple[str, ...]
    subject: str
    tiles: tuple[Tile, ...] = ()
    kernels: tuple[KernelView, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()  # label, what it is
    groups: tuple[Group, ...] = ()
    broken: tuple[Row, ...] = ()
    fixed: tuple[tuple[str, int], ...] = ()
    failures: tuple[Failure, ...] = ()
    before: tuple[Failure, ...] = ()  # of the base
    hidden: int = 0  # failures that are only in the table
    boot: tuple[tuple[str, SplatView], ...] = ()  # kernel's label, splat before its first test
    unborn: tuple[tuple[str, str, Cut], ...] = ()  # kernel's label, why, its last words
    dumps: tuple[str, ...] = ()
    warnings: tuple[tuple[str, str, str], ...] = ()  # where, text, the patch's fragment
    checks: Checks | None = None
    bisection: Bisection | None = None
    patches: tuple[PatchView, ...] = ()
    timeline: Timeline | None = None
    options: tuple[OptionView, ...] = ()
    about: tuple[tuple[str, str], ...] = ()
    command: str = ""
    folder: str = ""

    @property
    def outcomes(self) -> tuple[tuple[str, int], ...]:
        """The outcomes on the judged kernel, with their numbers."""
        found: dict[str, int] = {}
        for group in self.groups:
            for outcome, number in group.counts:
                found[outcome] = found.get(outcome, 0) + number
        return tuple(found.items())
