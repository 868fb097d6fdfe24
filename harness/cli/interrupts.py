# SPDX-License-Identifier: GPL-2.0-only
"""Ctrl-C and its kin: the first one cleans up, the second one ends at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def interruptible(
    stopping: Callable[[], None] | None = None, at_once: Callable[[], None] | None = None
) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into KeyboardInterrupt, so that every clean-up runs.

    The first one calls ``stopping``, in a thread: a signal comes in the middle of anything.  The
    next one calls ``at_once``, which may end this process: guards see to what it has started.
    What is ignored (nohup, a shell's background) stays so.
    """

    def first(number: int, _frame: object) -> None:
        for other in before:
            signal.signal(other, again)
        if stopping is not None:
            threading.Thread(target=stopping, name="harness-stopping", daemon=True).start()
        raise KeyboardInterrupt(signal.Signals(number).name)

    def again(_number: int, _frame: object) -> None:
        if at_once is not None:
            at_once()

    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heard = [kind for kind in kinds if signal.getsignal(kind) is not signal.SIG_IGN]
    before = {number: signal.signal(number, first) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
