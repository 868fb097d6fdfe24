# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's sample of configfs subsystems, a module; of the fourth each instance has a copy."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from harness.guestside import syscalls, wait
from harness.guestside.kernelfiles import CONFIGFS

MODULE = "configfs_sample"
GROUP = Path(CONFIGFS, "04-per-namespace")
_INIT, _DELETE = {"x86_64": (175, 176), "aarch64": (105, 106)}.get(platform.machine(), (0, 0))


def modprobe(*options: str) -> None:
    """Load the module, or with "--remove" unload it.  Raises AssertionError with the reason."""
    done = subprocess.run(["modprobe", *options, MODULE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def references() -> int:
    """Return how often the module is in use."""
    return int(Path("/sys/module", MODULE, "refcnt").read_text())


def make_item(name: str = "item", group: Path = GROUP) -> Path:
    """Create an item that other kernel code can depend on."""
    item = group / name
    item.mkdir()
    return item


def depend(item: Path, *, wanted: bool) -> None:
    """Have other kernel code depend on an item, or no longer, and wait until it does."""
    ask_to_depend(item, wanted=wanted)
    depends(item, wanted=wanted)


def ask_to_depend(item: Path, *, wanted: bool) -> None:
    """Ask for it; a worker of the module's does it."""
    (item / "depend").write_text(str(int(wanted)))


def depends(item: Path, *, wanted: bool) -> None:
    """Wait until other kernel code depends on the item, or no longer."""
    attribute = item / "depend"
    wait.until(lambda: attribute.read_text() == f"{int(wanted)}\n", f"{attribute} to be {wanted}")


def image() -> bytes:
    """Return the module's file."""
    (file,) = Path("/lib/modules", os.uname().release).rglob(f"{MODULE}.ko")
    return file.read_bytes()


def insert(module: bytes) -> None:
    """Load the module, given its file, in this very task.  Raises OSError.

    The file is not read here: where allocations fail, a file system that loses one may stay broken.
    """
    syscalls.syscall("init_module", _INIT, module, len(module), b"")


def delete() -> None:
    """Unload the module in this very task.  Raises OSError."""
    syscalls.syscall("delete_module", _DELETE, MODULE.encode(), os.O_NONBLOCK)
