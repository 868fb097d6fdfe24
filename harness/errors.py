# SPDX-License-Identifier: GPL-2.0-only
"""Errors that stop a run, as exceptions with a hint for the user.

A verdict is a value; an exception means there is none.  Exit codes suit ``git bisect run``:
0 good, 1 bad, 125 untestable, 128 a fault of the host or of the harness, 129 usage.
"""

GOOD, BAD, UNTESTABLE, HOST_FAULT, USAGE, INTERRUPTED = 0, 1, 125, 128, 129, 130


class HarnessError(Exception):
    """An expected kind of error.

    ``what`` describes what happened and where, in one line; ``hint`` is the next thing to try;
    ``details`` is evidence to show below (compiler output, a conflict), possibly many lines.
    """

    exit_code = HOST_FAULT

    def __init__(self, what: str, *, hint: str = "", details: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.details = details


class UsageError(HarnessError):
    """The command line is invalid or contradictory (exit code 129)."""

    exit_code = USAGE


class Uncollected(UsageError):
    """pytest cannot collect the suites on this kernel; the kernel may be the reason."""


class HostFault(HarnessError):
    """The machine is at fault, not the kernel under test: network, disk, tools (exit code 128)."""


class Untestable(HarnessError):
    """There is no kernel to test, so the commit is neither good nor bad (exit code 125)."""

    exit_code = UNTESTABLE


class NotApplied(Untestable):
    """A patch does not apply; the message names patch, file and hunk.

    ``because`` names the commit that removed a line the patch needs, if known.
    """

    because = ""


class NotConfigured(Untestable):
    """Requested options are missing from .config; the message names them and the reason."""


class NotBuilt(Untestable):
    """The build failed; ``details`` starts with the compiler's messages."""


class BreaksBuild(NotBuilt):
    """The base builds but the patched kernel does not, so the series is bad (exit code 1)."""

    exit_code = BAD


class SeriesError(Untestable):
    """The series cannot be read: empty, truncated, not a patch at all."""


class GuestFault(HostFault):
    """The guest could not be started, or its kernel printed nothing."""


class LacksRelease(HostFault):
    """A worker cannot get the release that a thin pack of sources is based on."""


class Interrupted(HarnessError):
    """The user interrupted the run; results so far are kept (exit code 130)."""

    exit_code = INTERRUPTED
