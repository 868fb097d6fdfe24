# SPDX-License-Identifier: GPL-2.0-only
"""What the sections of a page show that stand below the tests: checks, patches, time line."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Cut:
    """A text that may be long: ``lines`` were left out after ``head``."""

    head: str = ""
    tail: str = ""
    lines: int = 0

    def __bool__(self) -> bool:
        return bool(self.head or self.tail)


NOTHING = Cut()


@dataclasses.dataclass(frozen=True)
class CheckCell:
    """A check of a patch: ``word`` stands in the cell, ``state`` is its colour."""

    state: str
    word: str
    link: str = ""
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a check found; ``patch`` is the number of the one it enters with, 0 the whole."""

    level: str
    patch: int
    check: str
    text: str
    where: str = ""
    line: int = 0
    file: str = ""


@dataclasses.dataclass(frozen=True)
class Checks:
    """Patches by checks."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, str, str, tuple[CheckCell, ...]], ...]  # number, subject, anchor, cells
    findings: tuple[tuple[str, str, tuple[Finding, ...]], ...] = ()  # anchor, title, findings
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Note:
    """Something to say at a line of a patch."""

    level: str
    text: str
    link: str = ""


@dataclasses.dataclass(frozen=True)
class DiffLine:
    """A line of a diff: ``kind`` is " ", "+", "-" or "@" for a hunk's own."""

    kind: str
    old: int | None
    new: int | None
    text: str
    notes: tuple[Note, ...] = ()


@dataclasses.dataclass(frozen=True)
class DiffFile:
    """A file of a patch; ``notes`` are those that fit to no line of it."""

    name: str
    lines: tuple[DiffLine, ...]
    added: int
    removed: int
    notes: tuple[Note, ...] = ()
    left_out: int = 0

    @property
    def remarks(self) -> tuple[Note, ...]:
        """All that is said of it."""
        return (*self.notes, *(note for line in self.lines for note in line.notes))


@dataclasses.dataclass(frozen=True)
class PatchView:
    """A patch as it was mailed; ``raw`` where its diff cannot be read."""

    number: int
    anchor: str
    subject: str
    author: str
    message: Cut
    files: tuple[DiffFile, ...]
    notes: tuple[Note, ...] = ()
    raw: Cut = NOTHING

    @property
    def remarks(self) -> tuple[Note, ...]:
        """All that is said of it and of its files."""
        return (*self.notes, *(note for file in self.files for note in file.remarks))

    @property
    def worst(self) -> str:
        """The level of the gravest remark."""
        levels = {note.level for note in self.remarks}
        return next((one for one in ("error", "warning") if one in levels), "note")


@dataclasses.dataclass(frozen=True)
class Bar:
    """A piece of a lane, in thousandths of the whole time."""

    left: float
    width: float
    kind: str
    title: str
    link: str = ""


@dataclasses.dataclass(frozen=True)
class Lane:
    """What one after another did on one machine."""

    name: str
    bars: tuple[Bar, ...]


@dataclasses.dataclass(frozen=True)
class Timeline:
    """The whole run; ``ticks`` are (thousandths, label)."""

    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]
    stages: tuple[tuple[str, str, str], ...]
    kinds: tuple[str, ...] = ()
    note: str = ""


@dataclasses.dataclass(frozen=True)
class OptionView:
    """An option: what was asked for and what the .config has."""

    name: str
    asked: str
    got: str

    @property
    def missing(self) -> bool:
        """Whether the kernel does not have what was asked for."""
        return self.asked != self.got


@dataclasses.dataclass(frozen=True)
class Trial:
    """A kernel that was tried, or a proof: ``state`` is the colour of ``word``."""

    state: str
    word: str
    what: str
    why: str = ""
    phase: str = ""
    runs: str = ""
    took: str = ""


@dataclasses.dataclass(frozen=True)
class Bisection:
    """How an answer was found; ``sides`` are (what, before, after), under ``names``."""

    proofs: tuple[Trial, ...]
    trials: tuple[Trial, ...]
    names: tuple[str, str]
    sides: tuple[tuple[str, str, str], ...]
    mail: Cut = NOTHING
