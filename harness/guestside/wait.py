# SPDX-License-Identifier: GPL-2.0-only
"""Waiting for a condition, with a deadline; never for a time to pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SECONDS = 20.0  # generous: an emulated, busy guest; only a failing test ever waits that long
PAUSE = 0.02


def until(condition: Callable[[], T], what: str, *, seconds: float = SECONDS) -> T:
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
