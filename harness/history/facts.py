# SPDX-License-Identifier: GPL-2.0-only
"""What is kept of a run.  Frozen values, no database here."""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path

from harness.model import Outcome, Verdict


class Ended(enum.StrEnum):
    """How a run ended.  KILLED: its process is gone and never said a word."""

    RUNNING = "running"
    DONE = "done"
    ERROR = "error"
    INTERRUPTED = "interrupted"
    KILLED = "killed"


@dataclasses.dataclass(frozen=True)
class Host:
    """The machine: ``home`` tells one state folder from all others, also of the same name."""

    name: str
    home: str
    system: str = ""
    cpus: int = 0
    memory: int = 0  # MiB


@dataclasses.dataclass(frozen=True)
class SeriesFacts:
    """A revision of a series.  Revisions of the same series have the same ``lineage``."""

    lineage: str
    name: str
    title: str
    version: int
    digest: str
    link: str = ""


@dataclasses.dataclass(frozen=True)
class SourceFacts:
    """Where a run started from."""

    commit: str
    name: str
    origin: str = ""


@dataclasses.dataclass(frozen=True)
class KernelFacts:
    """A kernel; ``config`` is the digest of its .config, ``toolchain`` the compiler's own words."""

    key: str
    release: str
    commit: str
    arch: str
    config: str = ""
    toolchain: str = ""


@dataclasses.dataclass(frozen=True)
class SplatFacts:
    """A splat by its fingerprint; the same text at two places of the kernel is two splats."""

    fingerprint: str
    title: str
    kind: str
    function: str = ""


@dataclasses.dataclass(frozen=True)
class TestFacts:
    """One test of a session; ``message`` is its headline, ``attempts`` are all its outcomes."""

    __test__ = False  # not for pytest to collect

    id: str
    outcome: Outcome
    seconds: float
    attempts: tuple[Outcome, ...] = ()
    message: str = ""
    splats: tuple[SplatFacts, ...] = ()


@dataclasses.dataclass(frozen=True)
class GuestFacts:
    """A guest: how it ended, and how long it took to boot, in seconds."""

    name: str
    ended: str
    boot: float | None


@dataclasses.dataclass(frozen=True)
class Session:
    """The tests of one kernel, run once; many runs may use the same base's session.

    ``digest`` is of its journal; ``at`` is when it ended (seconds since the epoch).
    """

    digest: str
    at: float
    accel: str
    tests: tuple[TestFacts, ...]
    guests: tuple[GuestFacts, ...] = ()
    boot_splats: tuple[SplatFacts, ...] = ()


@dataclasses.dataclass(frozen=True)
class SideFacts:
    """A kernel in a run.  ``name`` is base, patched, or what a check or a bisection called it.

    ``patch`` is the number of the last patch applied in a check, else 0.
    """

    name: str
    kernel: KernelFacts | None
    session: Session | None
    patch: int = 0
    seconds: float = 0.0
    reused: bool = False
    warnings: int = 0
    cached: bool = False
    error: str = ""


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """A run.  ``id`` is a short word that names it; ``began`` is seconds since the epoch.

    ``uses`` are the folders of other runs that it reads.
    """

    id: str
    verb: str
    host: Host
    began: float
    command: str = ""
    harness: str = ""
    folder: Path | None = None
    seconds: float | None = None
    ended: Ended = Ended.RUNNING
    verdict: Verdict = Verdict.NONE
    code: int | None = None
    error: str = ""
    accel: str = ""
    series: SeriesFacts | None = None
    source: SourceFacts | None = None
    sides: tuple[SideFacts, ...] = ()
    uses: tuple[Path, ...] = ()
