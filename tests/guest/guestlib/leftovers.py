# SPDX-License-Identifier: GPL-2.0-only
"""The leak guard of these suites, with additional kinds of things that they create."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from guestlib import disks, nvme
from guestlib.instances import INSTANCES
from guestlib.nvmet import Instance
from harness.guestside.kernelfiles import CONFIGFS
from harness.guestside.leaks import LeakGuard, LeakKind


def _configfs_items() -> Iterator[str]:
    for folder, folders, _ in os.walk(CONFIGFS):
        yield from (os.path.join(folder, name) for name in folders)  # noqa: PTH118


def _clear_configfs(_: list[str]) -> None:
    Instance().clear()
    for name in disks.null_blocks():
        (disks.NULLB / name).rmdir()


def _disconnect(names: list[str]) -> None:
    for name in names:
        nvme.Controller(name).disconnect()


def _free_loops(names: list[str]) -> None:
    for name in names:
        disks.free_loop(name.split()[0])


def _null_block_devices() -> list[str]:
    # By their major number, because a device has the name of its configfs folder.
    major = re.search(r"^ *(\d+) nullb$", Path("/proc/devices").read_text(), re.MULTILINE)
    if not major:
        return []
    found = []
    for entry in Path("/sys/block").iterdir():
        with suppress(OSError):  # a path of a multipath disk has no number, and a disk may just go
            if (entry / "dev").read_text().startswith(f"{major[1]}:"):
                found.append(entry.name)
    return found


def _nvmet_instances() -> list[str]:
    return os.listdir(INSTANCES) if INSTANCES.is_dir() else []  # noqa: PTH208


GUARD = LeakGuard(
    # In the order of removal: a connected controller keeps its subsystem busy.
    LeakKind("nvme controller", lambda: (c.name for c in nvme.controllers()), _disconnect),
    LeakKind("configfs item", _configfs_items, _clear_configfs, stays=True),
    LeakKind(
        "loop device",
        lambda: (f"{device} {file}" for device, file in disks.loops().items()),
        _free_loops,
    ),
    LeakKind("null_blk device", _null_block_devices),
    LeakKind("nvmet instance", _nvmet_instances),
)
