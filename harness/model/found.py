# SPDX-License-Identifier: GPL-2.0-only
"""What is found: outcomes, splats, what a guest and a kernel did."""

from __future__ import annotations

import dataclasses
import enum

from harness.model.kernel import Kernel


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
    phase: str = ""
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


class Side(enum.StrEnum):
    """Which kernel: the series' base, or the base with the series applied."""

    BASE = "base"
    PATCHED = "patched"


class Accel(enum.StrEnum):
    """How QEMU runs guest code."""

    KVM = "kvm"
    TCG = "tcg"


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
