# SPDX-License-Identifier: GPL-2.0-only
"""The guests of one pytest session: started together, replaced when one dies, ended at the end."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from harness.errors import GuestFault, UsageError
from harness.guest import GuestHandle, GuestSpec, find, relay_command, start
from harness.model import GuestRecord

# Memory of the host that guests must leave alone, in MiB.
SPARE = 2048
MOST = 8
# Above its own deadline a keeper gets this long to write the record, in seconds.
PATIENCE = 15.0
_NEWEST = 1 << 18  # bytes of a console in which an Oops is looked for
_OOPS = re.compile(rb"\[ *\d+\.\d{6}\].*(?:Oops: |Oops - |Internal error: )")


class BootFailed(Exception):
    """The kernel did not come up: a result, not a fault; the record and the console say why."""

    def __init__(self, keeper: GuestHandle, record: GuestRecord | None) -> None:
        super().__init__(keeper.name)
        self.keeper = keeper
        self.record = record


class Fleet:
    """Guests booted alike."""

    def __init__(self, spec: GuestSpec, count: int) -> None:
        self.spec = spec
        self.count = count
        self.started: list[GuestHandle] = []
        self._file = spec.folder / "spec.json"
        spec.save(self._file)

    @property
    def worker(self) -> str:
        """The xdist spec of one worker: a relay that claims one of our guests."""
        return f"popen//python={relay_command(self._file)}"

    def boot(self, count: int) -> list[GuestHandle]:
        """Start guests at once and wait until all are up.

        Raises BootFailed for the first that is not (the rest is ended with the session), GuestFault
        when the host is at fault.
        """
        fresh = start(self.spec, count)
        self.started += fresh
        for keeper in fresh:
            if not keeper.wait_up(self.spec.deadline + PATIENCE):
                raise BootFailed(keeper, keeper.poll())
        return fresh

    def named(self, name: str) -> GuestHandle | None:
        """Give the guest called ``name``."""
        own = (keeper for keeper in self.started if keeper.name == name)
        return next(own, None) or next(iter(find(self.spec, name)), None)

    def console(self, name: str) -> Path:
        """Give the console's log of the guest called ``name``."""
        return self.spec.folder / name.removeprefix("guest") / "console.log"

    def hurt(self, name: str) -> bool:
        """Whether the kernel of the guest called ``name`` had an Oops since its last test began."""
        with contextlib.suppress(OSError), self.console(name).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _NEWEST))
            return bool(_OOPS.search(file.read().rpartition(b"harness: start ")[2]))
        return False

    def end(self) -> None:
        """End what still runs."""
        for keeper in self.started:
            with contextlib.suppress(GuestFault):  # said when it was started
                keeper.end()


def number(asked: str, spec: GuestSpec, nodes: int) -> int:
    """Give the number of guests for "auto" or a number; ``nodes`` tests are named, 0 if unknown.

    Auto: a guest per processor it uses, as memory allows; more would only take turns.
    """
    if asked != "auto":
        if not asked.isdecimal() or not int(asked):
            what = f"--guests: expected a whole number (1 or more) or auto, got {asked!r}"
            raise UsageError(what, hint="--guests auto")
        return int(asked)
    cores = len(os.sched_getaffinity(0)) // spec.processors
    memory = (_available() - SPARE) // spec.memory
    return max(1, min(cores, memory, MOST, nodes or MOST))


def _available() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return SPARE
