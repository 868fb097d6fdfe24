# SPDX-License-Identifier: GPL-2.0-only
"""What it means: changes between kernels, and a whole run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from harness.model.found import Outcome, SideResult
from harness.model.given import Series, Source


@dataclasses.dataclass(frozen=True)
class Change:
    """A test whose outcome differs between base and patched."""

    test: str
    base: Outcome
    patched: Outcome

    @property
    def regression(self) -> bool:
        """Whether the series made it worse.  One that did not run shows nothing."""
        return self.patched.bad and not self.base.bad and self.patched is not Outcome.NOTRUN

    @property
    def fix(self) -> bool:
        """Whether the series made it work."""
        return self.base.bad and not self.patched.bad


@dataclasses.dataclass(frozen=True)
class Span:
    """A stage of a run: ``began`` in seconds since 1970, ``what`` in words of its progress."""

    name: str
    what: str
    began: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class Run:
    """Everything a run found; run.json is this value (see harness.results).

    ``about`` are (what, its version or size) of the machine and the programs that ran it.
    """

    series: Series | None
    source: Source
    folder: Path
    started: str
    seconds: float
    accel: str
    sides: tuple[SideResult, ...]
    changes: tuple[Change, ...] = ()
    stages: tuple[tuple[str, float], ...] = ()
    command: tuple[str, ...] = ()
    interrupted: bool = False
    timeline: tuple[Span, ...] = ()
    about: tuple[tuple[str, str], ...] = ()

    @property
    def judged(self) -> SideResult:
        """The kernel the verdict is about: the patched one, or the only one."""
        return self.sides[-1]

    @property
    def bad(self) -> bool:
        """Whether the judged kernel has a failing test or did not boot."""
        return not self.sides or self.judged.bad
