# SPDX-License-Identifier: GPL-2.0-only
"""Point 8: in which order an instance is taken down, as its hosts see it."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from guestlib import nvme, uevents
from guestlib.instances import INSTANCES, check_own
from guestlib.nvmet import DISCOVERY_NQN, Instance, Port, Subsystem, loop_port, tcp_port
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = needs.config(
    "CONFIG_CONFIGFS_FS",
    "CONFIG_NVME_FABRICS",
    "CONFIG_NVME_TARGET_LOOP",
    "CONFIG_NVME_TARGET_DEBUGFS",
)

NQN = "nqn.2026-01.org.example:removal"
PORTS = [
    pytest.param(loop_port(1, NQN, name="removal"), id="loop"),
    pytest.param(
        tcp_port(1, NQN), id="tcp", marks=needs.config("CONFIG_NVME_TARGET_TCP", "CONFIG_NVME_TCP")
    ),
]


def removed(heard: uevents.Uevents) -> list[str]:
    """The controllers that have been removed, in this order."""
    events = [e for e in heard.all() if (e["SUBSYSTEM"], e["ACTION"]) == ("nvme", "remove")]
    return [os.path.basename(event["DEVPATH"]) for event in events]  # noqa: PTH119


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)], ids=str)
@pytest.mark.parametrize("end", ["umount", "killed"])
def test_the_newest_port_goes_first(container: Container, order: tuple[int, ...], end: str) -> None:
    """Each waits for its controllers, so these go in the same order."""
    check_own(container)
    ports = [loop_port(number, f"{NQN}:{number}", name=f"removal-{number}") for number in order]
    with ExitStack() as stack:
        for port in ports:
            (nqn,) = port.subsystems
            container.run(lambda n, p: Instance().add(Subsystem(n), p), nqn, port)
        # Connected in the order of their numbers, which must not matter.
        connected = {
            port.id: container.run(nvme.connect, port, port.subsystems[0])
            for port in sorted(ports, key=lambda port: port.id)
        }
        for controller in connected.values():
            stack.callback(controller.disconnect)
        heard = stack.enter_context(uevents.listening())
        if end == "umount":
            container.run(syscalls.umount, CONFIGFS)
        else:
            container.destroy()
        wait.until(lambda: len(removed(heard)) == len(ports), "all controllers to be removed")
        assert removed(heard) == [connected[number].name for number in reversed(order)]


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("end", ["unlink", "umount", "killed"])
def test_a_discovery_controller_goes_with_its_port(
    container: Container, port: Port, end: str
) -> None:
    """It belongs to no subsystem that a port could be unlinked from."""
    check_own(container)
    folder = INSTANCES / str(container.mount_namespace())
    container.run(lambda: Instance().add(Subsystem(NQN), port))
    controller = container.run(
        lambda: nvme.connect(
            port, DISCOVERY_NQN, nvme.KEEP_ALIVE, *nvme.giving_up(port), io_queues=0
        )
    )
    with ExitStack() as stack:
        stack.callback(controller.disconnect)
        assert (folder / DISCOVERY_NQN / f"ctrl{controller.read('cntlid')}").is_dir()
        if end == "unlink":
            container.run(lambda: Instance().unlink(1, NQN))
        elif end == "umount":
            container.run(syscalls.umount, CONFIGFS)
        else:
            container.destroy()
        controller.becomes("")
        if end != "unlink":
            wait.until(lambda: not folder.exists(), "the instance to be gone")


def test_what_was_umounted_is_gone_when_umount_returns(container: Container) -> None:
    """Nobody has to wait for anything afterwards."""
    check_own(container)
    folder = INSTANCES / str(container.mount_namespace())
    port = loop_port(1, NQN, name="removal")

    def umount_and_look() -> bool:
        Instance().add(Subsystem(NQN), port)
        nvme.connect(port, NQN)
        syscalls.umount(CONFIGFS)
        return folder.exists() or bool(nvme.controllers())

    assert not container.run(umount_and_look)
