# SPDX-License-Identifier: GPL-2.0-only
"""Wait for a condition, never for a time to pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Seconds to wait for anything: only a failing test waits that long, however slow and busy the guest
# is.  Half of the host's deadline for a test under emulation, so that a test can say what did not
# happen before its guest is killed.
PATIENCE = 120.0
ENDLESS = 3600.0  # for work whose amount was requested: if it hangs, the host ends it
PAUSE = 0.02


def until(condition: Callable[[], T | None], what: str, *, seconds: float = PATIENCE) -> T:
    """Call ``condition`` again and again until its result is true, and return that result.

    ``what`` says what is waited for.  Raises AssertionError, with ``what`` and the last result,
    after ``seconds``: that it did not happen is a finding about the kernel.
    """
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() >= deadline  # before the call: after a long sleep, try once more
        answer = condition()
        if answer:
            return answer
        if late:
            raise AssertionError(f"waited {seconds:g} s for {what}; last answer: {answer!r}")
        time.sleep(PAUSE)
