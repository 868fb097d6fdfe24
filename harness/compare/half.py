# SPDX-License-Identifier: GPL-2.0-only
"""One of the two things that are compared: what a kernel did, read from its folder."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from harness import paths
from harness.errors import UsageError
from harness.guest import folder as guest_folder
from harness.model import CompilerWarning, GuestRecord, Outcome, SideResult, Splat, Test
from harness.results import journal, store
from harness.splat import find as find_splats

# What the kernel says of its memory at boot, in KiB.
_MEMORY = re.compile(r"Memory: (\d+)K/(\d+)K available \((.*?)\)")


@dataclasses.dataclass(frozen=True)
class Half:
    """``warnings`` is None where it is not known how the kernel was built.

    ``boots`` are in seconds; ``memory`` is what was free at boot, in KiB, 0 if not known.
    """

    name: str
    folder: Path
    tests: tuple[Test, ...]
    splats: tuple[Splat, ...]
    warnings: tuple[CompilerWarning, ...] | None
    boots: tuple[float, ...]
    memory: int
    error: str = ""

    def outcomes(self) -> dict[str, Test]:
        """Give the tests that ran, by name; collected and never begun is not there."""
        return {one.id: one for one in self.tests if one.outcome is not Outcome.NOTRUN}


def read(path: Path) -> Half:
    """Read a run's folder (then it is the kernel it judged), or one side's folder below it.

    The folder that ``pytest --kernel --guest-folder`` or a check leaves will do as well.  Raises
    UsageError for anything else.
    """
    path = paths.expanded(path).absolute()
    if (path / store.RUN).is_file():
        run = store.load_run(path)
        if not run.sides:
            raise UsageError(f"the run {path} ended before its first test", hint="name another")
        return _of_side(path / run.judged.side, run.judged)
    if (path / journal.NAME).is_file():
        above = path.parent / store.RUN
        if above.is_file():
            run = store.load_run(path.parent)
            for side in run.sides:
                if side.side == path.name:
                    return _of_side(path, side)
        return _of_folder(path)
    raise UsageError(
        f"{path} is not a run's folder: it has neither {store.RUN} nor {journal.NAME}",
        hint="give the folder that --out named, or one kernel's below it, such as RUN/base",
    )


def _of_side(folder: Path, side: SideResult) -> Half:
    return _half(folder, side.tests, side.guests, side.kernel.warnings, side.error)


def _of_folder(folder: Path) -> Half:
    guests = []
    for one in guest_folder.taken(folder / "guests"):
        found = guest_folder.read_record(one)
        console = one / "console.log"
        if found is not None:
            lines = console.read_text(errors="replace").splitlines() if console.is_file() else []
            guests.append(
                dataclasses.replace(found, console=str(console), splats=tuple(find_splats(lines)))
            )
    return _half(folder, journal.read(folder), tuple(guests), None, "")


def _half(
    folder: Path,
    tests: tuple[Test, ...],
    guests: tuple[GuestRecord, ...],
    warnings: tuple[CompilerWarning, ...] | None,
    error: str,
) -> Half:
    boot = [one for guest in guests for one in guest.splats if one.test == "boot"]
    return Half(
        name=str(folder),
        folder=folder,
        tests=tests,
        splats=(*boot, *(one for test in tests for one in test.splats)),
        warnings=warnings,
        boots=tuple(one.boot_seconds for one in guests if one.boot_seconds is not None),
        memory=next((found for one in guests if (found := _memory(Path(one.console)))), 0),
        error=error,
    )


def _memory(console: Path) -> int:
    if not console.is_file():
        return 0
    with console.open(errors="replace") as lines:
        found = next(filter(None, map(_MEMORY.search, lines)), None)
    return int(found[1]) if found else 0
