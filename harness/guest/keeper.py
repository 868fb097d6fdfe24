# SPDX-License-Identifier: GPL-2.0-only
"""The keeper: a process that owns one guest from its start to its record.

``python -m harness.guest.keeper FOLDER PARENT``, with FOLDER/spec.json saying what to boot.
SIGTERM ends the guest, and so does the death of the process PARENT; SIGUSR1 says that a test is
over its deadline.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from harness.errors import GuestFault, HarnessError, HostFault
from harness.guest import command, dump, facts, folder, hold, qmp
from harness.guest.console import Console
from harness.guest.hang import Inquiry
from harness.guest.private import Private
from harness.guest.spec import GuestSpec
from harness.guest.watch import Watch
from harness.model import GuestRecord
from harness.process import Group

_TICK = 0.1  # seconds between two looks at clock and signals while the console is silent
DEAD = ("panic", "timeout", "hang")  # verdicts on a kernel that is worth a look
_REAPED = 1.0  # seconds for QEMU to be gone after its console ended


class Keeper:
    """One guest's life."""

    def __init__(self, place: Path, job: facts.Job = facts.WORKER, parent: int = 0) -> None:
        self.place = place
        self.spec = GuestSpec.load(place / folder.SPEC)
        self.name = folder.name(place)
        self.job = job
        self.parent = parent or os.getppid()
        self.begin, self.born = time.monotonic(), time.time()
        self.watch = Watch(self.spec.deadline, self.spec.factor)
        self.unwanted = False  # SIGTERM
        self.late = False  # SIGUSR1

    def record(self, ended: str = "") -> GuestRecord:
        """Write what is known so far, and give it."""
        record = GuestRecord(
            name=self.name,
            ended=ended,
            accel=self.spec.accel.value,
            boot_seconds=self.watch.boot_seconds,
            console=str(self.place / folder.CONSOLE),
            note=self.watch.note,
            began=round(self.born, 3),
            seconds=round(time.monotonic() - self.begin, 3) if ended else 0.0,
        )
        folder.write_record(self.place, record)
        return record

    def run(self) -> GuestRecord:
        """Boot the guest and stay with it.  Raises GuestFault when the host could not start it."""
        (self.place / folder.KEEPER).write_text(f"{os.getpid()}\n")
        self.record()
        link = self.place / folder.RUN
        private = Private()
        try:
            facts.write(self.spec, self.name, private.path, self.job)
            link.symlink_to(private.path)
            self._boot(private.path)
        finally:
            private.remove()
            link.unlink(missing_ok=True)
            (self.place / folder.KEEPER).unlink(missing_ok=True)
        return self.record(self.watch.end())

    def _boot(self, private: Path) -> None:
        words = command.argv(self.spec, self.name, private, gateway=self.job is facts.WORKER)
        master, slave = os.openpty()
        # A socket: virtme-run adds a second kernel console for anything it can open by name.
        ours, theirs = socket.socketpair()
        error = theirs.fileno()
        console = Console(master, self.place / folder.CONSOLE, self.begin)
        with (
            ours,
            contextlib.closing(console),
            Group(words, cwd=self.spec.cwd, stdin=slave, stdout=slave, stderr=error) as vng,
        ):
            os.close(slave)
            theirs.close()
            alone = self._stay(console, private)
            if alone:  # nobody ended it: its status is a finding
                with contextlib.suppress(subprocess.TimeoutExpired):
                    vng.popen.wait(_REAPED)
            alone = alone and vng.popen.poll() is not None
            status = vng.end()
            said = _said(ours)
        if alone and self.watch.spoke:
            self.watch.gone(status, said)
        (self.place / folder.VNG_LOG).write_text(said)
        if self.watch.end() == "boot" and not self.watch.spoke:
            raise self._fault(said, status)

    def _stay(self, console: Console, private: Path) -> bool:
        """Stay until the guest is over; whether it ended by itself."""
        with contextlib.closing(Inquiry(private, self.place)) as inquiry:
            while True:
                lines = console.lines(_TICK)
                if lines is None:
                    return True
                now = time.monotonic() - self.begin
                self._read(lines, now)
                if lines:
                    inquiry.connect()
                self._ask(inquiry, console, now)
                # Our guard ends us with our parent, but it is started a moment after us.
                if self.unwanted or os.getppid() != self.parent:
                    self.watch.over(now)
                if self.watch.tick(now):
                    self._keep(private)
                    self._hold(private, console, alive=inquiry.answered)
                    return False

    def _keep(self, private: Path) -> None:
        """Keep the memory of a kernel that died or hangs, while there is one."""
        if self.spec.vmcore and self.watch.verdict in DEAD:
            dump.take(private / "qmp", self.place / folder.VMCORE)

    def _hold(self, private: Path, console: Console, *, alive: bool) -> None:
        """Leave a guest that died or hangs to a person; ``alive``: it still runs programs."""
        verdict = self.watch.verdict
        if not self.spec.hold or verdict not in DEAD or self.watch.boot_seconds is None:
            return
        if alive and verdict != "panic":
            qmp.ask(private / "qmp", "cont")  # stopped for a dump
            hold.living(self.place, private, "its test does not end", self.spec.hold)
        else:
            why = "its kernel panicked" if verdict == "panic" else "its kernel does not go on"
            hold.dead(self.place, private, self.spec.vmlinux, self.spec.hold, why)

        def given_up() -> bool:
            ended = console.lines(0) is None
            return ended or self.unwanted or os.getppid() != self.parent

        hold.wait(self.place, self.spec.hold, given_up)

    def _read(self, lines: list[bytes], now: float) -> None:
        known = self.watch.boot_seconds is not None
        for line in lines:
            self.watch.line(line, now)
        if not known and self.watch.boot_seconds is not None:
            self.record()

    def _ask(self, inquiry: Inquiry, console: Console, now: float) -> None:
        if self.late and self.watch.late(now):
            inquiry.go_on(console, now, self.watch.silent(now))
        if self.watch.verdict == "panic":
            inquiry.ping()
            if inquiry.answered:
                self.watch.alive()

    def _fault(self, said: str, status: int) -> GuestFault:
        console = folder.read_text(self.place / folder.CONSOLE)
        lines = [said.strip(), console]
        if self.watch.deadline <= time.monotonic() - self.begin:
            what = f"{self.name} printed nothing within {self.watch.deadline:.0f} s"
        else:
            what = f"QEMU ended with status {status} before the kernel printed anything"
        return GuestFault(what, hint="harness doctor", details="\n".join(filter(None, lines)))


def _said(ours: socket.socket) -> str:
    # Both programs are gone, so what they said is all there and the end comes at once.
    parts = []
    with contextlib.suppress(OSError):
        ours.settimeout(1.0)
        while part := ours.recv(65536):
            parts.append(part)
    return b"".join(parts).decode(errors="backslashreplace")


def main(argv: list[str]) -> int:
    """Keep the guest whose folder is named; gives an exit status."""
    place = Path(argv[1])
    try:
        keeper = Keeper(place, parent=int(argv[2]) if len(argv) > 2 else 0)

        def note(number: int, _frame: object) -> None:
            if number == signal.SIGUSR1:
                keeper.late = True
            else:
                keeper.unwanted = True

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, note)
        keeper.run()
    except HarnessError as error:
        folder.write_fault(place, error)
        return error.exit_code
    except OSError as error:
        fault = HostFault(f"cannot keep a guest in {place}: {error}", hint="harness doctor")
        folder.write_fault(place, fault)
        return fault.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
