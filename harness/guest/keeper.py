# SPDX-License-Identifier: GPL-2.0-only
"""The keeper: a process that owns one guest from its start to its final record.

``python -m harness.guest.keeper FOLDER PARENT`` boots FOLDER/spec.json.  SIGTERM ends the guest,
and so does the death of process PARENT; SIGUSR1 means that a test exceeded its deadline.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

from harness.errors import GuestFault, HarnessError, HostFault
from harness.guest import hold, initplan, qemu, qmp, records, snapshot
from harness.guest.console import Console, ConsoleWatch
from harness.guest.hang import HangInquiry
from harness.guest.machine import Machine
from harness.guest.private import Private
from harness.guest.snapshot import Snapshot
from harness.guest.spec import GuestSpec
from harness.model import GuestRecord

_TELL = 1.0  # seconds between looks at how long the guest waits for a processor
_TICK = 0.1  # seconds between checks of the clock and of signals while the console is silent
DEAD = ("panic", "timeout", "hang")  # verdicts after which the kernel is worth inspecting


class GuestKeeper:
    """Runs one guest and records how it ended."""

    def __init__(self, folder: Path, parent: int = 0) -> None:
        self.folder = folder
        self.spec = GuestSpec.load(folder / records.SPEC)
        self.name = records.name(folder)
        self.parent = parent or os.getppid()
        self.begin, self.born = time.monotonic(), time.time()
        self.watch = ConsoleWatch(self.spec.deadline, self.spec.factor)
        self.unwanted = False  # SIGTERM
        self.late = False  # SIGUSR1
        self.copied = False  # from a saved guest
        self.waited = 0.0  # for a processor of the host
        self.told = 0.0  # when the host was last told so

    def record(self, ended: str = "") -> GuestRecord:
        """Write and return the record with what is known so far."""
        record = GuestRecord(
            name=self.name,
            ended=ended,
            accel=self.spec.accel.value,
            boot_seconds=self.watch.boot_seconds,
            console=str(self.folder / records.CONSOLE),
            note=self.watch.note,
            began=round(self.born, 3),
            seconds=round(time.monotonic() - self.begin, 3) if ended else 0.0,
            copied=self.copied,
        )
        records.write_record(self.folder, record)
        return record

    def run(self) -> GuestRecord:
        """Run the guest to its end.  Raises GuestFault if the host cannot start it."""
        (self.folder / records.KEEPER).write_text(f"{os.getpid()}\n")
        self.record()
        link = self.folder / records.RUN
        private = Private()
        try:
            initplan.write(self.spec, self.name, private.path)
            qemu.make_disks(self.spec, private.path)
            link.symlink_to(private.path)
            saved = snapshot.obtain(self.spec, self._unneeded)
            if self._unneeded():
                self.watch.over(0)
            elif saved is None or not self._copy(private.path, saved):
                self._boot(private.path)
        finally:
            private.remove()
            link.unlink(missing_ok=True)
            (self.folder / records.KEEPER).unlink(missing_ok=True)
        return self.record(self.watch.end())

    def _boot(self, private: Path) -> None:
        argv = qemu.argv(self.spec, self.name, private, gateway=True)
        with self._machine(argv) as machine:
            with contextlib.closing(HangInquiry(private, self.folder)) as inquiry:
                by_itself = self._stay(machine, private, inquiry)
            status = self._ended(machine, by_itself=by_itself)
        if self.watch.end() == "boot" and not self.watch.spoke:
            raise self._fault(machine.messages, status)

    def _copy(self, private: Path, saved: Snapshot) -> bool:
        """Run a copy of a saved guest; return False if it did not come up."""
        self.copied = True
        self._start_clock(self.spec.deadline / 2)
        argv = saved.copy_argv(self.spec, self.name, private)
        self.watch.spoke = True  # before it was saved
        why = ""
        with (
            self._machine(argv) as machine,
            contextlib.closing(HangInquiry(private, self.folder)) as inquiry,
        ):
            machine.console.replay(saved.folder / records.CONSOLE)
            try:
                inquiry.order(saved.load(private, lambda: self._too_late(machine)))
            except HostFault as error:
                why = error.what
                machine.end()
            else:
                by_itself = self._stay(machine, private, inquiry)
                self._ended(machine, by_itself=by_itself)
        if self._unneeded() or (not why and self.watch.boot_seconds is not None):
            return True
        lines = machine.messages.strip().splitlines()
        why = why or f"a copy of the saved guest did not come up ({self.watch.end()})"
        snapshot.refuse(self.spec, ": ".join([why, *lines[-1:]]), broken=saved)
        self.copied = False
        self._start_clock(self.spec.deadline)
        return False

    def _machine(self, argv: list[str]) -> Machine:
        return Machine(argv, self.spec.cwd, self.folder / records.CONSOLE, self.begin)

    def _start_clock(self, deadline: float) -> None:
        """Start the time of a boot, or of a copy instead of a boot."""
        self.begin = time.monotonic()
        self.waited = self.told = 0.0
        self.watch = ConsoleWatch(deadline, self.spec.factor)

    def _unneeded(self) -> bool:
        # The guard also ends us when our parent dies, but it starts slightly later.
        return self.unwanted or os.getppid() != self.parent

    def _now(self, machine: Machine) -> float:
        """Return the seconds that the guest's deadlines count, and tell the host about the rest."""
        real = time.monotonic()
        if real > self.told + _TELL:
            self.told = real
            self.waited = machine.waited
            records.write_waited(self.folder, self.waited)
        return real - self.begin - self.waited

    def _too_late(self, machine: Machine) -> bool:
        late = self._now(machine) > self.watch.deadline
        return self._unneeded() or late or not machine.running

    def _ended(self, machine: Machine, *, by_itself: bool) -> int:
        """End QEMU, and note how it did if by itself; return its exit status."""
        by_itself = by_itself and machine.exited()  # then QEMU's exit status shows why
        status = machine.end()
        if by_itself and self.watch.spoke:
            self.watch.gone(status, machine.messages)
        (self.folder / records.VNG_LOG).write_text(machine.messages)
        return status

    def _stay(self, machine: Machine, private: Path, inquiry: HangInquiry) -> bool:
        """Watch the guest until it ends or must be killed; return whether it ended by itself."""
        console = machine.console
        while True:
            lines = console.lines(_TICK)
            if lines is None:
                return True
            now = self._now(machine)
            self._read(lines, now)
            if lines:
                inquiry.connect()
            self._ask(inquiry, console, now)
            if self._unneeded():
                self.watch.over(now)
            if self.watch.tick(now):
                self._save_memory(private)
                self._hold(private, console, alive=inquiry.answered)
                return False

    def _save_memory(self, private: Path) -> None:
        """Save the memory of a kernel that died or hangs, if requested."""
        if self.spec.vmcore and self.watch.verdict in DEAD:
            qmp.dump_memory(private / "qmp", self.folder / records.VMCORE)

    def _hold(self, private: Path, console: Console, *, alive: bool) -> None:
        """Hold a dead or hanging guest for the user; ``alive``: it is still running programs."""
        verdict = self.watch.verdict
        if not self.spec.hold or verdict not in DEAD or self.watch.boot_seconds is None:
            return
        if alive and verdict != "panic":
            qmp.ask(private / "qmp", "cont")  # it was stopped for the dump
            hold.living(self.folder, private, "its test is over the deadline", self.spec.hold)
        else:
            why = "its kernel panicked" if verdict == "panic" else "its kernel hangs"
            hold.dead(self.folder, private, self.spec.vmlinux, self.spec.hold, why)

        def given_up() -> bool:
            return console.lines(0) is None or self._unneeded()

        hold.wait(self.folder, self.spec.hold, given_up)

    def _read(self, lines: list[bytes], now: float) -> None:
        was_up = self.watch.boot_seconds is not None
        for line in lines:
            self.watch.line(line, now)
        if not was_up and self.watch.boot_seconds is not None:
            self.record()

    def _ask(self, inquiry: HangInquiry, console: Console, now: float) -> None:
        if self.late and self.watch.late(now):
            inquiry.proceed(console, now, self.watch.silent(now))
        if self.watch.verdict == "panic":
            inquiry.ping()
            if inquiry.answered:
                self.watch.alive()

    def _fault(self, messages: str, status: int) -> GuestFault:
        details = [messages.strip(), records.read_text(self.folder / records.CONSOLE)]
        if self.watch.deadline <= time.monotonic() - self.begin - self.waited:
            what = f"{self.name} printed nothing within {self.watch.deadline:.0f} s"
        else:
            what = f"QEMU ended with status {status} before the kernel printed anything"
        return GuestFault(what, hint="harness doctor", details="\n".join(filter(None, details)))


def main(argv: list[str]) -> int:
    """Run the guest of the given folder; return an exit status."""
    folder = Path(argv[1])
    try:
        keeper = GuestKeeper(folder, parent=int(argv[2]) if len(argv) > 2 else 0)

        def note(number: int, _frame: object) -> None:
            if number == signal.SIGUSR1:
                keeper.late = True
            else:
                keeper.unwanted = True

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, note)
        keeper.run()
    except HarnessError as error:
        records.write_fault(folder, error)
        return error.exit_code
    except OSError as error:
        fault = HostFault(f"cannot run the guest of {folder}: {error}", hint="harness doctor")
        records.write_fault(folder, fault)
        return fault.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
