# SPDX-License-Identifier: GPL-2.0-only
"""What the series is for: a cluster of nvmet nodes on one machine, each node a container.

The nodes export one disk under one name.  A host in a container reaches it through all of them by
multipath; a node that dies takes a path away, not the data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from guestlib import disks, fio, links, nvme
from guestlib.nvmet import Instance, Namespace, Port, Subsystem, tcp_port
from harness.guestside import needs, wait
from harness.guestside.container import Container, mount_configfs
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = [
    needs.config(
        "CONFIG_NVME_TARGET_TCP",
        "CONFIG_NVME_TCP",
        "CONFIG_NVME_MULTIPATH",
        "CONFIG_BLK_DEV_NULL_BLK",
        "CONFIG_VETH",
    ),
    needs.program("ip"),
    # The host's sockets, with lockdep; without the series as well.
    pytest.mark.expects_splat("tcp_tsq_handler", kind="lockdep", maybe=True),
]

NQN = "nqn.2026-01.org.example:cluster"
UUID = "77777777-7777-4777-8777-777777777777"
SWITCH = "switch0"
# A host that tries again every second, without end.
PATIENT = ("keep_alive_tmo=5", "reconnect_delay=1", "ctrl_loss_tmo=-1")
MARK = 8 * disks.MEBI  # where fio does not write


@dataclasses.dataclass(frozen=True)
class Node:
    """A member of the cluster: an address, and controller ids that no other member uses."""

    number: int
    disk: str
    bridged: bool

    @property
    def network(self) -> str:
        """Its network, but for the last number; nodes on one switch share one."""
        return "10.77.0" if self.bridged else f"10.77.{self.number}"

    @property
    def address(self) -> str:
        return f"{self.network}.{self.number}"

    @property
    def port(self) -> Port:
        return tcp_port(1, NQN, traddr=self.address)

    @property
    def subsystem(self) -> Subsystem:
        ids = (
            ("cntlid_min", str(100 * self.number + 1)),
            ("cntlid_max", str(100 * self.number + 99)),
        )
        return Subsystem(NQN, (Namespace(self.disk, uuid=UUID),), attributes=ids)

    @contextmanager
    def running(self) -> Iterator[Container]:
        """The node as a container that the host can reach."""
        link = f"node{self.number}"
        with Container(network=True) as container:
            if self.bridged:
                hardware = f"02:00:00:00:00:{self.number:02x}"
                plug = links.plugged(SWITCH, link, container.pid, hardware)
            else:
                plug = links.cable(link, container.pid, f"{self.network}.254/24")
            with plug:
                container.run(self._start)
                yield container

    def _start(self) -> None:
        outside = Path(CONFIGFS).stat().st_dev
        mount_configfs()
        assert Path(CONFIGFS).stat().st_dev != outside, (
            "expected an instance of the node's own, found the initial one"
        )
        links.set_up("eth0", f"{self.address}/24")
        Instance().add(self.subsystem, self.port)


def misses_its_node(path: nvme.Controller) -> bool:
    return path.state != "live"


class Cluster:
    """Nodes that run, and the paths of a host to them."""

    def __init__(self, nodes: list[Node], stack: ExitStack) -> None:
        self.nodes = nodes
        self._containers: dict[int, Container] = {}
        self._lives: dict[int, ExitStack] = {}
        running = stack.enter_context(ExitStack())  # left last: hosts disconnect before
        for node in nodes:
            self._lives[node.number] = running.enter_context(ExitStack())
            self.start(node)
        # In the machine's network: that is where the kernel makes a lost connection again.
        host = stack.enter_context(Container())
        self.paths = {}
        for node in nodes:
            path = host.run(nvme.connect, node.port, NQN, *PATIENT)
            stack.callback(path.disconnect)
            self.paths[node.number] = path

    def device(self) -> str:
        """The device to which all paths lead."""
        found = {path.device(1, UUID) for path in self.paths.values()}
        assert len(found) == 1, f"expected one device for all paths, found {found}"
        return found.pop()

    def start(self, node: Node) -> None:
        """Start a node."""
        life = self._lives[node.number]
        self._containers[node.number] = life.enter_context(node.running())

    def kill(self, *nodes: Node) -> None:
        """Kill nodes, and wait until the host misses them.

        Their last task dies, and with it their instance; the kernel closes the connections.
        """
        for node in nodes:
            self._containers[node.number].destroy()
        for node in nodes:
            path = self.paths[node.number]
            wait.until(partial(misses_its_node, path), f"{path.name} to miss its node")
            # Only now the cable: with it gone the host would hear nothing, and notice much later.
            self._lives[node.number].close()

    def returns(self, *nodes: Node) -> None:
        """Start nodes again, and wait until the host has its paths back."""
        for node in nodes:
            self.start(node)
        for node in nodes:
            self.paths[node.number].becomes("live")


@pytest.fixture
def disk(make_null_block: Callable[..., str]) -> str:
    """What all nodes share."""
    return make_null_block(16)


@pytest.fixture(params=[3, 8], ids=["3 nodes", "8 nodes"])
def make_cluster(request: pytest.FixtureRequest, disk: str) -> Callable[[ExitStack], Cluster]:
    """Start a cluster, which ends with the given stack."""
    # On a kernel without bridges each node has a cable of its own to the host.
    bridged = not needs.lacking("config", "CONFIG_BRIDGE")
    numbers = range(1, request.param + 1)

    def make(stack: ExitStack) -> Cluster:
        if bridged:
            stack.enter_context(links.bridge(SWITCH))
            links.set_up(SWITCH, "10.77.0.254/24")
        return Cluster([Node(number, disk, bridged) for number in numbers], stack)

    return make


def test_nodes_make_one_device_with_a_path_through_each(
    make_cluster: Callable[[ExitStack], Cluster], disk: str
) -> None:
    with ExitStack() as stack:
        cluster = make_cluster(stack)
        device = cluster.device()
        ids = {path.read("cntlid") for path in cluster.paths.values()}
        assert len(ids) == len(cluster.nodes), f"controller ids given twice: {ids}"
        disks.check_data(device, disk, size=disks.MEBI)
        # The first path is in use; the last one alone does it as well.
        cluster.kill(*cluster.nodes[:-1])
        disks.check_data(device, disk, size=1 << 18, seed=2)


@dataclasses.dataclass(frozen=True)
class Load:
    """fio on the cluster's device, which reads back what it wrote."""

    begun: fio.Fio
    disk: str

    def goes_on(self) -> None:
        """Wait until more of it reached the shared disk."""
        self.begun.goes_on(lambda: disks.done(self.disk))


@contextmanager
def verified_load(cluster: Cluster, disk: str) -> Iterator[Load]:
    """Load that runs, beside older data; at the end neither is lost."""
    device = cluster.device()
    older = disks.pattern(1 << 16)
    disks.write(device, older, MARK)
    with fio.begun(device) as begun:
        load = Load(begun, disk)
        load.goes_on()
        yield load
        begun.stop()
    assert disks.read(device, len(older), MARK) == older, "older data lost"
    assert disks.read(disk, len(older), MARK) == older, "older data lost on the disk itself"


@needs.program("fio")
@pytest.mark.parametrize(
    "deaths",  # each time the node in use is among them: the first, then the next
    [
        pytest.param((slice(0, 1), slice(1, 2)), id="one after another"),
        pytest.param((slice(0, -1),), id="all but the last"),
    ],
)
def test_verified_io_survives_the_death_and_return_of_nodes(
    make_cluster: Callable[[ExitStack], Cluster], disk: str, deaths: tuple[slice, ...]
) -> None:
    with ExitStack() as stack:
        cluster = make_cluster(stack)
        load = stack.enter_context(verified_load(cluster, disk))
        for death in deaths:
            dying = cluster.nodes[death]
            cluster.kill(*dying)
            load.goes_on()
            cluster.returns(*dying)
            load.goes_on()


@needs.program("fio")
@pytest.mark.parametrize("make_cluster", [3], indirect=True, ids=["3 nodes"])
def test_verified_io_waits_for_nodes_that_all_died(
    make_cluster: Callable[[ExitStack], Cluster], disk: str
) -> None:
    with ExitStack() as stack:
        cluster = make_cluster(stack)
        load = stack.enter_context(verified_load(cluster, disk))
        cluster.kill(*cluster.nodes)
        assert load.begun.running(), "I/O failed instead of waiting"
        cluster.returns(*cluster.nodes)
        load.goes_on()
