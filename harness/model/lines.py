# SPDX-License-Identifier: GPL-2.0-only
"""The lines that a series adds or changes, and how far the evidence about each of them goes."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator


class LineState(enum.StrEnum):
    """What the build made of a line.  NO_CODE: there is nothing to compile, such as a comment."""

    COMPILED = "compiled"
    NOT_COMPILED = "not compiled"
    NO_CODE = "nothing to compile"


@dataclasses.dataclass(frozen=True)
class ChangedLine:
    """A line that the series adds.

    ``why`` explains any state other than COMPILED; for a compiled line that was never executed it
    says where it is, for one that was not counted why.  ``tests`` is how many tests executed it;
    None if that was not counted.  ``boot``: it was executed before the first test.  Of the ``ways``
    out of the line (0 if there is one only), ``untaken`` were never taken.  ``patch`` is the
    number of the patch that wrote it, as its line ``patch_line``; 0 if not known.
    """

    number: int
    state: LineState
    why: str = ""
    tests: int | None = None
    boot: bool = False
    ways: int = 0
    untaken: int = 0
    patch: int = 0
    patch_line: int = 0

    @property
    def executed(self) -> bool | None:
        """Whether anything executed it; None if that was not counted."""
        return None if self.tests is None else self.tests > 0 or self.boot


@dataclasses.dataclass(frozen=True)
class ChangedFile:
    """A file with the lines that the series adds to it.

    ``in_kernel``: files of this kind can change the kernel; documents and tools cannot.
    """

    path: str
    lines: tuple[ChangedLine, ...]
    in_kernel: bool = True

    def of(self, state: LineState) -> tuple[ChangedLine, ...]:
        """Return the lines in a state."""
        return tuple(line for line in self.lines if line.state is state)


@dataclasses.dataclass(frozen=True)
class LineRange:
    """Consecutive lines of a file with the same state, for the same reason."""

    path: str
    first: int
    last: int
    state: LineState
    why: str = ""

    @property
    def where(self) -> str:
        """The lines in the format of compilers: "file:3" or "file:3-7"."""
        return f"{self.path}:{self.first}" + (f"-{self.last}" if self.last > self.first else "")


@dataclasses.dataclass(frozen=True)
class SeriesLines:
    """All lines that a series adds, by file."""

    files: tuple[ChangedFile, ...]

    def count(self, state: LineState) -> int:
        """Return the number of lines in a state."""
        return sum(len(file.of(state)) for file in self.files)

    @property
    def compiled(self) -> int:
        """The number of lines that were compiled."""
        return self.count(LineState.COMPILED)

    @property
    def counted(self) -> int:
        """The number of lines of which is known whether anything executed them."""
        return sum(line.tests is not None for file in self.files for line in file.lines)

    @property
    def executed(self) -> int:
        """The number of lines that were executed, by tests or at boot."""
        return sum(line.executed is True for file in self.files for line in file.lines)

    @property
    def code(self) -> int:
        """The number of lines that a kernel could compile."""
        return self.compiled + self.count(LineState.NOT_COMPILED)

    @property
    def partly(self) -> bool:
        """Whether some of the code was not compiled, so that the verdict is not about all of it."""
        return self.compiled < self.code

    @property
    def untested(self) -> bool:
        """Whether no kernel could tell anything about the series: nothing of it is compiled.

        A series that only removes lines, or that changes the configuration, can change the kernel
        without a single compiled line.
        """
        if self.compiled:
            return False
        return self.partly or not any(file.in_kernel for file in self.files)

    def unexecuted(self) -> Iterator[LineRange]:
        """Yield the counted lines that nothing executed, joined where no other code is between."""
        for file in self.files:
            current: LineRange | None = None
            for line in file.lines:
                if line.executed is None:
                    continue
                same = current is not None and current.why == line.why
                if current and not line.executed and same:
                    current = dataclasses.replace(current, last=line.number)
                    continue
                if current:
                    yield current
                number = line.number
                missed = LineRange(file.path, number, number, line.state, line.why)
                current = None if line.executed else missed
            if current:
                yield current

    def ranges(self, *states: LineState) -> Iterator[LineRange]:
        """Yield the lines in these states, joined where they follow each other."""
        for file in self.files:
            current: LineRange | None = None
            for line in file.lines:
                if current and (current.last + 1, current.state, current.why) == (
                    *(line.number, line.state, line.why),
                ):
                    current = dataclasses.replace(current, last=line.number)
                    continue
                if current and current.state in states:
                    yield current
                current = LineRange(file.path, line.number, line.number, line.state, line.why)
            if current and current.state in states:
                yield current
