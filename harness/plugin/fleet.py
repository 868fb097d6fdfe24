# SPDX-License-Identifier: GPL-2.0-only
"""The guests of a pytest session: started together, held for the user, ended with the session."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import GuestFault, UsageError
from harness.guest import GuestHandle, GuestSpec, attend, find, hold, records, relay_command, start
from harness.guest.bundle import COMPILED
from harness.model import GuestRecord, Outcome, Test
from harness.options import LONG_HOLD
from harness.plugin.deadlines import DeadlineWatch

# Host memory that guests must leave free, in MiB.
SPARE = 2048
MOST = 8
# Seconds that a keeper gets after the boot deadline to write the record.
PATIENCE = 15.0
_NEWEST = 1 << 18  # bytes at the end of a console to search for an Oops
_OOPS = re.compile(rb"\[ *\d+\.\d{6}\].*(?:Oops: |Oops - |Internal error: )")


class BootFailed(Exception):
    """The kernel did not boot, which is a result, not a host fault."""

    def __init__(self, guest: GuestHandle, record: GuestRecord | None) -> None:
        super().__init__(guest.name)
        self.guest = guest
        self.record = record


class Fleet:
    """Guests with the same kernel and options.

    While the first ones boot, ``meanwhile`` is called with the folder of compiled modules that
    guests read.
    """

    def __init__(self, spec: GuestSpec, count: int) -> None:
        self.spec = spec
        self.count = count
        self.meanwhile: Callable[[Path], None] | None = None
        self.started: list[GuestHandle] = []
        self._ahead: list[GuestHandle] = []  # started for the next replacement
        self._file = spec.folder / records.SPEC
        spec.save(self._file)

    @property
    def worker(self) -> str:
        """The xdist spec for a worker: a relay that claims one of our guests."""
        return f"popen//python={relay_command(self._file)}"

    @property
    def leaves_processors(self) -> bool:
        """Whether the host has a processor that no guest of this fleet uses."""
        return self.count * self.spec.processors < len(os.sched_getaffinity(0))

    def boot(self, count: int, *, ahead: bool = False) -> list[GuestHandle]:
        """Start guests simultaneously and wait until all are up.

        ``ahead`` starts one more, for the next call, without waiting.  Raises BootFailed for the
        first guest that does not come up (the others are ended with the session), GuestFault if the
        host is at fault.
        """
        guests = [guest for guest in self._ahead if guest.poll() is None][:count]
        guests += self._start(count - len(guests))
        self._ahead = self._start(1) if ahead else []
        bundle = GuestSpec.load(guests[0].folder / records.SPEC).bundle
        if self.meanwhile and bundle:
            self.meanwhile(bundle / COMPILED)
            self.meanwhile = None
        for guest in guests:
            if not guest.wait_up(self.spec.patience + PATIENCE):
                raise BootFailed(guest, guest.poll())
        return guests

    def _start(self, count: int) -> list[GuestHandle]:
        guests = start(self.spec, count)
        self.started += guests
        return guests

    def named(self, name: str) -> GuestHandle | None:
        """Return the guest called ``name``, or None."""
        own = (guest for guest in self.started if guest.name == name)
        return next(own, None) or next(iter(find(self.spec, name)), None)

    def console(self, name: str) -> Path:
        """Return the console log of the guest called ``name``."""
        return self.spec.folder / name.removeprefix("guest") / records.CONSOLE

    def hurt(self, name: str) -> bool:
        """Return whether a guest's kernel has had an Oops since its last test started."""
        with contextlib.suppress(OSError), self.console(name).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _NEWEST))
            return bool(_OOPS.search(file.read().rpartition(b"harness: start ")[2]))
        return False

    def waited(self, name: str) -> float:
        """Return for how many seconds a guest has waited for a processor of the host."""
        return records.read_waited(self.spec.folder / name.removeprefix("guest"))

    def end(self) -> None:
        """End the guests that are still running."""
        for guest in self.started:
            with contextlib.suppress(GuestFault):  # already reported when the guest was started
                guest.end()


def guest_count(wanted: str, spec: GuestSpec, tests: int) -> int:
    """Return the number of guests for "auto" or a number; ``tests`` is 0 if unknown.

    "auto" is limited by the host's processors and memory.
    """
    if wanted != "auto":
        if not wanted.isdecimal() or not int(wanted):
            what = f"--guests: expected a whole number (1 or more) or auto, got {wanted!r}"
            raise UsageError(what, hint="--guests auto")
        return int(wanted)
    cores = len(os.sched_getaffinity(0)) // spec.processors
    memory = (_available() - SPARE) // spec.memory
    return max(1, min(cores, memory, MOST, tests or MOST))


def _available() -> int:
    """Return the host's available memory in MiB."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return SPARE


def hold_seconds(config: pytest.Config) -> float:
    """Return how many seconds to hold a guest (--hold, --hold-for); 0 means not at all.

    Raises pytest.UsageError.
    """
    get = config.getoption
    if get("hold_for"):
        return float(get("hold_for"))
    if not get("hold"):
        return 0.0
    fd = attend.terminal()
    if fd is None:
        what = "--hold needs a terminal\nhint: --hold-for SECONDS works without a terminal"
        raise pytest.UsageError(what)
    os.close(fd)
    return LONG_HOLD


class Holding:
    """With --hold, makes a guest wait after each report, and holds it after a bad one."""

    def __init__(self, fleet: Fleet, watch: DeadlineWatch) -> None:
        self._fleet, self._watch = fleet, watch
        self._over = threading.Event()

    def reported(self, guest: str, report: pytest.TestReport) -> None:
        """Hold the guest if the report is bad, then let it continue."""
        handle = self._fleet.named(guest)
        if handle is None:
            return
        try:
            private = (handle.folder / records.RUN).readlink()
        except OSError:  # the guest has ended
            return
        if report.failed:
            self._hold(guest, handle.folder, private, report)
        hold.continue_tests(private)

    def _hold(self, guest: str, folder: Path, private: Path, report: pytest.TestReport) -> None:
        self._watch.finished(guest)  # no deadline applies to the user
        why = f"{report.nodeid} failed in its {report.when}: {_headline(report)}"
        seconds = self._fleet.spec.hold
        hold.living(folder, private, why, seconds)
        link = folder / records.RUN  # exists while the guest is running
        hold.wait(folder, seconds, lambda: self._over.is_set() or not link.is_symlink())
        self._watch.started(guest, report.nodeid)

    def close(self) -> None:
        """Let all guests continue."""
        self._over.set()


def _headline(report: pytest.TestReport) -> str:
    """Return what went wrong, in one line: pytest's own message, or the title of a splat."""
    text = report.longreprtext
    own = any(line.startswith("E ") for line in text.splitlines())
    return Test(report.nodeid, Outcome.FAIL if own else Outcome.CRASH, message=text).headline
