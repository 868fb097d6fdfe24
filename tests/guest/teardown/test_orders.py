# SPDX-License-Identifier: GPL-2.0-only
"""Point 8: an instance is torn down, in whatever order its users end.

Each test lets go of one thing after another.  At the end the file behind the namespace must be
closed and nothing be left (the leak guard); and a new container can have the same again.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guestlib import disks, nvme
from guestlib.nvmet import Instance, Namespace, NvmetHost, Subsystem, loop_port, tcp_port
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container, mount_configfs
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET", "CONFIG_NVME_TARGET_LOOP")

NQN = "nqn.2026-01.org.example:orders"
UUID = "44444444-4444-4444-8444-444444444444"
PORTS = {"loop": loop_port(1, NQN, name="orders"), "tcp": tcp_port(1, NQN)}
TCP = needs.config("CONFIG_NVME_TARGET_TCP", "CONFIG_NVME_TCP")


@dataclasses.dataclass
class Scene:
    """A container whose instance has many users; each method ends one use."""

    container: Container
    keeper: Container
    place: str
    folder: int
    controller: nvme.Controller

    def task(self) -> None:
        """The container's last task is killed, and its mount namespace goes with it."""
        self.container.destroy()

    def mount(self) -> None:
        """The container's mount is removed from its mount table, used or not."""
        self.container.run(syscalls.umount, CONFIGFS, syscalls.MNT_DETACH)

    def bind(self) -> None:
        """Another namespace's bind mount of a part is removed."""
        self.keeper.run(syscalls.umount, self.place)

    def open(self) -> None:
        """A descriptor of a folder is closed."""
        os.close(self.folder)

    def host(self) -> None:
        """The host disconnects, or notices that its controller is gone."""
        self.controller.disconnect()


def bind_elsewhere(keeper: int, place: str) -> None:
    """Move a bind mount of a part of the caller's instance to another namespace."""
    mount = syscalls.open_tree(f"{CONFIGFS}/nvmet/hosts", syscalls.OPEN_TREE_CLONE)
    syscalls.setns(keeper, syscalls.CLONE_NEWNS)
    syscalls.move_mount(mount, place)


def device() -> int:
    """The device number of the configfs that the caller sees."""
    return Path(CONFIGFS).stat().st_dev


@pytest.fixture
def scene(
    request: pytest.FixtureRequest,
    make_container: Callable[..., Container],
    make_file: Callable[..., str],
    tmp_path: Path,
) -> Iterator[Scene]:
    container, keeper = make_container(), make_container(mounted=False)
    # At once: without the series all that follows would wait for what cannot go.
    own, initial = container.run(device), device()
    assert own != initial, "the container's configfs is the initial instance"
    port, file = PORTS[request.param], make_file(1)
    subsystem = Subsystem(NQN, (Namespace(file, uuid=UUID, buffered=True),))
    container.run(lambda: Instance().add(NvmetHost(NQN), subsystem, port))
    controller = container.run(lambda: nvme.connect(port, NQN, *nvme.giving_up(port)))
    keeper_fd = os.open(f"/proc/{keeper.pid}/ns/mnt", os.O_RDONLY)
    container.run(bind_elsewhere, keeper_fd, str(tmp_path))
    os.close(keeper_fd)
    folder = os.open(f"{container.root}{CONFIGFS}/nvmet/subsystems", os.O_RDONLY)
    yield Scene(container, keeper, str(tmp_path), folder, controller)
    controller.disconnect()
    wait.until(lambda: not disks.open_for_writing(file), f"{file} closed")
    assert Instance().subsystems() == [], "its configuration is in the initial instance"
    with Container() as again:
        again.mount_configfs()
        again.run(lambda: Instance().add(NvmetHost(NQN), subsystem, port))


def orders(end: str) -> list[tuple[str, ...]]:
    return list(itertools.permutations((end, "bind", "open", "host")))


# Both transports and both ends are met by each place in an order; all products would take long.
ORDERS = [
    pytest.param(
        transport,
        order,
        id=f"{transport}-{'-'.join(order)}",
        marks=[TCP] if transport == "tcp" else [],
    )
    for end, first in (("task", 0), ("mount", 1))
    for number, order in enumerate(orders(end))
    for transport in (("loop", "tcp")[(number + first) % 2],)
]


@needs.config("CONFIG_NVME_FABRICS")
@pytest.mark.parametrize(("scene", "order"), ORDERS, indirect=["scene"])
def test_every_order_of_letting_go(scene: Scene, order: tuple[str, ...]) -> None:
    for step in order:
        getattr(scene, step)()


class TestTheLastTaskExits:
    """By itself, not killed: what it holds is closed on its way out."""

    def live(self, *more: Callable[[], object]) -> None:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
        syscalls.umount(CONFIGFS, syscalls.MNT_DETACH)
        mount_configfs()
        Instance().add(
            NvmetHost(NQN), Subsystem(NQN, hosts=(NQN,)), loop_port(1, NQN, name="orders")
        )
        for call in more:
            call()

    def hold(self) -> None:
        self.held = os.open(f"{CONFIGFS}/nvmet/hosts", os.O_RDONLY)

    def stand(self) -> None:
        os.chdir(f"{CONFIGFS}/nvmet/subsystems/{NQN}")

    def detach(self) -> None:
        syscalls.umount(CONFIGFS, syscalls.MNT_DETACH)

    def detached_mount(self) -> None:
        self.mount = syscalls.open_tree(CONFIGFS, syscalls.OPEN_TREE_CLONE)

    @pytest.mark.parametrize(
        "steps",
        [(), ("hold",), ("stand",), ("hold", "detach"), ("stand", "detach"),
         ("detached_mount",), ("detached_mount", "detach")],
        ids=lambda steps: "+".join(steps) or "nothing-held",
    )  # fmt: skip
    def test_its_instance_goes(
        self, make_container: Callable[..., Container], initial: Instance, steps: tuple[str, ...]
    ) -> None:
        container = make_container(mounted=False)
        for _ in range(2):  # twice: the first must have left nothing in the second's way
            container.run(self.live, *(getattr(self, step) for step in steps))
        left = initial.subsystems()
        initial.clear()
        assert left == [], "it was the initial instance"
