# SPDX-License-Identifier: GPL-2.0-only
"""What can stop a run, as exceptions that a person can act on.

A verdict is a value; an exception is the absence of one.  Exit codes fit ``git bisect run``:
0 good, 1 bad, 125 untestable, 128 a fault of the host or of the harness, 129 usage.
"""

GOOD, BAD, UNTESTABLE, HOST_FAULT, USAGE, INTERRUPTED = 0, 1, 125, 128, 129, 130


class HarnessError(Exception):
    """Something foreseeable went wrong.

    ``what`` says what happened and where, in one line; ``hint`` names the one thing to try next;
    ``details`` is evidence to show below (compiler output, a conflict), possibly many lines.
    """

    exit_code = HOST_FAULT

    def __init__(self, what: str, *, hint: str = "", details: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.details = details


class UsageError(HarnessError):
    """What was asked cannot be understood or contradicts itself (exit code 129)."""

    exit_code = USAGE


class HostFault(HarnessError):
    """The machine, not the kernel under test, is at fault: network, disk, tools (exit code 128)."""

    exit_code = HOST_FAULT


class Untestable(HarnessError):
    """The kernel could not even be made: the step says nothing about good or bad (code 125)."""

    exit_code = UNTESTABLE


class NotApplied(Untestable):
    """A patch does not apply; the message names patch, file and hunk.

    ``because`` says which commit took away what it needs, if that is known.
    """

    because = ""


class NotConfigured(Untestable):
    """Requested options did not land in .config; the message says which and why."""


class NotBuilt(Untestable):
    """The build failed; ``details`` starts with the compiler's own lines."""


class BreaksBuild(NotBuilt):
    """The patched kernel does not build although the base does: the series is bad (code 1)."""

    exit_code = BAD


class SeriesError(Untestable):
    """The series cannot be read: empty, truncated, not a patch at all."""


class GuestFault(HostFault):
    """The guest could not be started before the kernel printed anything."""


class Interrupted(HarnessError):
    """Somebody stopped us; what was found until then is kept (exit code 130)."""

    exit_code = INTERRUPTED
