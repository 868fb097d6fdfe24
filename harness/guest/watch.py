# SPDX-License-Identifier: GPL-2.0-only
"""What becomes of a guest, told from its console lines and the clock.  Pure: times come in."""

from __future__ import annotations

import signal

from harness.guest.console import Sign, left, sign

# Seconds on real hardware; emulation stretches them.
LAST_WORDS = 4.0  # to answer sysrq after a deadline, and to print what was asked for
SILENCE = 0.5  # after which an answer to sysrq counts as complete
FAREWELL = 2.0  # to power off after the job left, and to end after a panic
DRAIN = 0.3  # real seconds to read what is under way when the guest is no longer wanted


class Watch:
    """A guest's fate.  ``deadline`` (seconds after its start) is for the boot.

    ``verdict`` is empty until something decides how the guest ends; it is then one of
    GuestRecord's words, and the guest is to be killed when ``tick`` says so, if it is still there.
    """

    def __init__(self, deadline: float, factor: float) -> None:
        self.deadline = deadline
        self.factor = factor
        self.spoke = False  # the kernel printed something
        self.boot_seconds: float | None = None
        self.status: int | None = None  # the job's, when it left
        self.verdict = ""
        self.note = ""  # the verdict in words, where it needs some
        self._until: float | None = None
        self._asked = False  # sysrq was sent
        self._answered = False
        self._last = 0.0

    def line(self, line: bytes, now: float) -> None:
        """Take a line of the console at ``now`` seconds after the start."""
        self._last = now
        meaning = sign(line)
        self.spoke = self.spoke or meaning is not Sign.NOTHING
        if meaning is Sign.PANIC:
            self.verdict = "panic"
            # A kernel that stays says when it is through with its last words.
            rest = SILENCE if b"---[ end Kernel panic" in line else FAREWELL
            self._until = now + rest * self.factor
        elif meaning is Sign.UP and self.boot_seconds is None:
            self.boot_seconds = now
        elif meaning is Sign.LEFT and not self.verdict:
            self.status = left(line)
            self.verdict = "left" if self.status else "done"
            self.note = _left(self.status)
            self._until = now + FAREWELL * self.factor
        elif meaning is Sign.TEST and self.verdict in ("panic", "left", "done"):
            self.alive()
        elif meaning is Sign.SYSRQ and self._asked and not self._answered:
            self._answered = True
            self.verdict = "timeout"

    def alive(self) -> None:
        """Note a sign of life: what was taken for the guest's end were a program's words."""
        self.verdict, self.note, self._until = "", "", None

    def late(self, now: float) -> bool:
        """Note that a test is over its deadline; whether sysrq is to ask what the guest is at."""
        if not self._asked and not self.verdict:
            self._asked = True
            self.verdict = "hang"  # until it answers
            self._until = now + LAST_WORDS * self.factor
        return self._asked

    def silent(self, now: float) -> float:
        """Give the seconds since the console's last line."""
        return now - self._last

    def over(self, now: float) -> None:
        """Note that nobody needs the guest any more."""
        self.verdict = self.verdict or "done"
        self._until = min(self._until or now + DRAIN, now + DRAIN)

    def tick(self, now: float) -> bool:
        """Say whether it is time to kill the guest."""
        if not self.verdict and self.boot_seconds is None and now > self.deadline:
            self.verdict = "boot"
            return True
        if self._answered and self.silent(now) > SILENCE * self.factor:
            return True
        return self._until is not None and now > self._until

    def gone(self, status: int, said: str) -> None:
        """Note that the guest ended by itself: QEMU's exit ``status`` and what it ``said``."""
        killed = "terminating on signal" in said
        if self.verdict or (self.boot_seconds is None and not status and not killed):
            return
        if status or killed:
            self.verdict = "lost"
            self.note = _how(status) if not killed else said.strip().splitlines()[-1]
        else:
            self.verdict = "reset"

    def end(self) -> str:
        """Give the verdict when the guest is gone."""
        if not self.verdict:
            self.verdict = "boot" if self.boot_seconds is None else "lost"
        return self.verdict


def _left(status: int) -> str:
    if not status:
        return ""
    try:
        how = f"was killed by {signal.Signals(status - 128).name}"
    except ValueError:
        how = f"ended with status {status}"
    return f"the tests' process in the guest {how}"


def _how(status: int) -> str:
    if status < 0:
        return f"QEMU was killed by {signal.Signals(-status).name} (by the host, out of memory?)"
    return f"QEMU ended with status {status}"
