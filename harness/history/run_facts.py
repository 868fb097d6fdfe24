# SPDX-License-Identifier: GPL-2.0-only
"""What the history stores about a run, as frozen dataclasses."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import os
import re
from pathlib import Path
from platform import python_version

from harness import paths
from harness.model import Outcome, Series, Source, Verdict

_VERSION = re.compile(r"(?:^|[-_ .])v\d+(?=$|[-_ .])|\[[^]]*\]", re.IGNORECASE)


class Ended(enum.StrEnum):
    """How a run ended.  KILLED: its process ended without recording how."""

    RUNNING = "running"
    DONE = "done"
    ERROR = "error"
    INTERRUPTED = "interrupted"
    KILLED = "killed"


@dataclasses.dataclass(frozen=True)
class HostFacts:
    """The machine.  ``home`` identifies its state folder: host names are not unique."""

    name: str
    home: str
    system: str = ""
    cpus: int = 0
    memory: int = 0  # MiB


@dataclasses.dataclass(frozen=True)
class SeriesFacts:
    """A revision of a series.  All revisions of a series have the same ``lineage``."""

    lineage: str
    name: str
    title: str
    version: int
    digest: str
    link: str = ""


@dataclasses.dataclass(frozen=True)
class SourceFacts:
    """The commit that a run started from."""

    commit: str
    name: str
    origin: str = ""


@dataclasses.dataclass(frozen=True)
class KernelFacts:
    """A kernel: ``config`` is the digest of its .config, ``toolchain`` the compiler's version."""

    key: str
    release: str
    commit: str
    arch: str
    config: str = ""
    toolchain: str = ""


@dataclasses.dataclass(frozen=True)
class SplatFacts:
    """A splat by its fingerprint; the same title at two locations in the kernel is two splats."""

    fingerprint: str
    title: str
    kind: str
    function: str = ""


@dataclasses.dataclass(frozen=True)
class TestFacts:
    """A test of a session: ``message`` is its headline, ``attempts`` all its outcomes."""

    __test__ = False  # not for pytest to collect

    id: str
    outcome: Outcome
    seconds: float
    attempts: tuple[Outcome, ...] = ()
    message: str = ""
    splats: tuple[SplatFacts, ...] = ()


@dataclasses.dataclass(frozen=True)
class GuestFacts:
    """A guest: how it ended, and how many seconds it took to boot."""

    name: str
    ended: str
    boot: float | None


@dataclasses.dataclass(frozen=True)
class SessionFacts:
    """One test session of a kernel; many runs may share the session of their base.

    ``digest`` is the digest of its journal; ``at`` is when it ended, in seconds since the epoch.
    """

    digest: str
    at: float
    accel: str
    tests: tuple[TestFacts, ...]
    guests: tuple[GuestFacts, ...] = ()
    boot_splats: tuple[SplatFacts, ...] = ()


@dataclasses.dataclass(frozen=True)
class SideFacts:
    """A kernel in a run: ``name`` is base, patched, or the name used by a check or a bisection.

    ``patch`` is the number of the last applied patch in a check, otherwise 0.
    """

    name: str
    kernel: KernelFacts | None
    session: SessionFacts | None
    patch: int = 0
    seconds: float = 0.0
    reused: bool = False
    warnings: int = 0
    cached: bool = False
    error: str = ""


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """A run: ``id`` is a short word, ``began`` is in seconds since the epoch.

    ``uses`` are folders of other runs that it reads.
    """

    id: str
    verb: str
    host: HostFacts
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
    form: int = 0  # format version of the waiting record's file


def host_facts() -> HostFacts:
    """Describe this machine.  Raises OSError and HarnessError."""
    uname = os.uname()
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        machine = ""
    home = f"{uname.nodename} {machine} {paths.state()}"
    return HostFacts(
        name=uname.nodename,
        home=hashlib.sha256(home.encode(errors="surrogateescape")).hexdigest()[:16],
        system=f"{uname.sysname} {uname.release} {uname.machine}, Python {python_version()}",
        cpus=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
    )


def series_facts(series: Series) -> SeriesFacts:
    return SeriesFacts(
        lineage=lineage(series),
        name=series.name,
        title=series.title,
        version=series.version,
        digest=series.digest,
        link=series.link,
    )


def lineage(series: Series) -> str:
    """Return the name shared by all revisions of a series: the title without its version."""
    title = _VERSION.sub(" ", series.title or series.name)
    return " ".join(re.sub(r"\W+", " ", title).lower().split()) or series.name


def source_facts(source: Source) -> SourceFacts:
    return SourceFacts(source.commit, source.name, source.origin)
