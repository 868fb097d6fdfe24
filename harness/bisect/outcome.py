# SPDX-License-Identifier: GPL-2.0-only
"""What a bisection found: bisect.json is this value."""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path

from harness.bisect.points import Commit
from harness.bisect.values import Call
from harness.model import Option, Verdict

SCHEMA = 1
NAME = "bisect.json"


class Mode(enum.StrEnum):
    """What was searched."""

    SERIES = "series"
    HISTORY = "history"
    CONFIG = "config"
    INTERACTION = "interaction"


@dataclasses.dataclass(frozen=True)
class Step:
    """One decision, in the order they were made.

    ``phase`` is "end", "search" or "verify"; ``failures`` of its ``runs`` showed the signature.
    """

    name: str
    commit: str
    phase: str
    call: Call
    why: str
    seconds: float
    runs: int
    failures: int
    confidence: float
    folder: Path | None = None


@dataclasses.dataclass(frozen=True)
class Proof:
    """One thing that must be so if the answer is right; ``found`` is None when nobody can tell."""

    what: str
    expected: Call
    found: Call | None
    why: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether it is so; None when it could not be tried."""
        return None if self.found in (None, Call.SKIP, Call.OTHER) else self.found is self.expected


@dataclasses.dataclass(frozen=True)
class Difference:
    """One thing seen on both sides of the culprit."""

    what: str
    before: str
    after: str


@dataclasses.dataclass(frozen=True)
class Together:
    """What leaving out patches showed; see harness.bisect.interaction.

    ``needs`` are pairs: a patch, and those that it cannot be without.
    """

    decisive: tuple[int, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()
    together: tuple[int, ...] = ()
    unsure: tuple[int, ...] = ()
    needs: tuple[tuple[int, tuple[int, ...]], ...] = ()
    full: Call = Call.BAD


@dataclasses.dataclass(frozen=True)
class Bisected:
    """The answer and its evidence.

    ``culprit`` is the commit that made the failure (with ``reverse``: that ended it), ``patch``
    its number in the series; ``remaining`` are the commits among which it is when it is not
    known; ``options`` those that make the difference, with ``brought`` that came with them.
    ``test`` is what was run for it.  ``rate`` and ``interval`` (95 %) are how often the failure
    shows where it is;
    ``confidence`` is the probability that the answer is right.
    """

    mode: Mode
    signature: str
    source: str
    good: str
    bad: str
    total: int
    folder: Path
    test: str = ""
    reverse: bool = False
    culprit: Commit | None = None
    patch: int = 0
    message_id: str = ""
    remaining: tuple[Commit, ...] = ()
    options: tuple[Option, ...] = ()
    brought: tuple[Option, ...] = ()
    together: Together | None = None
    steps: tuple[Step, ...] = ()
    proofs: tuple[Proof, ...] = ()
    differences: tuple[Difference, ...] = ()
    rate: float = 0.0
    interval: tuple[float, float] = (0.0, 1.0)
    confidence: float = 0.0
    built: int = 0
    booted: int = 0
    seconds: float = 0.0
    commands: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def found(self) -> bool:
        """Whether there is one answer."""
        return bool(self.culprit or self.options or self.together)

    @property
    def proven(self) -> bool:
        """Whether everything that could be tried for proof is as it must be."""
        return self.found and all(one.holds is not False for one in self.proofs)

    @property
    def verdict(self) -> Verdict:
        """The answer in a word: one that its proof contradicts is none."""
        if not self.found:
            return Verdict.UNDECIDED
        return Verdict.FOUND if self.proven else Verdict.UNPROVEN
