# SPDX-License-Identifier: GPL-2.0-only
"""The values that stages hand to one another.  Frozen, standard library only."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from pathlib import Path


class Outcome(enum.StrEnum):
    """How a test ended.  NOTRUN until it starts, CRASH until its report says better."""

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    XFAIL = "xfail"
    XPASS = "xpass"
    ERROR = "error"
    CRASH = "crash"
    TIMEOUT = "timeout"
    NOTRUN = "notrun"

    @property
    def bad(self) -> bool:
        """Whether this outcome makes a run bad."""
        return self not in (Outcome.PASS, Outcome.SKIP, Outcome.XFAIL)


class Side(enum.StrEnum):
    """Which kernel: the series' base, or the base with the series applied."""

    BASE = "base"
    PATCHED = "patched"


class Accel(enum.StrEnum):
    """How QEMU runs guest code."""

    KVM = "kvm"
    TCG = "tcg"


@dataclasses.dataclass(frozen=True)
class Patch:
    """One mail of a series: ``number`` of n, and the files it touches."""

    number: int
    subject: str
    author: str
    path: Path
    files: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Series:
    """Patches in order, with what series.toml says of them.

    ``digest`` covers the patches' bytes: the same digest on the same base is the same tree.
    """

    name: str
    folder: Path
    patches: tuple[Patch, ...]
    digest: str
    title: str = ""
    cover: Path | None = None
    link: str = ""
    kernel: str = ""
    base: str = ""
    kconfig: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    subsystems: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Source:
    """A commit to start from: ``repo`` is a git repository we only read."""

    repo: Path
    commit: str
    name: str
    origin: str = ""


@dataclasses.dataclass(frozen=True)
class Checkout:
    """A worktree of ours with ``commit`` checked out; ``tree`` is that commit's tree object, the
    part of a kernel's key that its sources make; ``patches`` are (commit, subject) in order.
    """

    path: Path
    commit: str
    tree: str
    patches: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Option:
    """A requested option.  ``value`` is y, m, n, a number or a quoted string.

    ``origin`` is "file:line" or "command line", for messages.
    """

    name: str
    value: str
    origin: str
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Request:
    """All options asked for, without contradictions."""

    options: tuple[Option, ...]

    @property
    def digest(self) -> str:
        """Names the request in keys: the same options in any order give the same digest."""
        lines = sorted(f"{o.name}={o.value}" for o in self.options)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Toolchain:
    """The compiler that builds a kernel, and for which architecture."""

    arch: str
    compiler: str
    version: str
    llvm: bool = False
    cross: str = ""


@dataclasses.dataclass(frozen=True)
class Key:
    """What makes a kernel.  The same key is never built twice."""

    tree: str
    config: str
    toolchain: str

    @property
    def digest(self) -> str:
        """A short name for folders."""
        words = f"{self.tree}/{self.config}/{self.toolchain}"
        return hashlib.sha256(words.encode()).hexdigest()[:20]


@dataclasses.dataclass(frozen=True)
class Warning:  # noqa: A001 - the field's own word
    """A compiler warning; ``patch`` is the subject of the patch that touched the line."""

    file: str
    line: int
    text: str
    patch: str = ""


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A built kernel, kept in the cache under its key."""

    key: str
    folder: Path
    image: Path
    config: Path
    release: str
    commit: str
    arch: str
    vmlinux: Path | None = None
    log: Path | None = None
    warnings: tuple[Warning, ...] = ()
    seconds: float = 0.0
    reused: bool = False


@dataclasses.dataclass(frozen=True)
class Splat:
    """Something the kernel printed because it is unwell; harness.splat says what each part is."""

    kind: str
    title: str
    lines: tuple[str, ...] = ()
    function: str = ""
    frames: tuple[str, ...] = ()
    fingerprint: str = ""
    access: str = ""
    size: int = 0
    address: str = ""
    task: str = ""
    cpu: int | None = None
    taint: str = ""
    alloc_stack: tuple[str, ...] = ()
    free_stack: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    line: int = 0
    test: str = ""
    panic: str = ""
    raw: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Test:
    """One test's result on one kernel; ``seconds`` is wall time in the guest."""

    __test__ = False  # not for pytest to collect

    id: str
    outcome: Outcome
    seconds: float = 0.0
    message: str = ""
    output: str = ""
    guest: str = ""
    splats: tuple[Splat, ...] = ()
    kernel_log: str = ""


@dataclasses.dataclass(frozen=True)
class GuestRecord:
    """One guest's life, as kept in the run folder.

    ``ended`` is why it ended: "done", "panic", "hang", "timeout", "lost" or "boot".
    """

    name: str
    ended: str
    accel: str
    boot_seconds: float | None
    console: str
    splats: tuple[Splat, ...] = ()


@dataclasses.dataclass(frozen=True)
class SideResult:
    """What one kernel did: how it was made, its guests, its tests.

    ``error`` says why there are no tests (it did not boot); ``cached`` that they are an earlier
    run's of the same kernel and suites.
    """

    side: Side
    kernel: Kernel
    tests: tuple[Test, ...]
    guests: tuple[GuestRecord, ...] = ()
    error: str = ""
    cached: bool = False

    @property
    def bad(self) -> bool:
        """Whether any test or the boot itself went wrong."""
        return bool(self.error) or any(t.outcome.bad for t in self.tests)


@dataclasses.dataclass(frozen=True)
class Change:
    """A test whose outcome differs between base and patched."""

    test: str
    base: Outcome
    patched: Outcome

    @property
    def regression(self) -> bool:
        """Whether the series made it worse."""
        return self.patched.bad and not self.base.bad

    @property
    def fix(self) -> bool:
        """Whether the series made it work."""
        return self.base.bad and not self.patched.bad


@dataclasses.dataclass(frozen=True)
class Run:
    """Everything a run found; run.json is this value (see harness.results)."""

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

    @property
    def judged(self) -> SideResult:
        """The kernel the verdict is about: the patched one, or the only one."""
        return self.sides[-1]

    @property
    def bad(self) -> bool:
        """Whether the judged kernel has a failing test or did not boot."""
        return not self.sides or self.judged.bad
