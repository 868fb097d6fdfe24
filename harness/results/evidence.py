# SPDX-License-Identifier: GPL-2.0-only
"""The evidence in the folder of one trial: tests, guests, splats, options, commands.

The folder belongs to a side of a run, a kernel of a check or a step of a bisection, or was named
by ``pytest --kernel IMAGE --guest-folder``.  The names of its files are defined here.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from harness import serial
from harness.decode import Decoded
from harness.guest import bootfail
from harness.guest import records as guest_records
from harness.model import GuestRecord, Kernel, Patch, Request, Side, Trial
from harness.results import journal
from harness.results.journal import SessionStarted
from harness.serial import DamagedError
from harness.splat import find as find_splats

CONFIG = "config"  # the kernel's .config
BUILD_LOG = "build.log"
OPTIONS = "options.json"  # the requested options: {"CONFIG_X": "y"}
PYTEST_LOG = "pytest.log"
GUESTS = "guests"  # a folder for each guest
UNCHANGED = "unchanged"  # in the folder of a mutation: the trial without a mutant
SERIES = "series"  # in a run's folder: the patches as they were applied
COVER = "cover.mail"  # in a run's folder: the original cover letter
SPLATS_TEXT = "splats.txt"
SPLATS = "splats.json"

_COMPILER = re.compile(r'^CONFIG_CC_VERSION_TEXT="(.*)"$', re.MULTILINE)

# The memory that the kernel reports at boot, in KiB.
_MEMORY = re.compile(r"Memory: (\d+)K/(\d+)K available \((.*?)\)")


@dataclasses.dataclass(frozen=True)
class DecodedSplat:
    """A splat, identified by its title and frames, with the source locations of its frames."""

    title: str
    frames: tuple[str, ...]
    decoded: Decoded


def records(folder: Path) -> tuple[GuestRecord, ...]:
    """Read the records of the trial's guests, without reading their consoles."""
    read = map(guest_records.read_record, guest_records.taken(folder / GUESTS))
    return tuple(record for record in read if record is not None)


def guests(folder: Path) -> tuple[GuestRecord, ...]:
    """Read the records of the trial's guests, with the splats on their consoles."""
    started = session(folder)
    ignored = started.ignored_splats if started else ()
    records = []
    for place in guest_records.taken(folder / GUESTS):
        record = guest_records.read_record(place)
        if record is not None:
            console = place / guest_records.CONSOLE
            splats = find_splats(_lines(console), ignored=ignored)
            records.append(dataclasses.replace(record, console=str(console), splats=splats))
    return tuple(records)


def _lines(console: Path) -> list[str]:
    if not console.is_file():
        return []
    return console.read_text(errors="backslashreplace").splitlines()


def read(
    folder: Path, side: Side, kernel: Kernel, *, cached: bool = False, stopped: bool = False
) -> Trial:
    """Read a trial.  ``stopped``: it was interrupted, so a running test has not crashed."""
    records = guests(folder)
    tests = journal.read(folder, stopped=stopped)
    return Trial(side, kernel, tests, records, boot_error(records), cached)


def boot_error(records: tuple[GuestRecord, ...]) -> str:
    """Return why no guest came up; empty if one did, or if none was started."""
    unborn = [record for record in records if record.boot_seconds is None]
    if not unborn or len(unborn) < len(records):
        return ""
    first = unborn[0]
    titles = [splat.title for splat in first.splats]
    stage = bootfail.stage(guest_records.read_text(Path(first.console))).text
    return f"did not boot ({first.ended}): {titles[0] if titles else stage}"


def free_memory(records: tuple[GuestRecord, ...]) -> int:
    """Return the free memory at boot, in KiB; 0 if not known."""
    for record in records:
        match = _MEMORY.search(guest_records.read_text(Path(record.console)))
        if match:
            return int(match[1])
    return 0


def session(folder: Path) -> SessionStarted | None:
    """Return how the tests of this folder were run; None if not recorded."""
    events = journal.events(folder)
    return next((event for event in events if isinstance(event, SessionStarted)), None)


def rerun_command(folder: Path, started: SessionStarted) -> list[str]:
    """Return the command that reruns one test of this folder; the caller appends the test's name.

    It uses the options in this folder: the results of a base may be from an earlier run.
    """
    options = folder / OPTIONS
    own = ["--kernel-options", str(options)] if options.is_file() else []
    return [*started.command, *own]


def image(folder: Path) -> Path | None:
    """Return the kernel image that the trial ran on; None if not recorded."""
    started = session(folder)
    return started.kernel if started else None


def write_options(folder: Path, request: Request) -> None:
    """Write the requested Kconfig options."""
    options = {f"CONFIG_{o.name.removeprefix('CONFIG_')}": o.value for o in request.options}
    serial.write(folder / OPTIONS, options, indent=1)


def options(folder: Path) -> dict[str, str]:
    """Read the requested Kconfig options; empty if the file is gone or damaged."""
    try:
        return serial.read(folder / OPTIONS, dict[str, str])
    except (OSError, DamagedError):
        return {}


def config(folder: Path) -> str:
    """Read the kernel's .config; empty if the file is gone."""
    try:
        return (folder / CONFIG).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def compiler(config: str) -> str:
    """Return the compiler that a .config names; empty if it names none."""
    match = _COMPILER.search(config)
    return match[1] if match else ""


def patch_file(run_folder: Path, patch: Patch) -> Path:
    """Return the path of a patch: the run's copy, or else the original."""
    kept = run_folder / SERIES / patch.path.name
    return kept if kept.is_file() else patch.path


def write_decoded(folder: Path, splats: tuple[DecodedSplat, ...]) -> None:
    """Write the source locations of the trial's splats."""
    serial.write(folder / SPLATS, splats)


def decoded(folder: Path) -> tuple[DecodedSplat, ...]:
    """Read the source locations of the trial's splats; empty if nothing was decoded."""
    try:
        return serial.read(folder / SPLATS, tuple[DecodedSplat, ...])
    except (OSError, DamagedError):
        return ()
