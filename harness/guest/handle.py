# SPDX-License-Identifier: GPL-2.0-only
"""Start guests and control them from outside: each guest has its own keeper process."""

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
    """A guest as seen by the harness.

    The keeper process does the work and writes ``guest.json``; this object reads that file.  So it
    can also describe a guest that another process started: a relay starts one when xdist replaces
    a crashed worker.
    """

    def __init__(self, folder: Path, group: Group | None = None) -> None:
        self.folder = folder
        self.name = records.name(folder)
        self._group = group

    def record(self) -> GuestRecord | None:
        """Return the guest's record so far; None until the keeper has written it."""
        return records.read_record(self.folder)

    @property
    def up(self) -> bool:
        """Whether the guest's user space came up (it may have ended since)."""
        record = self.record()
        return record is not None and record.boot_seconds is not None

    def poll(self) -> GuestRecord | None:
        """Return the final record once the guest has ended, None while it is running.

        Raises GuestFault if the host could not start the guest, with QEMU's message as details.
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
        """Return the final record after the keeper has just exited, or was killed."""
        fault = records.read_fault(self.folder)
        if fault is not None:
            raise fault
        record = self.record()
        if record is None:
            raise GuestFault(
                f"the keeper process of {self.name} died before it started the guest",
                hint="check this machine's dmesg: the OOM killer may have killed it",
                details=records.read_text(self.folder / records.KEEPER_LOG),
            )
        return record if record.ended else records.record_lost(self.folder, record)

    def wait_up(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for the guest to come up or end; return whether it is up.

        The time for which any guest of the run waits for a processor of the host does not count.
        Raises the errors of ``poll``.
        """
        begin = time.monotonic()

        def late() -> bool:
            passed = time.monotonic() - begin
            return passed > timeout and passed - self._waited() > timeout

        while not self.up and self.poll() is None and not late():
            time.sleep(_TICK)
        return self.up

    def _waited(self) -> float:
        return max(map(records.read_waited, records.taken(self.folder.parent)), default=0.0)

    def wait_over(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for the guest to end; return whether it has ended.

        Raises the errors of ``poll``.
        """
        end = time.monotonic() + timeout
        while self.poll() is None and time.monotonic() < end:
            time.sleep(_TICK)
        return self.poll() is not None

    def signal(self, number: int) -> None:
        """Send a signal to the keeper process, if it is still running."""
        if self._group is not None:
            self._group.popen.send_signal(number)
            return
        pid = records.read_keeper(self.folder)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def timeout(self) -> None:
        """Tell the keeper that a test exceeded its deadline, without waiting.

        The keeper finds out what the guest is doing, then kills it; ``ended`` becomes "timeout".
        """
        self.signal(signal.SIGUSR1)

    def end(self, grace: float = GRACE) -> GuestRecord:
        """End the guest, unless it has ended already, and return its final record."""
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
    """Start ``count`` guests at once, without waiting for them to boot.

    What killed runs left behind is removed first.  Each guest gets the next free number in
    ``spec.folder``.  Raises HostFault if a keeper cannot be started; the other guests are ended.
    """
    sweep()
    guests: list[GuestHandle] = []
    if spec.prepared and spec.bundle is None:
        from harness.guest import bundle, prepared  # only needed here: keepers import this too

        spec = dataclasses.replace(spec, bundle=bundle.ready(spec.python))
        spec = prepared.with_gate(spec)
    try:
        for _ in range(count):
            guests.append(_start_guest(spec))
    except BaseException:
        for guest in guests:
            guest.end(grace=0)
        raise
    return guests


def _start_guest(spec: GuestSpec) -> GuestHandle:
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
    """Return all guests of a run, or only the guest ``name``; any process may have started them."""
    guests = [GuestHandle(folder) for folder in records.taken(spec.folder)]
    return [guest for guest in guests if not name or guest.name == name]


def relay_command(spec_path: Path, python: Path | None = None) -> str:
    """Return the command for an xdist spec ``popen//python=...`` that runs a worker in a guest."""
    relay = Path(__file__).with_name("relay.py")
    program = python or GuestSpec.load(spec_path).python
    return shlex.join([os.fspath(program), "-I", "-S", os.fspath(relay), os.fspath(spec_path)])
