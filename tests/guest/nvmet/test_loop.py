# SPDX-License-Identifier: GPL-2.0-only
"""What is specific to loop: ports are found by name, inside one machine."""

from __future__ import annotations

import pytest

from guestlib import disks, nvme
from guestlib.instances import check_own
from guestlib.nvmet import Instance, Namespace, Port, Subsystem, loop_port
from harness.guestside import needs
from harness.guestside.container import Container

pytestmark = [needs.config("CONFIG_NVME_TARGET_LOOP"), needs.config("CONFIG_NVME_FABRICS")]

NQN = "nqn.2026-01.org.example:loop"
OTHER = "nqn.2026-01.org.example:loop-other"
UUID = "7d4c0a52-6f0e-4d2b-9d53-0f6a1c4f2b12"
PORT = loop_port(1, NQN)
ROUNDS = 3


@pytest.mark.usefixtures("place")
class TestPort:
    def test_removing_the_port_ends_its_controllers(self, instance: Instance) -> None:
        with instance.holding(Subsystem(NQN)):
            with instance.holding(PORT):
                controller = nvme.connect(PORT, NQN)
            # Loop tears its host controllers down with the port, at once.
            assert controller.state in ("", "deleting", "deleting (no IO)")
            controller.disconnect()

    def test_a_host_finds_the_port_by_its_name(self, instance: Instance) -> None:
        one, two = loop_port(1, NQN, name="one"), loop_port(2, OTHER, name="two")
        with instance.holding(Subsystem(NQN), Subsystem(OTHER), one, two):
            with nvme.connected(two, OTHER) as controller:
                assert controller.read("address") == "traddr=two"
            with pytest.raises(nvme.NvmeError):
                nvme.connect(one, OTHER)

    def test_its_controllers_are_gone_when_it_is(self, instance: Instance) -> None:
        """Not only disconnected: whoever removes a port finds none of them a moment later."""
        with instance.holding(Subsystem(NQN), PORT):
            for _ in range(ROUNDS):
                hosts = [nvme.connect(PORT, NQN, host=f"{nvme.HOST_NQN}:{n}") for n in range(4)]
                instance.unlink(1, NQN)
                assert [host.name for host in hosts if host.folder.exists()] == []
                instance.link(1, NQN)

    def test_one_of_its_subsystems_goes_with_its_controllers(self, instance: Instance) -> None:
        port = loop_port(1, NQN, OTHER)
        with (
            instance.holding(Subsystem(NQN), Subsystem(OTHER), port),
            nvme.connected(port, NQN) as gone,
            nvme.connected(port, OTHER) as stays,
        ):
            instance.unlink(1, NQN)
            gone.becomes("")
            assert stays.state == "live"
            stays.reset()

    def test_a_name_that_no_port_has_is_not_reached(self, instance: Instance) -> None:
        with instance.holding(Subsystem(NQN), PORT), pytest.raises(nvme.NvmeError):
            nvme.connect(loop_port(1, name="nobody"), NQN)


class TestPoint7Instance:
    def test_a_container_does_not_reach_the_port_of_another(
        self, container: Container, initial: Instance
    ) -> None:
        check_own(container)

        def reached() -> bool:
            try:
                nvme.connect(PORT, NQN).disconnect()
            except nvme.NvmeError:
                return False
            return True

        with initial.holding(Subsystem(NQN), PORT):
            assert not container.run(reached), "the container reached the initial instance's port"
            assert reached(), "not even the initial instance reaches its port"

    def test_a_container_in_a_container_connects_to_what_it_sees(
        self, container: Container, initial: Instance
    ) -> None:
        def nest() -> str:
            with Instance().holding(Subsystem(NQN), PORT), Container() as inner:
                return inner.run(connects)

        def connects() -> str:
            with nvme.connected(PORT, NQN) as controller:
                return controller.state

        assert container.run(nest) == "live"
        assert initial.subsystems() == [], "it was the initial instance"

    def test_one_name_leads_every_place_to_its_own_data(
        self, container: Container, initial: Instance, file: str
    ) -> None:
        # Subsystem, port id and the port's name are the same; what is exported is not.
        port: Port = PORT

        def read() -> bytes:
            with nvme.connected(port, NQN) as controller:
                return disks.read(controller.device(1), 4096)

        def serve_and_read() -> bytes:
            with Instance().holding(Subsystem(NQN, (Namespace(file, buffered=True),)), port):
                return read()

        disks.fill(file, disks.pattern(4096, 1))
        with initial.holding(Subsystem(NQN, (Namespace("/dev/ram0", uuid=UUID),)), port):
            disks.write("/dev/ram0", disks.pattern(4096, 2))
            check_own(container)
            assert container.run(serve_and_read) == disks.pattern(4096, 1), "inside"
            assert read() == disks.pattern(4096, 2), "outside"
