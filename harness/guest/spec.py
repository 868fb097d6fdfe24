# SPDX-License-Identifier: GPL-2.0-only
"""What to boot, as a frozen dataclass that is written as JSON to the run's folder.

Keepers and relays are separate processes and read it from that file.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import serial
from harness.errors import HostFault
from harness.model import Accel, Plan
from harness.options import GUEST_ARCH, GUEST_MEMORY, NULL_DISK, is_disk_file, mebibytes

#: Factor by which everything takes longer when QEMU emulates the processor.
TCG_SCALE = 4.0


@dataclasses.dataclass(frozen=True)
class GuestSpec:
    """What all guests of a run are booted from.

    ``folder`` is the run's ``guests/`` folder: the logs of guest N are in ``folder/N``.
    ``boot_deadline`` is in seconds on a machine with KVM; ``deadline`` scales it by ``scale``.
    If ``cpus`` is 0, ``processors`` chooses the number.  ``memory`` is in MiB.  ``disks`` are files
    that become virtio disks, in order, with the file name as serial; after them each guest has
    empty disks of its own, of ``empty_disks`` MiB.  ``environment`` is added to
    the environment of programs in the guest.  ``overlays`` are folders that guests can write to
    without changing the host's files; ``writable`` are folders shared with the host.  ``modules``
    becomes /lib/modules.
    ``vmlinux`` is the same kernel uncompressed, which boots faster if QEMU can load it.
    ``prepared`` allows a bundle of the Python modules that every worker imports, for a faster
    start; ``bundle`` is its folder once it exists (see ``start``).  ``gate`` is the prepared image
    from which a guest boots to be saved (see ``snapshot``), once it exists; ``no_snapshot`` makes
    every guest boot truly.  ``booter`` is a program to call
    instead of virtme-run, with the same arguments (for tests).  ``vmcore`` saves the memory of a
    kernel that panicked or hangs.  ``hold`` is the number of seconds to keep such a guest, or a
    guest with a failed test, so that the user can enter it.
    """

    image: Path
    folder: Path
    accel: Accel = Accel.TCG
    arch: str = GUEST_ARCH
    cpus: int = 0
    memory: int = GUEST_MEMORY
    disks: tuple[Path, ...] = ()
    empty_disks: tuple[int, ...] = ()
    boot_deadline: float = Plan.boot_timeout
    scale: float = 1.0
    cwd: Path = dataclasses.field(default_factory=Path.cwd)
    python: Path = dataclasses.field(default_factory=lambda: Path(sys.executable))
    append: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    overlays: tuple[str, ...] = ("/etc", "/var", "/tmp")
    writable: tuple[Path, ...] = ()
    vmlinux: Path | None = None
    modules: Path | None = None
    prepared: bool = True
    bundle: Path | None = None
    no_snapshot: bool = False
    gate: Path | None = None
    booter: tuple[str, ...] = ()
    vmcore: bool = False
    hold: float = 0.0

    @property
    def stays(self) -> bool:
        """Whether a kernel that panicked is kept in memory for inspection."""
        return self.vmcore or self.hold > 0

    @property
    def factor(self) -> float:
        """The factor by which anything may take longer in this guest than on real hardware."""
        return self.scale * (TCG_SCALE if self.accel is Accel.TCG else 1.0)

    @property
    def deadline(self) -> float:
        """The time limit for the boot in seconds, scaled for emulation and by ``scale``."""
        return self.boot_deadline * self.factor

    @property
    def patience(self) -> float:
        """The most seconds until a guest is up, if its snapshot has to be made and cannot be used.

        A snapshot may take half the time limit to be made, and a copy half of it to come up.
        """
        return self.deadline * (1 if self.no_snapshot else 2)

    @property
    def processors(self) -> int:
        """The number of virtual processors.

        Under emulation the default is 1: each additional processor costs host time on every tick.
        """
        return self.cpus or (1 if self.accel is Accel.TCG else 2)

    def with_disks(self, words: Sequence[str]) -> GuestSpec:
        """Return a copy with the disks that are the values of --disk."""
        files = tuple(Path(word).absolute() for word in words if is_disk_file(word))
        sizes = [word for word in words if word != NULL_DISK and not is_disk_file(word)]
        count = list(words).count(NULL_DISK)
        append = (f"null_blk.nr_devices={count}",) if count else ()
        return dataclasses.replace(
            self,
            disks=files,
            empty_disks=tuple(map(mebibytes, sizes)),
            append=(*append, *self.append),
        )

    def save(self, path: Path) -> None:
        """Write the JSON file that ``load`` and the guest processes read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        serial.write(path, self, indent=1)

    @classmethod
    def load(cls, path: Path) -> GuestSpec:
        """Read what ``save`` wrote.  Raises HostFault if the file is missing or damaged."""
        try:
            return serial.read(path, cls)
        except (OSError, serial.DamagedError) as error:
            raise HostFault(
                f"{path} is not a valid guest description: {error}",
                hint="it may be from another version of the harness; run the tests again",
            ) from error
