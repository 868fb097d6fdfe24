# SPDX-License-Identifier: GPL-2.0-only
"""Points 8 and 10: an instance leaves no memory behind, not even where nobody would miss it.

The kernel finds an instance by its namespace's id, which never comes again: one that stays in that
table is lost, and no other check would tell.  So everything here is done for one new mount
namespace after another.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from guestlib import memory, nvme
from guestlib.instances import check_own
from guestlib.nvmet import (
    DISCOVERY_NQN,
    AnaGroup,
    Instance,
    NvmetHost,
    Port,
    Referral,
    Subsystem,
    loop_port,
)
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container, mount_configfs
from harness.guestside.expect import errno_is
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = [
    needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET", "CONFIG_NVME_TARGET_LOOP"),
    needs.feature("slab_counts"),
]

NQN = "nqn.2026-01.org.example:memory"
OTHER = "nqn.2026-01.org.example:other"
TIMES = 50
FULL = (
    NvmetHost(NQN),
    Subsystem(NQN, hosts=(NQN,)),
    Subsystem(OTHER),
    Port(
        1,
        "loop",
        "memory",
        subsystems=(NQN, OTHER),
        referrals=(Referral("one", "tcp", "192.0.2.1", "4420", "ipv4"),),
        ana_groups=(AnaGroup(2, "inaccessible"),),
    ),
)


def enter_the_next() -> None:
    """Into a new namespace without an instance in sight; the one before it ends."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    with suppress(OSError):  # the one before mounted nothing
        syscalls.umount(CONFIGFS, syscalls.MNT_DETACH)


def context() -> int:
    return syscalls.fsopen("configfs")


def open_a_context() -> None:
    os.close(context())


def create(command: int = syscalls.FSCONFIG_CMD_CREATE) -> None:
    """Make a superblock, or find that of the namespace, and mount it nowhere."""
    opened = context()
    try:
        syscalls.fsconfig(opened, command)
    finally:
        os.close(opened)


def mount_exclusively() -> None:
    """Refused, since the instance is there; the context that asked for it goes."""
    mount_configfs()
    with errno_is(errno.EBUSY):
        create(syscalls.FSCONFIG_CMD_CREATE_EXCL)


def mount_twice() -> None:
    mount_configfs()
    create()


def mount_and_umount() -> None:
    for _ in range(2):
        mount_configfs()
        syscalls.umount(CONFIGFS)


def change_its_root() -> None:
    """Its mode and owner are kept beside the inode."""
    mount_configfs()
    os.chmod(CONFIGFS, 0o711)  # noqa: PTH101
    os.chown(CONFIGFS, 1, 1)


def configure() -> None:
    mount_configfs()
    Instance().add(*FULL)


def configure_and_clear() -> None:
    configure()
    Instance().clear()


def be_refused() -> None:
    """What fails half-way: an NQN that is taken, and links that may not be."""
    mount_configfs()
    instance = Instance()
    instance.add(Subsystem(NQN), loop_port(1))
    instance.write("discovery_nqn", OTHER)
    refused: tuple[Callable[[], object], ...] = (
        (instance.root / "subsystems" / OTHER).mkdir,
        (instance.root / "ports/none").mkdir,
        partial(instance.write, "discovery_nqn", NQN),
        partial((instance.root / "hosts/x").symlink_to, instance.root / "subsystems" / NQN),
        partial(instance.write, "ports/1/ana_groups/1/ana_state", "none"),
    )
    for call in refused:
        with suppress(OSError):
            call()
            raise AssertionError(f"{call} is refused")


@pytest.mark.parametrize(
    "turn",
    [open_a_context, create, mount_exclusively, mount_twice, mount_and_umount, change_its_root,
     configure, configure_and_clear, be_refused],
    ids=lambda turn: turn.__name__,
)  # fmt: skip
class TestPoint8NoMemoryStays:
    def test_of_namespaces_that_come_and_go(
        self, container: Container, turn: Callable[[], None]
    ) -> None:
        def live() -> None:
            enter_the_next()
            turn()

        check_own(container)
        found = container.run(memory.grown, TIMES, live, seconds=wait.ENDLESS)
        assert not found, f"objects that each of {TIMES} namespaces left: {found}"


@needs.config("CONFIG_NVME_FABRICS")
class TestPoint8NoMemoryStaysOfHosts:
    @pytest.mark.parametrize("way", ["disconnected", "left connected"])
    def test_that_connect_to_instances_that_come_and_go(
        self, container: Container, way: str
    ) -> None:
        port = loop_port(1, NQN, name="memory")

        def live() -> None:
            enter_the_next()
            mount_configfs()
            Instance().add(Subsystem(NQN), port)
            controllers = [nvme.connect(port, NQN), discover(port)]
            if way == "disconnected":
                for controller in controllers:
                    controller.disconnect()
            syscalls.umount(CONFIGFS)
            for controller in controllers:
                controller.becomes("")

        check_own(container)
        times = TIMES // 8
        found = container.run(memory.grown, times, live, seconds=wait.ENDLESS)
        assert not found, f"objects that each of {times} instances left: {found}"


def discover(port: Port) -> nvme.Controller:
    return nvme.connect(port, DISCOVERY_NQN, nvme.KEEP_ALIVE, io_queues=0)
