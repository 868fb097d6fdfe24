# SPDX-License-Identifier: GPL-2.0-only
"""Start guests and hold on to them: one keeper process per guest, seen from outside."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

from harness.errors import GuestFault
from harness.guest import folder as folders
from harness.guest.private import sweep
from harness.guest.spec import GuestSpec
from harness.model import GuestRecord
from harness.process import Group

#: Seconds a keeper gets to end its guest, flush the console and write the record.
GRACE = 10.0
_TICK = 0.02


class Keeper:
    """A guest as the harness holds it.

    The keeper process does the work and writes ``guest.json``; what this object says of the guest
    is read from there, so it also describes guests that another process started (a relay starts
    one when xdist replaces a crashed worker).
    """

    def __init__(self, folder: Path, group: Group | None = None) -> None:
        self.folder = folder
        self.name = folders.name(folder)
        self._group = group

    def record(self) -> GuestRecord | None:
        """Say what is known of the guest so far; None before the keeper wrote anything."""
        return folders.read_record(self.folder)

    @property
    def up(self) -> bool:
        """Whether the guest's user space came up (it may be gone again)."""
        record = self.record()
        return record is not None and record.boot_seconds is not None

    def poll(self) -> GuestRecord | None:
        """Give the final record when the guest is over, None while it lives.

        Raises GuestFault when the host could not start it, with QEMU's own words as details.
        """
        fault = folders.read_fault(self.folder)
        if fault is not None:
            raise fault
        record = self.record()
        if record is not None and record.ended:
            return record
        if self._group is not None and self._group.popen.poll() is not None:
            return self._gone()
        return None

    def _gone(self) -> GuestRecord:
        # The keeper ended between our two looks, or without a last word (killed from outside).
        fault = folders.read_fault(self.folder)
        if fault is not None:
            raise fault
        record = self.record()
        if record is None:
            raise GuestFault(
                f"the keeper of {self.name} died before it started anything",
                hint="did something kill it? dmesg on this machine says so for lack of memory",
                details=folders.read_text(self.folder / folders.KEEPER_LOG),
            )
        return record if record.ended else folders.lost(self.folder, record)

    def wait_up(self, timeout: float) -> bool:
        """Wait until the guest is up or over, at most ``timeout`` seconds; whether it is up."""
        end = time.monotonic() + timeout
        while time.monotonic() < end and not self.up and self.poll() is None:
            time.sleep(_TICK)
        return self.up

    def wait_over(self, timeout: float) -> bool:
        """Wait until the guest is over, at most ``timeout`` seconds; whether it is.

        Raises as ``poll``.
        """
        end = time.monotonic() + timeout
        while self.poll() is None and time.monotonic() < end:
            time.sleep(_TICK)
        return self.poll() is not None

    def signal(self, number: int) -> None:
        """Send a signal to the keeper process; one that is gone is no error."""
        if self._group is not None:
            self._group.popen.send_signal(number)
            return
        pid = folders.read_keeper(self.folder)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def timeout(self) -> None:
        """Say that a test is over its deadline: the guest shows what it is at, then is killed.

        Returns at once; the record then says ``timeout``.
        """
        self.signal(signal.SIGUSR1)

    def end(self, grace: float = GRACE) -> GuestRecord:
        """End the guest and give its record; one that is over already stays as it was."""
        if self._group is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.signal(signal.SIGTERM)
                self._group.popen.wait(grace)
            self._group.end()
        else:
            self._end_other(grace)
        record = self.poll()
        return record if record is not None else self._gone()

    def _end_other(self, grace: float) -> None:
        self.signal(signal.SIGTERM)
        end = time.monotonic() + grace
        while time.monotonic() < end and self.poll() is None:
            time.sleep(_TICK)


def start(spec: GuestSpec, count: int) -> list[Keeper]:
    """Start ``count`` guests at once and return without waiting for any of them to boot.

    What killed runs left behind is cleared first.  Each guest gets the next free number below
    ``spec.folder``.  Raises HostFault when a keeper cannot be started; guests started until then
    are ended.
    """
    sweep()
    keepers: list[Keeper] = []
    if spec.prepared and spec.bundle is None:
        from harness.guest import bundle  # keepers import this module and need none of that

        spec = dataclasses.replace(spec, bundle=bundle.ready(spec.python))
    try:
        for _ in range(count):
            keepers.append(_start_one(spec))
    except BaseException:
        for keeper in keepers:
            keeper.end(grace=0)
        raise
    return keepers


def _start_one(spec: GuestSpec) -> Keeper:
    folder = folders.take(spec.folder)
    spec.save(folder / folders.SPEC)
    with (folder / folders.KEEPER_LOG).open("wb") as log:
        group = Group(
            [spec.python, "-P", "-m", "harness.guest.keeper", folder, str(os.getpid())],
            env=folders.search_environment(),
            stdout=log.fileno(),
            stderr=log.fileno(),
        )
    return Keeper(folder, group)


def find(spec: GuestSpec, name: str = "") -> list[Keeper]:
    """Give all guests of a run, or the one called ``name``, whoever started them."""
    found = [Keeper(folder) for folder in folders.taken(spec.folder)]
    return [keeper for keeper in found if not name or keeper.name == name]


def relay_command(spec_path: Path, python: Path | None = None) -> str:
    """Give the command for an xdist spec ``popen//python=...``: it becomes a worker in a guest."""
    relay = Path(__file__).with_name("relay.py")

    program = python or GuestSpec.load(spec_path).python
    return shlex.join([os.fspath(program), "-I", "-S", os.fspath(relay), os.fspath(spec_path)])
