# SPDX-License-Identifier: GPL-2.0-only
"""Faults that also crash an unpatched 7.2.13: run with --known-faults, else skipped."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import pytest

from guestlib.nvmet import Instance, NvmetHost, NvmetValue, Subsystem, loop_port
from guestlib.races import ignoring, race
from harness.guestside import needs
from harness.guestside.expect import errno_is

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET")

NQN = "nqn.2026-01.org.example:known"
ROOT = Instance().root
ROUNDS = 2000


@pytest.mark.known_fault("a buffered namespace without a path: NULL dereference in filp_open()")
def test_enabling_a_buffered_namespace_without_a_path_is_refused(initial: Instance) -> None:
    folder = ROOT / "subsystems" / NQN / "namespaces/1"
    with initial.holding(Subsystem(NQN)):
        folder.mkdir()
        (folder / "buffered_io").write_text("1")
        with errno_is(errno.EINVAL, errno.ENOENT):
            (folder / "enable").write_text("1")


@pytest.mark.known_fault("a link into a folder that is being removed: allow_link() without parent")
@pytest.mark.parametrize("kind", ["allowed-host", "port"])
def test_a_link_into_a_folder_that_goes_is_refused_or_made(
    request: pytest.FixtureRequest, initial: Instance, kind: str
) -> None:
    get = request.config.getoption
    target: tuple[NvmetValue, ...]
    if kind == "port":
        folder, place = ROOT / "ports/1", ROOT / "subsystems" / NQN
        link, target = folder / "subsystems" / NQN, (Subsystem(NQN), loop_port(2))
    else:
        folder, place = ROOT / "subsystems" / NQN, ROOT / "hosts" / NQN
        link, target = folder / "allowed_hosts" / NQN, (NvmetHost(NQN),)

    def set_up() -> None:
        if kind == "port":
            write_all(folder)

    with initial.holding(*target):
        steps = [
            lambda _: ignoring(folder.mkdir, set_up, folder.rmdir),
            lambda _: ignoring(lambda: os.symlink(place, link), link.unlink),  # noqa: PTH211
        ]
        race(steps, seed=get("--stress-seed"), rounds=ROUNDS * get("--stress-times"))
        with contextlib.suppress(OSError):
            link.unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()


def write_all(folder: Path) -> None:
    (folder / "addr_trtype").write_text("loop")
    (folder / "addr_traddr").write_text("known")
