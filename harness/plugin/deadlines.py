# SPDX-License-Identifier: GPL-2.0-only
"""The host's deadlines for each test and for the run, checked by a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_TICK = 0.25
#: The fraction of its deadline that a test gets once an Oops has killed a task, because whatever
#: waits for that task, or for a lock that it held, waits forever.
HURT = 1 / 6


class DeadlineWatch:
    """Tracks which test each guest is running, and since when.

    ``late(guest, test)`` is called once for each test that exceeds its deadline, ``over()`` once if
    the run exceeds its deadline.  Deadlines are in seconds; 0 means none.  ``between`` is the
    deadline for a guest that is doing something else (collecting tests, moving on to the next test,
    ending its session), which counts as a test without a name.  ``hurt(guest)`` returns whether the
    guest's kernel had an Oops during the test.  ``own(test)`` is the deadline of a test that has
    one of its own, or 0.  ``waited(guest)`` is for how many seconds the guest has waited for a
    processor of the host: deadlines do not count them.
    """

    def __init__(
        self,
        test_deadline: float,
        run_deadline: float,
        late: Callable[[str, str], None],
        over: Callable[[], None],
        between: float = 0.0,
        hurt: Callable[[str], bool] = lambda _guest: False,
        own: Callable[[str], float] = lambda _test: 0.0,
        waited: Callable[[str], float] = lambda _guest: 0.0,
    ) -> None:
        self.test_deadline = test_deadline
        self.run_deadline = run_deadline
        self.late: dict[tuple[str, str], float] = {}  # (guest, test): the exceeded deadline
        self.before: dict[str, str] = {}  # the last test each guest finished
        self._on_late, self._on_over, self._between, self._hurt = late, over, between, hurt
        self._own, self._waited = own, waited
        # {guest: (test, start, seconds waited for a processor before the start, deadline)}
        self._running: dict[str, tuple[str, float, float, float]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._begin = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="harness-watch", daemon=True)
        self._thread.start()

    def busy(self, guest: str) -> None:
        """Record that a guest now has something to do, unless it is already running a test."""
        before = self._waited(guest)
        with self._lock:
            if not self._running.get(guest, ("",))[0]:
                self._running[guest] = ("", time.monotonic(), before, self._between)

    def idle(self, guest: str) -> None:
        """Record that a guest is waiting for us, unless it is already running a test.

        Separate threads handle the messages to it and from it, in any order.
        """
        with self._lock:
            if not self._running.get(guest, ("",))[0]:
                self._running.pop(guest, None)

    def started(self, guest: str, test: str) -> None:
        """Record that a guest has started a test."""
        deadline = self._own(test) or self.test_deadline
        before = self._waited(guest)
        with self._lock:
            self._running[guest] = (test, time.monotonic(), before, deadline)

    def finished(self, guest: str) -> None:
        """Record that a guest has finished its test, and has nothing else to do."""
        with self._lock:
            test = self._running.pop(guest, ("",))[0]
            self.before[guest] = test or self.before.get(guest, "")

    def at(self, guest: str) -> str:
        """Return the test that a guest is running; empty if none."""
        with self._lock:
            return self._running.get(guest, ("",))[0]

    def current(self) -> list[tuple[str, str]]:
        """Return the guests that are running a test, with the test."""
        with self._lock:
            return [(guest, test) for guest, (test, *_) in self._running.items() if test]

    def close(self) -> None:
        """Stop the clocks."""
        self._stop.set()
        self._thread.join()

    def expired(self) -> bool:
        """Return whether the run's deadline has passed."""
        return bool(self.run_deadline) and time.monotonic() - self._begin > self.run_deadline

    def _run(self) -> None:
        while not self._stop.wait(_TICK):
            if self.expired():
                self._on_over()
                return
            for guest, test in self._overdue(time.monotonic()):
                self._on_late(guest, test)

    def _overdue(self, now: float) -> list[tuple[str, str]]:
        with self._lock:
            candidates = [
                (guest, test, now - since + before, deadline)
                for guest, (test, since, before, deadline) in self._running.items()
                if deadline and now - since > deadline * HURT and (guest, test) not in self.late
            ]
        overdue = {}
        for guest, test, real, deadline in candidates:
            passed = real - self._waited(guest)
            if passed > deadline:
                overdue[guest, test] = deadline
            elif passed > deadline * HURT and test and self._hurt(guest):
                overdue[guest, test] = deadline * HURT
        with self._lock:
            # A test that ended while its console was being read was not late.
            overdue = {
                (guest, test): deadline
                for (guest, test), deadline in overdue.items()
                if self._running.get(guest, ("",))[0] == test
            }
            self.late |= overdue
        return list(overdue)
