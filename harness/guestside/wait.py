# SPDX-License-Identifier: GPL-2.0-only
"""Waiting for a condition, never for a time to pass; and how long until it is given up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Seconds for whatever a test waits for: only one that fails waits that long, however slow and busy
# the guest is.  It is half of the host's deadline for a test under emulation, so that a test can
# say what did not come before its guest is taken away.
PATIENCE = 120.0
ENDLESS = 3600.0  # for what is as long as was asked for: there the host ends what hangs
PAUSE = 0.02


def until(condition: Callable[[], T | None], what: str, *, seconds: float = PATIENCE) -> T:
    """Ask ``condition`` again and again until its answer is true, and return that answer.

    ``what`` says in words what is waited for.  AssertionError with it, and with the last answer,
    when ``seconds`` have passed: what did not come is a finding about the kernel.
    """
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() >= deadline  # looked at first: one more question after a long nap
        answer = condition()
        if answer:
            return answer
        if late:
            raise AssertionError(f"waited {seconds:g} s for {what}; last answer: {answer!r}")
        time.sleep(PAUSE)
