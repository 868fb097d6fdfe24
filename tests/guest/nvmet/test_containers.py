# SPDX-License-Identifier: GPL-2.0-only
"""Point 7: nvmet in one container does not see another's, whatever the names."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from guestlib import disks, links, nvme
from guestlib.nvmet import (
    DISCOVERY_NQN,
    Instance,
    Namespace,
    NvmetHost,
    Port,
    Referral,
    Subsystem,
    loop_port,
    tcp_port,
)
from harness.guestside import needs, syscalls
from harness.guestside.container import Container
from harness.guestside.expect import errno_is

pytestmark = needs.config("CONFIG_NVME_FABRICS")

NQN = "nqn.2026-01.org.example:shared"
OWN_NQNS = ("nqn.2026-01.org.example:one", "nqn.2026-01.org.example:two")
UUIDS = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")
tcp = needs.config("CONFIG_NVME_TARGET_TCP", "CONFIG_NVME_TCP")
loop = needs.config("CONFIG_NVME_TARGET_LOOP")


def add(*values: NvmetHost | Subsystem | Port) -> str:
    """Write values to the caller's instance; return "made" or why that failed."""
    try:
        Instance().add(*values)
    except OSError as error:
        return str(error)
    return "made"


def listens(port: int = 4420) -> bool:
    return links.answers("127.0.0.1", port)


def read_first(port: Port, nqn: str, uuid: str) -> bytes:
    """Connect, read the first block of namespace 1 and disconnect."""
    with nvme.connected(port, nqn) as controller:
        return disks.read(controller.device(1, uuid), 4096)


@pytest.fixture
def pair(make_container: Callable[..., Container]) -> tuple[Container, Container]:
    """Two containers with a network and a configfs instance of their own."""
    return make_container(network=True), make_container(network=True)


@pytest.fixture
def files(make_file: Callable[..., str]) -> tuple[str, str]:
    """Two files that begin with different data."""
    made = make_file(1), make_file(1)
    for seed, file in enumerate(made):
        with Path(file).open("r+b") as opened:
            opened.write(disks.pattern(4096, seed))
    return made


class TestPoint7SameNames:
    @tcp
    def test_the_same_nqn_and_port_serve_different_data_over_tcp(
        self, pair: tuple[Container, Container], files: tuple[str, str]
    ) -> None:
        port = tcp_port(1, NQN)
        for container, file, uuid in zip(pair, files, UUIDS, strict=True):
            namespace = Namespace(file, uuid=uuid, buffered=True)
            assert container.run(add, Subsystem(NQN, (namespace,)), port) == "made"
        for seed, (container, uuid) in enumerate(zip(pair, UUIDS, strict=True)):
            found = container.run(read_first, port, NQN, uuid)
            assert found == disks.pattern(4096, seed), f"container {seed} serves other data"

    @loop
    def test_the_same_nqn_and_port_id_serve_different_data_over_loop(
        self, pair: tuple[Container, Container], files: tuple[str, str]
    ) -> None:
        # And the same address: a host finds the port of its own instance, whichever came first.
        port = loop_port(1, NQN)
        for container, file, uuid in zip(pair, files, UUIDS, strict=True):
            namespace = Namespace(file, uuid=uuid, buffered=True)
            assert container.run(add, Subsystem(NQN, (namespace,)), port) == "made"
        for seed, (container, uuid) in enumerate(zip(pair, UUIDS, strict=True)):
            found = container.run(read_first, port, NQN, uuid)
            assert found == disks.pattern(4096, seed), f"container {seed} serves other data"

    @tcp
    def test_eight_megabytes_written_from_a_container_reach_its_own_file(
        self, make_container: Callable[..., Container], make_file: Callable[..., str]
    ) -> None:
        container, file = make_container(network=True), make_file(16)
        namespace = Namespace(file, uuid=UUIDS[0], buffered=True)
        port = tcp_port(1, NQN)

        def use() -> None:
            with nvme.connected(port, NQN) as controller:
                disks.check_data(controller.device(1, UUIDS[0]), file)

        with Instance().holding(Subsystem(NQN), tcp_port(1, NQN)):  # of the same names
            assert container.run(add, Subsystem(NQN, (namespace,)), port) == "made"
            container.run(use)

    @tcp
    def test_the_same_host_may_be_allowed_in_one_and_refused_in_the_other(
        self, pair: tuple[Container, Container]
    ) -> None:
        port = tcp_port(1, NQN)
        host, stranger = NvmetHost(nvme.HOST_NQN), NvmetHost("nqn.2026-01.org.example:stranger")
        made = [
            pair[0].run(add, host, Subsystem(NQN, hosts=(host.nqn,)), port),
            pair[1].run(add, host, stranger, Subsystem(NQN, hosts=(stranger.nqn,)), port),
        ]
        assert made == ["made", "made"]

        def may_connect() -> bool:
            try:
                nvme.connect(port, NQN).disconnect()
            except nvme.NvmeError:
                return False
            return True

        assert [container.run(may_connect) for container in pair] == [True, False]


@tcp
class TestPoint7Listening:
    def test_a_port_listens_in_the_network_of_the_task_that_enables_it(
        self, make_container: Callable[..., Container], initial: Instance
    ) -> None:
        # Old behaviour, seen through the inherited mount: it is the network that counts.
        one, other = (make_container(network=True, mounted=False) for _ in range(2))
        assert one.run(add, Subsystem(NQN), tcp_port(1, NQN)) == "made"
        try:
            assert one.run(listens), "not in its own network"
            assert not other.run(listens), "in another container's network"
            assert not listens(), "in the initial network"
        finally:
            initial.clear()

    def test_a_containers_port_listens_in_its_own_network_only(
        self, pair: tuple[Container, Container], initial: Instance
    ) -> None:
        assert pair[0].run(add, Subsystem(NQN), tcp_port(1, NQN)) == "made"
        assert [pair[0].run(listens), pair[1].run(listens), listens()] == [True, False, False]
        assert initial.ports() == [], "made in the initial instance"

    def test_two_containers_listen_on_the_same_address(
        self, pair: tuple[Container, Container]
    ) -> None:
        made = [container.run(add, Subsystem(NQN), tcp_port(1, NQN)) for container in pair]
        assert made == ["made", "made"]
        assert [container.run(listens) for container in pair] == [True, True]

    def test_one_stops_listening_and_the_other_goes_on(
        self, pair: tuple[Container, Container]
    ) -> None:
        made = [container.run(add, Subsystem(NQN), tcp_port(1, NQN)) for container in pair]
        assert made == ["made", "made"]
        pair[0].run(lambda: Instance().unlink(1, NQN))
        assert [container.run(listens) for container in pair] == [False, True]

    def test_in_one_network_an_address_is_used_once(
        self, make_container: Callable[..., Container], initial: Instance
    ) -> None:
        # Instances of their own, but the network of the machine.
        one, two = make_container(), make_container()
        assert one.run(add, Subsystem(NQN), tcp_port(1, NQN)) == "made"

        def enable() -> None:
            Instance().link(1, NQN)

        assert two.run(add, Subsystem(NQN), tcp_port(1)) == "made"
        with errno_is(errno.EADDRINUSE):
            two.run(enable)
        other = tcp_port(2, NQN, trsvcid="4421")
        two.run(lambda: Instance().remove_port("1"))
        assert two.run(add, other) == "made"
        assert (listens(4420), listens(4421)) == (True, True)
        assert initial.ports() == []

    @needs.program("ip")
    @needs.config("CONFIG_DUMMY", "CONFIG_IPV6")
    def test_the_link_of_a_link_local_address_is_looked_up_in_the_containers_network(
        self, make_container: Callable[..., Container]
    ) -> None:
        container = make_container(network=True)
        address = "fe80::1"

        def serve() -> bool:
            links.ip("link", "add", "inside0", "type", "dummy")
            links.set_up("inside0", f"{address}/64")
            scoped = f"{address}%inside0"
            assert add(Subsystem(NQN), tcp_port(1, NQN, traddr=scoped)) == "made"
            return links.answers(scoped, 4420)

        assert container.run(serve), "not at that link"


class TestPoint7Discovery:
    @tcp
    def test_the_log_names_what_the_container_exports_and_nothing_else(
        self, pair: tuple[Container, Container]
    ) -> None:
        for container, nqn in zip(pair, OWN_NQNS, strict=True):
            made = container.run(add, Subsystem(nqn), tcp_port(1, nqn))
            assert made == "made"
        found = [container.run(nvme.exported, tcp_port(1)) for container in pair]
        assert found == [[OWN_NQNS[0]], [OWN_NQNS[1]]]

    @loop
    def test_the_log_of_the_initial_instance_does_not_name_a_containers_subsystems(
        self, container: Container, initial: Instance
    ) -> None:
        port = loop_port(7, OWN_NQNS[0], name="outside")
        with initial.holding(Subsystem(OWN_NQNS[0]), port):
            inner = loop_port(1, OWN_NQNS[1], name="inside")
            assert container.run(add, Subsystem(OWN_NQNS[1]), inner) == "made"
            _, log = nvme.discover(port)
            assert {entry.traddr for entry in log} == {"outside"}
            assert initial.subsystems() == [OWN_NQNS[0]], "made in the initial instance"

    @tcp
    def test_the_log_names_the_instances_own_referrals(
        self, pair: tuple[Container, Container]
    ) -> None:
        for number, container in enumerate(pair):
            referral = Referral("next", "tcp", f"192.0.2.{number}", "4420", "ipv4")
            port = Port(
                1,
                "tcp",
                "127.0.0.1",
                "4420",
                "ipv4",
                subsystems=(NQN,),
                referrals=(referral,),
            )
            assert container.run(add, Subsystem(NQN), port) == "made"
        for number, container in enumerate(pair):
            _, log = container.run(nvme.discover, tcp_port(1))
            named = {entry.traddr for entry in log if entry.kind != "current discovery subsystem"}
            assert named == {"127.0.0.1", f"192.0.2.{number}"}

    @tcp
    def test_its_generation_counts_the_instances_own_changes(
        self, pair: tuple[Container, Container]
    ) -> None:
        one, two = pair
        assert one.run(add, Subsystem(NQN), tcp_port(1, NQN)) == "made"
        before = one.run(nvme.discover, tcp_port(1))[0]
        assert two.run(add, Subsystem(NQN), tcp_port(1, NQN)) == "made"
        assert one.run(nvme.discover, tcp_port(1))[0] == before, "another's change was counted"
        one.run(lambda: Instance().unlink(1, NQN))
        one.run(lambda: Instance().link(1, NQN))
        assert one.run(nvme.discover, tcp_port(1))[0] > before, "an own change was not counted"

    def test_the_discovery_nqn_is_the_instances_own(
        self, pair: tuple[Container, Container], initial: Instance
    ) -> None:
        own = "nqn.2026-01.org.example:discovery"
        pair[0].run(lambda: Instance().write("discovery_nqn", own))
        try:
            read = [c.run(lambda: Instance().read("discovery_nqn")) for c in pair]
            assert [*read, initial.read("discovery_nqn")] == [own, DISCOVERY_NQN, DISCOVERY_NQN]
        finally:
            if initial.read("discovery_nqn") != DISCOVERY_NQN:
                initial.write("discovery_nqn", DISCOVERY_NQN)

    def test_the_discovery_nqn_of_one_may_be_a_subsystem_of_another(
        self, pair: tuple[Container, Container]
    ) -> None:
        own = OWN_NQNS[0]

        def refused() -> bool:
            with errno_is(errno.EINVAL):
                (Instance().root / "subsystems" / own).mkdir()
            return True

        pair[0].run(lambda: Instance().write("discovery_nqn", own))
        assert pair[0].run(refused), "its own discovery NQN is a subsystem, too"
        assert pair[1].run(add, Subsystem(own)) == "made"
        with errno_is(errno.EINVAL):
            pair[1].run(lambda: Instance().write("discovery_nqn", own))

    @tcp
    def test_a_host_sees_the_discovery_nqn_of_the_instance_it_asks(
        self, pair: tuple[Container, Container], initial: Instance
    ) -> None:
        own = "nqn.2026-01.org.example:discovery"
        try:
            pair[0].run(lambda: Instance().write("discovery_nqn", own))
            made = [container.run(add, Subsystem(NQN), tcp_port(1, NQN)) for container in pair]
            assert made == ["made", "made"]
            logs = [container.run(nvme.discover, tcp_port(1))[1] for container in pair]
            named = [{e.nqn for e in log if e.nqn != NQN} for log in logs]
            assert named == [{own}, {DISCOVERY_NQN}]
        finally:
            if initial.read("discovery_nqn") != DISCOVERY_NQN:
                initial.write("discovery_nqn", DISCOVERY_NQN)


def test_a_device_path_is_looked_up_in_the_namespace_of_the_task_that_enables_it(
    container: Container, initial: Instance, tmp_path: Path
) -> None:
    # The file is on a filesystem that only the container has mounted.
    def make() -> str:
        syscalls.mount("none", str(tmp_path), "tmpfs")
        file = disks.sparse_file(str(tmp_path / "only-inside"), 1)
        return add(Subsystem(NQN, (Namespace(file, buffered=True),)))

    assert container.run(make) == "made"
    assert not os.path.lexists(tmp_path / "only-inside")
    assert initial.subsystems() == [], "made in the initial instance"
