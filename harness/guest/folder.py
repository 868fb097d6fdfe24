# SPDX-License-Identifier: GPL-2.0-only
"""The folder of one guest, through which keeper, relay and harness speak to one another.

``guests/N/``: spec.json what to boot, console.log what the kernel said, guest.json the record
(early, then final), keeper.log what the keeper and QEMU complained about, ``run`` a link to the
private folder that holds the sockets while the guest lives, ``claimed`` there when a relay has it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from harness.errors import GuestFault, HarnessError, HostFault
from harness.model import GuestRecord

SPEC, RECORD, CONSOLE = "spec.json", "guest.json", "console.log"
KEEPER_LOG, FAULT, RUN, CLAIM, KEEPER = "keeper.log", "fault.json", "run", "claimed", "keeper.pid"
HANG, REGISTERS = "hang.json", "registers.txt"  # what was found out of a test over its deadline
VNG_LOG = "vng.log"  # what virtme-ng and QEMU had to say
VMCORE = "vmcore"  # the memory of a kernel that died or hangs
GATEWAY = "gateway"  # the results socket, inside RUN


def search_environment() -> dict[str, str]:
    """Give the environment in which a Python finds the harness even where it is not installed."""
    found = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, found))}


def name(folder: Path) -> str:
    """Give the guest's name, as tests and reports use it."""
    return f"guest{folder.name}"


def take(guests: Path) -> Path:
    """Make the next numbered folder; two that ask at once get different ones."""
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
            hint="--out DIR (pytest: --guest-folder DIR) puts evidence elsewhere",
        ) from error


def taken(guests: Path) -> list[Path]:
    """Give the folders of all guests of a run, in order."""
    found = [path for path in guests.glob("[0-9]*") if path.name.isdigit()]
    return sorted(found, key=lambda path: int(path.name))


def write(path: Path, value: object) -> None:
    """Write JSON so that a reader sees the old text or the new one, never half of it."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(value, default=str, indent=1) + "\n")
    fresh.replace(path)


def write_record(folder: Path, record: GuestRecord) -> None:
    """Keep what is known of the guest; ``ended`` is empty while it lives."""
    write(folder / RECORD, dataclasses.asdict(record))


def read_record(folder: Path) -> GuestRecord | None:
    """Read the record; None when there is none yet."""
    try:
        raw = json.loads((folder / RECORD).read_text())
        return GuestRecord(**{**raw, "splats": ()})
    except (OSError, ValueError, TypeError):
        return None


def lost(folder: Path, record: GuestRecord) -> GuestRecord:
    """Write the last word for a guest whose keeper was killed."""
    final = dataclasses.replace(record, ended="lost", note="its keeper was killed")
    write_record(folder, final)
    return final


def write_fault(folder: Path, fault: HarnessError) -> None:
    """Keep why the host could not start the guest."""
    write(folder / FAULT, {"what": fault.what, "hint": fault.hint, "details": fault.details})


def read_fault(folder: Path) -> GuestFault | None:
    """Read why the host could not start the guest; None when it could."""
    try:
        raw = json.loads((folder / FAULT).read_text())
        return GuestFault(raw["what"], hint=raw["hint"], details=raw["details"])
    except (OSError, ValueError, KeyError):
        return None


def read_keeper(folder: Path) -> int | None:
    """Give the keeper's process id while it lives."""
    try:
        return int((folder / KEEPER).read_text())
    except (OSError, ValueError):
        return None


def read_hang(folder: Path) -> dict[str, Any]:
    """Read what a guest answered when a test was over its deadline; empty without an answer."""
    try:
        found: dict[str, Any] = json.loads((folder / HANG).read_text())
        return found
    except (OSError, ValueError):
        return {}


def read_text(path: Path) -> str:
    """Read a log for a message; what is not there is empty."""
    try:
        return path.read_text(errors="backslashreplace").strip()
    except OSError:
        return ""
