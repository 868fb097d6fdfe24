# SPDX-License-Identifier: GPL-2.0-only
"""Mutation testing: a series with one line broken at a time, and whether a test noticed.

mutate.json is a Mutation (see harness.results.store).
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from pathlib import Path

from harness.model.kernel import Option
from harness.model.lines import SeriesLines
from harness.model.verdict import Verdict


class MutantState(enum.StrEnum):
    """What became of a mutant.

    NOT_EXECUTED: no test executes the line, so none can notice; nothing was booted.  SAME_CODE: the
    compiler makes the same code of it, so it is no mutant.  UNDECIDED: the machine was at fault.
    """

    KILLED = "killed"
    SURVIVED = "survived"
    NOT_EXECUTED = "not executed"
    NOT_COMPILED = "not compiled"
    SAME_CODE = "same code"
    UNDECIDED = "undecided"

    @property
    def counts(self) -> bool:
        """Whether the score is about such a mutant: a kernel with the fault could be built."""
        return self in (MutantState.KILLED, MutantState.SURVIVED, MutantState.NOT_EXECUTED)


class Killer(enum.StrEnum):
    """What noticed a mutant: an assertion of a test, or one of the guards around all tests."""

    ASSERTION = "assertion"
    SPLAT = "splat"
    LEAK = "leak"
    CRASH = "crash"
    HANG = "hang"
    BOOT = "boot"


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A small fault that is planted into a line that the series adds.

    The bytes ``start`` to ``end`` of ``file`` become ``text``; they are on the lines ``line`` to
    ``last``.  ``kind`` is the name of an entry in harness.mutate.kinds.  ``patch`` is the number of
    the patch that added the line, from 1.  ``before`` and ``after`` are those lines, and ``diff``
    shows them with their surroundings.
    """

    file: str
    line: int
    last: int
    kind: str
    patch: int
    function: str
    before: str
    after: str
    diff: str
    start: int
    end: int
    text: str

    @property
    def name(self) -> str:
        """Identifies a mutant of the same sources."""
        return f"{self.file}:{self.line}:{self.kind}:{self.start}-{self.end}:{self.text}"

    @property
    def where(self) -> str:
        """File and line in the format of compilers."""
        return f"{self.file}:{self.line}"

    @property
    def change(self) -> str:
        """The change in one line, for display."""
        before, after = (" ".join(text.split()) for text in (self.before, self.after))
        return f"{before}  →  {after or '(nothing)'}"


@dataclasses.dataclass(frozen=True)
class MutantTrial:
    """A mutant to be tried, and the name of the folder for its evidence.

    ``tests`` may notice it, in the order in which they run, with the seconds that each takes
    without a mutant; there was no time for those ``left_out``.  ``link``: without it the mutant is
    only compiled, as nothing executes it.  ``at_boot``: no test is known to execute the line
    itself, so the mutant must be there from the start.
    """

    name: str
    mutant: Mutant
    tests: tuple[tuple[str, float], ...] = ()
    left_out: tuple[str, ...] = ()
    link: bool = True
    at_boot: bool = False


@dataclasses.dataclass(frozen=True)
class MutantResult:
    """What became of a mutant.

    ``killer`` is how it was noticed, and ``test`` by which test ("" if the kernel did not boot);
    ``message`` is the headline of that failure, or the compiler's.  ``executed_by`` are the tests
    that execute the line, and ``ran`` is how many of them ran.  ``built`` and ``tested`` are
    seconds; ``folder`` holds the trial.
    """

    mutant: Mutant
    state: MutantState
    killer: Killer | None = None
    test: str = ""
    message: str = ""
    executed_by: tuple[str, ...] = ()
    ran: int = 0
    built: float = 0.0
    tested: float = 0.0
    folder: Path | None = None


@dataclasses.dataclass(frozen=True)
class Score:
    """How many of the mutants that count were killed."""

    killed: int = 0
    survived: int = 0
    not_executed: int = 0

    @property
    def total(self) -> int:
        """The number of mutants that count."""
        return self.killed + self.survived + self.not_executed

    @property
    def percent(self) -> float | None:
        """The share that was killed; None if no mutant counts."""
        return 100 * self.killed / self.total if self.total else None


@dataclasses.dataclass(frozen=True)
class Mutation:
    """The mutation testing of a series: its mutants, and what became of those that were tried.

    ``patches`` are (commit, subject) in order.  ``mutants`` is how many there are in all; they are
    tried in an order that ``seed`` decides.  ``tests`` is how many tests pass without a mutant.
    ``at_least`` is the score in percent that is asked for (0: any).  ``stopped``: why not all were
    tried, "" if they were.  ``lines`` and ``followed`` are as in a Run.
    """

    series: str
    source: str
    folder: Path
    patches: tuple[tuple[str, str], ...]
    mutants: int
    seed: int = 0
    at_least: float = 0.0
    tests: int = 0
    results: tuple[MutantResult, ...] = ()
    stopped: str = ""
    seconds: float = 0.0
    command: tuple[str, ...] = ()
    lines: SeriesLines | None = None
    followed: tuple[Option, ...] = ()

    def of(self, *states: MutantState) -> tuple[MutantResult, ...]:
        """Return the results in these states."""
        return tuple(result for result in self.results if result.state in states)

    @property
    def score(self) -> Score:
        """The score of the whole series."""
        return _score(self.results)

    @property
    def by_patch(self) -> Iterator[tuple[int, str, Score]]:
        """Yield number, subject and score of each patch."""
        for number, (_, subject) in enumerate(self.patches, 1):
            own = [result for result in self.results if result.mutant.patch == number]
            yield number, subject, _score(own)

    @property
    def by_kind(self) -> Iterator[tuple[str, Score]]:
        """Yield name and score of each kind that was tried."""
        for kind in sorted({result.mutant.kind for result in self.results}):
            yield kind, _score([r for r in self.results if r.mutant.kind == kind])

    @property
    def verdict(self) -> Verdict:
        """UNTESTABLE without a score; MEASURED if no score was asked for; else GOOD or BAD."""
        percent = self.score.percent
        if percent is None:
            return Verdict.UNTESTABLE
        if not self.at_least:
            return Verdict.MEASURED
        return Verdict.BAD if percent < self.at_least else Verdict.GOOD


def _score(results: tuple[MutantResult, ...] | list[MutantResult]) -> Score:
    states = [result.state for result in results]
    return Score(
        states.count(MutantState.KILLED),
        states.count(MutantState.SURVIVED),
        states.count(MutantState.NOT_EXECUTED),
    )
