# SPDX-License-Identifier: GPL-2.0-only
"""What is tried, and what came of it."""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path
from typing import Protocol

from harness.model import Request


class Call(enum.StrEnum):
    """What one candidate is.  SKIP: it cannot be tested (does not build, does not apply).

    OTHER: it failed, but not with the signature that is looked for.
    """

    GOOD = "good"
    BAD = "bad"
    SKIP = "skip"
    OTHER = "other"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One kernel that can be tried; ``name`` is for people, and unique in one bisection.

    ``commit`` is what is checked out ("" is the commit that the bisection starts from);
    ``request`` are all options in place of the usual ones; ``patches`` are the numbers of the
    series' patches to apply on top (None: as the bisection does with every candidate).
    ``debug``: its kernel must have debug info.
    """

    name: str
    commit: str = ""
    request: Request | None = None
    patches: tuple[int, ...] | None = None
    debug: bool = False


@dataclasses.dataclass(frozen=True)
class Observation:
    """One trial of a candidate.

    ``why`` is a line for people; ``seconds`` it took; ``folder`` holds its evidence; ``value`` is
    the number that was measured, if one was.
    """

    call: Call
    why: str = ""
    seconds: float = 0.0
    folder: Path | None = None
    value: float | None = None


class Probe(Protocol):
    """Tries a candidate once.  Raises HostFault when the machine, not the kernel, is at fault."""

    def __call__(self, candidate: Candidate) -> Observation:
        """Give what one more trial says."""
