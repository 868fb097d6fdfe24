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
from harness.guest import records
from harness.guest.private import sweep
from harness.guest.spec import GuestSpec
from harness.model import GuestRecord
from harness.process import Group

#: Seconds a keeper gets to end its guest, flush the console and write the record.
GRACE = 10.0
_TICK = 0.02


class GuestHandle:
    """A guest as the harness holds it.

    The keeper process does the work and writes ``guest.json``; this object reads from there.  So it
    also describes guests that another process started: a relay starts one when xdist replaces a
    crashed worker.
    """

    def __init__(self, folder: Path, group: Group | None = None) -> None:
        self.folder = folder
        self.name = records.name(folder)
        self._group = group

    def record(self) -> GuestRecord | None:
        """The guest's record so far; None before the keeper wrote anything."""
        return records.read_record(self.folder)

    @property
    def up(self) -> bool:
        """Whether the guest's user space came up (it may have ended since)."""
        record = self.record()
        return record is not None and record.boot_seconds is not None

    def poll(self) -> GuestRecord | None:
        """The final record when the guest has ended, None while it lives.

        Raises GuestFault if the host could not start it, with QEMU's message as details.
        """
        fault = records.read_fault(self.folder)
        if fault is not None:
            raise fault
        record = self.record()
        if record is not None and record.ended:
            return record
        if self._group is not None and self._group.popen.poll() is not None:
            return self._without_keeper()
        return None

    def _without_keeper(self) -> GuestRecord:
        """The final record after the keeper ended: normally (after we looked), or killed."""
        fault = records.read_fault(self.folder)
        if fault is not None:
            raise fault
        record = self.record()
        if record is None:
            raise GuestFault(
                f"the keeper of {self.name} died before it started anything",
                hint="did something kill it? dmesg on this machine says so if memory ran out",
                details=records.read_text(self.folder / records.KEEPER_LOG),
            )
        return record if record.ended else records.record_lost(self.folder, record)

    def wait_up(self, timeout: float) -> bool:
        """Wait until the guest is up or has ended, at most ``timeout`` seconds; whether it is up.

        Raises as ``poll``.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end and not self.up and self.poll() is None:
            time.sleep(_TICK)
        return self.up

    def wait_over(self, timeout: float) -> bool:
        """Wait until the guest has ended, at most ``timeout`` seconds; whether it has.

        Raises as ``poll``.
        """
        end = time.monotonic() + timeout
        while self.poll() is None and time.monotonic() < end:
            time.sleep(_TICK)
        return self.poll() is not None

    def signal(self, number: int) -> None:
        """Send a signal to the keeper process; one that has ended is no error."""
        if self._group is not None:
            self._group.popen.send_signal(number)
            return
        pid = records.read_keeper(self.folder)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def timeout(self) -> None:
        """Report that a test is over its deadline; returns at once.

        The keeper finds out what the guest is doing, then kills it; the record says ``timeout``.
        """
        self.signal(signal.SIGUSR1)

    def end(self, grace: float = GRACE) -> GuestRecord:
        """End the guest and return its record; if it has ended already, the record stays."""
        self.signal(signal.SIGTERM)
        if self._group is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._group.popen.wait(grace)
            self._group.end()
        else:
            end = time.monotonic() + grace
            while time.monotonic() < end and self.poll() is None:
                time.sleep(_TICK)
        return self.poll() or self._without_keeper()


def start(spec: GuestSpec, count: int) -> list[GuestHandle]:
    """Start ``count`` guests at once, without waiting for any of them to boot.

    What killed runs left behind is removed first.  Each guest gets the next free number below
    ``spec.folder``.  Raises HostFault if a keeper cannot be started; the others are ended then.
    """
    sweep()
    guests: list[GuestHandle] = []
    if spec.prepared and spec.bundle is None:
        from harness.guest import bundle  # keepers import this module and need none of that

        spec = dataclasses.replace(spec, bundle=bundle.ready(spec.python))
    try:
        for _ in range(count):
            guests.append(_start_one(spec))
    except BaseException:
        for guest in guests:
            guest.end(grace=0)
        raise
    return guests


def _start_one(spec: GuestSpec) -> GuestHandle:
    folder = records.take(spec.folder)
    spec.save(folder / records.SPEC)
    with (folder / records.KEEPER_LOG).open("wb") as log:
        group = Group(
            [spec.python, "-P", "-m", "harness.guest.keeper", folder, str(os.getpid())],
            env=records.python_environment(),
            stdout=log.fileno(),
            stderr=log.fileno(),
        )
    return GuestHandle(folder, group)


def find(spec: GuestSpec, name: str = "") -> list[GuestHandle]:
    """All guests of a run, or the one called ``name``, whoever started them."""
    guests = [GuestHandle(folder) for folder in records.taken(spec.folder)]
    return [guest for guest in guests if not name or guest.name == name]


def relay_command(spec_path: Path, python: Path | None = None) -> str:
    """The command for an xdist spec ``popen//python=...``: it becomes a worker in a guest."""
    relay = Path(__file__).with_name("relay.py")
    program = python or GuestSpec.load(spec_path).python
    return shlex.join([os.fspath(program), "-I", "-S", os.fspath(relay), os.fspath(spec_path)])
