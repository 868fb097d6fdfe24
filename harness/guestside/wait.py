# SPDX-License-Identifier: GPL-2.0-only
"""Wait for a condition instead of a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Seconds to wait for anything: long enough for a slow and busy guest, so that only a failing test
# waits that long.  It is half of the host's deadline for a test under emulation, so that a test can
# report what did not happen before its guest is killed.
PATIENCE = 120.0
ENDLESS = 3600.0  # for work of an amount that the user requested: if it hangs, the host ends it
PAUSE = 0.02


def until(condition: Callable[[], T | None], what: str, *, seconds: float = PATIENCE) -> T:
    """Call ``condition`` repeatedly until its result is true, and return that result.

    ``what`` describes the condition.  Raises AssertionError, with ``what`` and the last result,
    after ``seconds``, because a condition that is never met is a failure of the kernel under test.
    """
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() >= deadline  # checked first, to try once more after a long sleep
        result = condition()
        if result:
            return result
        if late:
            raise AssertionError(f"waited {seconds:g} s for {what}; last result: {result!r}")
        time.sleep(PAUSE)
