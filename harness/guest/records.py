# SPDX-License-Identifier: GPL-2.0-only
"""The folder of one guest, through which keeper, relay and harness communicate.

``guests/N/`` contains spec.json (what to boot), console.log (what the kernel printed), guest.json
(the record, updated while the guest is running), keeper.log (messages from the keeper and QEMU),
``run`` (a link to the private folder with the sockets while the guest is running) and ``claimed``
(created by the relay that uses the guest).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path

from harness import serial
from harness.errors import GuestFault, HarnessError, HostFault
from harness.model import GuestRecord

SPEC, RECORD, CONSOLE = "spec.json", "guest.json", "console.log"
KEEPER_LOG, FAULT, RUN, KEEPER = "keeper.log", "fault.json", "run", "keeper.pid"
HANG, REGISTERS = "hang.json", "registers.txt"  # what a guest did when a test exceeded its deadline
WAITED = "waited"  # the seconds for which the guest waited for a processor of the host
VNG_LOG = "vng.log"  # messages from virtme-ng and QEMU
VMCORE = "vmcore"  # the memory of a dead or hanging kernel


@dataclasses.dataclass(frozen=True)
class _StartFault:
    """fault.json: why the host could not start a guest."""

    what: str
    hint: str = ""
    details: str = ""


@dataclasses.dataclass(frozen=True)
class HungTask:
    """A task of a test that exceeded its deadline, as described by /proc in the guest."""

    pid: str
    thread: str
    comm: str
    state: str
    wchan: str
    syscall: str
    stack: str


@dataclasses.dataclass(frozen=True)
class HangAnswer:
    """hang.json: what the guest's tasks were doing; ``python``: the test's Python stacks."""

    tasks: tuple[HungTask, ...] = ()
    python: str = ""


def python_environment() -> dict[str, str]:
    """Return an environment in which Python finds the harness even if it is not installed."""
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def name(folder: Path) -> str:
    """Return the guest's name, as used in tests and reports."""
    return f"guest{folder.name}"


def take(guests: Path) -> Path:
    """Create the next numbered folder; concurrent callers get different folders.

    Raises HostFault if ``guests`` cannot be written to.
    """
    try:
        guests.mkdir(parents=True, exist_ok=True)
        number = len(taken(guests))
        while True:
            with contextlib.suppress(FileExistsError):
                (guests / str(number)).mkdir()
                return guests / str(number)
            number += 1
    except OSError as error:
        raise HostFault(
            f"cannot write to {guests}: {error.strerror}",
            hint="write evidence to another folder: --out DIR (pytest: --guest-folder DIR)",
        ) from error


def taken(guests: Path) -> list[Path]:
    """Return the folders of all guests of a run, in the order of their numbers."""
    folders = [path for path in guests.glob("[0-9]*") if path.name.isdigit()]
    return sorted(folders, key=lambda path: int(path.name))


def write_record(folder: Path, record: GuestRecord) -> None:
    """Write guest.json; ``ended`` is empty while the guest is running."""
    serial.write(folder / RECORD, record, indent=1)


def read_record(folder: Path) -> GuestRecord | None:
    """Read guest.json; None if it does not exist yet."""
    try:
        return serial.read(folder / RECORD, GuestRecord)
    except (OSError, serial.DamagedError):
        return None


def record_lost(folder: Path, record: GuestRecord) -> GuestRecord:
    """Write and return the final record of a guest whose keeper was killed."""
    final = dataclasses.replace(record, ended="lost", note="its keeper was killed")
    write_record(folder, final)
    return final


def write_fault(folder: Path, fault: HarnessError) -> None:
    """Write why the host could not start the guest."""
    recorded = _StartFault(fault.what, fault.hint, fault.details)
    serial.write(folder / FAULT, recorded, indent=1)


def read_fault(folder: Path) -> GuestFault | None:
    """Read why the host could not start the guest; None if it could."""
    try:
        recorded = serial.read(folder / FAULT, _StartFault)
    except (OSError, serial.DamagedError):
        return None
    return GuestFault(recorded.what, hint=recorded.hint, details=recorded.details)


def read_keeper(folder: Path) -> int | None:
    """Return the keeper's process id; None if it has ended."""
    try:
        return int((folder / KEEPER).read_text())
    except (OSError, ValueError):
        return None


def write_waited(folder: Path, seconds: float) -> None:
    """Write for how long a guest has waited for a processor of the host."""
    draft = folder / f"{WAITED}.new"
    draft.write_text(f"{seconds:.3f}\n")
    draft.rename(folder / WAITED)


def read_waited(folder: Path) -> float:
    """Return for how many seconds a guest has waited for a processor of the host."""
    try:
        return float((folder / WAITED).read_text())
    except (OSError, ValueError):
        return 0.0


def read_hang(folder: Path) -> HangAnswer | None:
    """Read a guest's answer after a test exceeded its deadline; None if it did not answer."""
    try:
        return serial.read(folder / HANG, HangAnswer)
    except (OSError, serial.DamagedError):
        return None


def read_text(path: Path) -> str:
    """Read a log for a message; empty if it does not exist."""
    try:
        return path.read_text(errors="backslashreplace").strip()
    except OSError:
        return ""
