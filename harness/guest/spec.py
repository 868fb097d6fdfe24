# SPDX-License-Identifier: GPL-2.0-only
"""What to boot and where its evidence goes: one frozen value, kept as JSON beside the run.

Keepers and relays are processes of their own; the file is how they learn what to do.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from harness.errors import HostFault
from harness.model import Accel, Plan
from harness.options import GUEST_ARCH, GUEST_MEMORY

#: How much longer everything takes when QEMU emulates the processor.
TCG_SCALE = 4.0

_PATHS = ("image", "folder", "cwd", "python")


@dataclasses.dataclass(frozen=True)
class GuestSpec:
    """All guests of one run are booted alike, from this.

    ``folder`` is the run's ``guests/`` folder: guest N keeps its evidence in ``folder/N``.
    ``boot_deadline`` is in seconds of a machine with KVM; ``scale`` stretches it (see
    ``deadline``).  ``cpus`` 0 leaves the number to us.  ``memory`` is in MiB.  ``disks`` are files
    that appear as virtio disks, in order, with their name as serial.  ``environment`` is added to
    what guest programs see.  ``overlays`` are folders that guests may write to without the host
    noticing, ``writable`` those whose files they share with it.  ``modules`` is what they see as
    /lib/modules.  ``vmlinux`` is the same kernel
    uncompressed, which starts sooner where QEMU can load it.  ``prepared`` allows a bundle of the
    Python modules that every worker imports, which makes start-up quick; ``bundle`` is its
    folder once there is one (see ``start``).  ``booter`` is a program
    in place of virtme-run that takes the same arguments (tests have one).  ``vmcore`` keeps the
    memory of a kernel that panicked or hangs; ``hold`` is for how many seconds a
    guest stays to which that happened, or whose test failed.
    """

    image: Path
    folder: Path
    accel: Accel = Accel.TCG
    arch: str = GUEST_ARCH
    cpus: int = 0
    memory: int = GUEST_MEMORY
    disks: tuple[Path, ...] = ()
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
    booter: tuple[str, ...] = ()
    vmcore: bool = False
    hold: float = 0.0

    @property
    def stays(self) -> bool:
        """Whether a kernel that panicked stays in memory, to be looked at."""
        return self.vmcore or self.hold > 0

    @property
    def factor(self) -> float:
        """How much longer than on real hardware anything may take in this guest."""
        return self.scale * (TCG_SCALE if self.accel is Accel.TCG else 1.0)

    @property
    def deadline(self) -> float:
        """Seconds this guest may take to boot, emulation and ``scale`` counted in."""
        return self.boot_deadline * self.factor

    @property
    def processors(self) -> int:
        """The number of virtual processors.

        One starts quickest under emulation, where each more costs host time for every tick.
        """
        return self.cpus or (1 if self.accel is Accel.TCG else 2)

    def save(self, path: Path) -> None:
        """Write the JSON file that ``load`` and the guest processes read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(self), default=str, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> GuestSpec:
        """Read what ``save`` wrote.  Raises HostFault when that is not what the file holds."""
        try:
            raw: dict[str, Any] = json.loads(path.read_text())
            for name in _PATHS:
                raw[name] = Path(raw[name])
            raw["accel"] = Accel(raw["accel"])
            raw["disks"] = tuple(Path(disk) for disk in raw["disks"])
            raw["writable"] = tuple(Path(place) for place in raw["writable"])
            for name in ("vmlinux", "modules", "bundle"):
                raw[name] = Path(raw[name]) if raw.get(name) else None
            for name in ("append", "overlays", "booter"):
                raw[name] = tuple(raw[name])
            raw["environment"] = tuple((name, value) for name, value in raw["environment"])
            return cls(**raw)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HostFault(
                f"{path} is not a guest description: {error}",
                hint="written by another version of the harness? Run the tests again",
            ) from error
