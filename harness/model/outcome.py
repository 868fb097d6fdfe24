# SPDX-License-Identifier: GPL-2.0-only
"""Outcomes, tests, splats, and the results of one kernel and its guests."""

from __future__ import annotations

import dataclasses
import enum

from harness.model.kernel import Kernel


class Outcome(enum.StrEnum):
    """How a test ended.  NOTRUN until it starts, then CRASH until it is reported.

    FLAKY: it ran more than once, and was good in some runs and bad in others.
    """

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    XFAIL = "xfail"
    XPASS = "xpass"
    ERROR = "error"
    CRASH = "crash"
    TIMEOUT = "timeout"
    FLAKY = "flaky"
    NOTRUN = "notrun"

    @property
    def bad(self) -> bool:
        """Whether this outcome makes a run bad."""
        return self not in (Outcome.PASS, Outcome.SKIP, Outcome.XFAIL)


def looks_running(outcome: Outcome, message: str) -> bool:
    """Whether a test of an interrupted run was still running: a crash that nothing explains."""
    return outcome is Outcome.CRASH and not message


@dataclasses.dataclass(frozen=True)
class Splat:
    """A kernel message that reports a fault: a panic, an oops, a WARNING, a sanitizer report.

    harness.splat reads it from a log.  harness.decode adds ``place``, file:line of the function to
    blame, and ``patches``, the subjects of the patches that added lines in its stacks.
    """

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
    place: str = ""
    patches: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Identifies the same splat across kernels."""
        return self.fingerprint or self.title


@dataclasses.dataclass(frozen=True)
class Test:
    """One test's result on one kernel; ``seconds`` is wall time in the guest.

    ``attempts`` are the outcomes of all its runs, in order.  ``taint`` holds the kernel's taint
    bits before and after it.  ``reproduce`` is the command that reruns it alone.  ``began`` and
    ``ended`` are in seconds since the epoch by the host's clock, 0 if not known; the clock of an
    emulated guest may run at a different speed.
    """

    __test__ = False  # keeps pytest from collecting this class

    id: str
    outcome: Outcome
    seconds: float = 0.0
    message: str = ""
    output: str = ""
    guest: str = ""
    splats: tuple[Splat, ...] = ()
    kernel_log: str = ""
    attempts: tuple[Outcome, ...] = ()
    taint: tuple[int, int] = (0, 0)
    reproduce: str = ""
    began: float = 0.0
    ended: float = 0.0

    @property
    def headline(self) -> str:
        """The most informative line: a splat's title, or the message's line with the error."""
        lines = [line.strip() for line in self.message.splitlines() if line.strip()]
        if not lines:
            return ""
        if self.outcome in (Outcome.CRASH, Outcome.TIMEOUT):
            return lines[0]
        if self.splats and self.outcome is Outcome.ERROR:
            return self.splats[0].title
        errors = [line[1:].strip() for line in lines if line.startswith("E ")]
        if not errors or self.outcome is Outcome.FLAKY:
            return lines[-1]
        # "the test leaked:" needs the line after it.
        return " ".join(errors[:2] if errors[0].endswith(":") else errors[:1])


@dataclasses.dataclass(frozen=True)
class GuestRecord:
    """What happened to one guest.

    ``ended`` is why it ended: "done"; "boot" (it did not come up), "panic", "reset" (the machine
    switched itself off), "hang" (killed at a test's deadline, not responding), "timeout" (the same,
    but responding), "left" (the tests' process died), or "lost" (a host fault).  ``note`` has
    details.  ``began`` is when it was started (as in Test), and ``seconds`` is how long it ran.
    ``copied``: it did not boot, but was copied from a saved guest.
    """

    name: str
    ended: str
    accel: str
    boot_seconds: float | None
    console: str
    splats: tuple[Splat, ...] = ()
    note: str = ""
    began: float = 0.0
    seconds: float = 0.0
    copied: bool = False


class Side(enum.StrEnum):
    """Which kernel: the base, or the base with the series applied."""

    BASE = "base"
    PATCHED = "patched"


class Accel(enum.StrEnum):
    """How QEMU runs guest code."""

    KVM = "kvm"
    TCG = "tcg"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One kernel that ran one set of tests once: how it was built, its guests, its tests.

    ``error``: why there are no tests (it did not boot).  ``cached``: the results are from an
    earlier run of the same kernel and suites.  ``allow_flaky``: flaky tests do not make it bad.
    """

    side: Side
    kernel: Kernel
    tests: tuple[Test, ...]
    guests: tuple[GuestRecord, ...] = ()
    error: str = ""
    cached: bool = False
    allow_flaky: bool = False

    @property
    def boot_splats(self) -> tuple[Splat, ...]:
        """The splats before the first test of a guest."""
        return tuple(s for guest in self.guests for s in guest.splats if s.test == "boot")

    @property
    def splats(self) -> tuple[Splat, ...]:
        """All splats, at boot and in tests."""
        return (*self.boot_splats, *(splat for test in self.tests for splat in test.splats))

    @property
    def left(self) -> int:
        """The number of tests that did not run."""
        return sum(test.outcome is Outcome.NOTRUN for test in self.tests)

    def allows(self, test: Test) -> bool:
        """Whether a bad test is tolerated: it is flaky, and flaky tests are allowed."""
        return self.allow_flaky and test.outcome is Outcome.FLAKY

    @property
    def bad(self) -> bool:
        """Whether any test or the boot itself failed."""
        wrong = any(test.outcome.bad and not self.allows(test) for test in self.tests)
        return bool(self.error or self.boot_splats or wrong)
