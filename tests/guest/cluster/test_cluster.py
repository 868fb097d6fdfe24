# SPDX-License-Identifier: GPL-2.0-only
"""What the series is for: a cluster of nvmet nodes on one machine, each node a container.

The nodes export one disk under one name.  A host reaches it through all of them by multipath; a
node that dies takes a path away, not the data.
"""

from __future__ import annotations

import dataclasses
import mmap
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from harness.guestside import disks, links, needs, nvme, wait
from harness.guestside.container import Container
from harness.guestside.nvmet import Instance, Namespace, Port, Subsystem, tcp_port
from harness.guestside.task import Task

pytestmark = [
    needs.config(
        "CONFIG_NVME_TARGET_TCP",
        "CONFIG_NVME_TCP",
        "CONFIG_NVME_MULTIPATH",
        "CONFIG_BLK_DEV_NULL_BLK",
        "CONFIG_VETH",
    ),
    needs.program("nvme", "ip"),
]

NQN = "nqn.2026-01.org.example:cluster"
UUID = "77777777-7777-4777-8777-777777777777"
# A host that notices soon that a node is gone, and tries again every second without end.
PATIENT = ("--keep-alive-tmo=2", "--reconnect-delay=1", "--ctrl-loss-tmo=-1")


@dataclasses.dataclass(frozen=True)
class Node:
    """A member of the cluster: an address, and controller ids that no other one gives."""

    number: int
    disk: str

    @property
    def port(self) -> Port:
        return tcp_port(1, NQN, traddr=f"10.77.{self.number}.2")

    @property
    def subsystem(self) -> Subsystem:
        ids = (
            ("cntlid_min", str(100 * self.number + 1)),
            ("cntlid_max", str(100 * self.number + 99)),
        )
        return Subsystem(NQN, (Namespace(self.disk, uuid=UUID),), attributes=ids)

    @contextmanager
    def running(self) -> Iterator[Container]:
        """The node as a container with a cable to the host."""
        with ExitStack() as stack:
            container = stack.enter_context(Container(network=True))
            link = f"node{self.number}"
            stack.enter_context(links.cable(link, container.pid, f"10.77.{self.number}.1/24"))
            container.mount_configfs()
            assert container.run(self._start) == "serving"
            yield container

    def _start(self) -> str:
        links.set_up("eth0", f"10.77.{self.number}.2/24")
        try:
            Instance().add(self.subsystem, self.port)
        except OSError as error:
            return str(error)
        return "serving"


class Load:
    """A task that writes, reads back and compares, round after round, until it is told to stop."""

    def __init__(self, device: str) -> None:
        self._shared = mmap.mmap(-1, 16)  # rounds done, and whether to stop
        self._task = Task(self._run, device)

    @property
    def rounds(self) -> int:
        return int(struct.unpack_from("=Q", self._shared, 0)[0])

    def goes_on(self, count: int = 3) -> None:
        """Wait until some more rounds have been compared."""
        aim = self.rounds + count
        wait.until(lambda: self.rounds >= aim, f"round {aim} of verified I/O", seconds=30)

    def stop(self) -> str:
        """End it; gives "fine", or what it found wrong."""
        struct.pack_into("=Q", self._shared, 8, 1)
        answer: str = self._task.result()
        return answer

    def kill(self) -> None:
        self._task.kill()

    def _run(self, device: str) -> str:
        size = 1 << 18
        while not struct.unpack_from("=Q", self._shared, 8)[0]:
            seed = self.rounds + 1
            data = disks.pattern(size, seed)
            disks.write(device, data)
            if disks.read(device, size) != data:
                return f"round {seed}: {device} gives back other data than was written"
            struct.pack_into("=Q", self._shared, 0, seed)
        return "fine"


@pytest.fixture
def disk(make_null_block: Callable[..., Any]) -> str:
    """What all nodes share."""
    device: str = make_null_block(16)
    return device


@pytest.mark.parametrize("count", [2, 3])
def test_nodes_make_one_device_with_a_path_through_each(disk: str, count: int) -> None:
    with ExitStack() as stack:
        nodes = [Node(number, disk) for number in range(1, count + 1)]
        for node in nodes:
            stack.enter_context(node.running())
        paths = [stack.enter_context(nvme.connected(node.port, NQN)) for node in nodes]
        assert len({path.device(1, UUID) for path in paths}) == 1
        assert len({path.read("cntlid") for path in paths}) == count
        disks.check_data(paths[0].device(1, UUID), disk, size=disks.MEBI)


def test_io_survives_the_death_and_return_of_every_node(disk: str) -> None:
    nodes = [Node(number, disk) for number in (1, 2)]
    with ExitStack() as stack:
        running = stack.enter_context(ExitStack())  # left last: hosts disconnect before
        containers = [running.enter_context(node.running()) for node in nodes]
        paths = [stack.enter_context(nvme.connected(n.port, NQN, *PATIENT)) for n in nodes]
        load = Load(paths[0].device(1, UUID))
        stack.callback(load.kill)
        assert paths[1].device(1, UUID) == paths[0].device(1, UUID)
        load.goes_on()
        for node, container, path in zip(nodes, containers, paths, strict=True):
            container.destroy()
            wait.until(lambda p=path: p.state != "live", f"{path.name} to miss its node")
            load.goes_on()
            running.enter_context(node.running())
            wait.until(lambda p=path: p.state == "live", f"{path.name} to be back", seconds=40)
            load.goes_on()
        assert load.stop() == "fine"
