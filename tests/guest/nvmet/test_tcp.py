# SPDX-License-Identifier: GPL-2.0-only
"""What is specific to TCP: addresses, digests, in-capsule data."""

from __future__ import annotations

import contextlib
import dataclasses
import errno

import pytest

from guestlib import disks, links, logs, nvme
from guestlib.nvmet import Instance, Namespace, Port, Subsystem, tcp_port
from harness.guestside import needs
from harness.guestside.expect import errno_is
from harness.guestside.task import Task

pytestmark = [
    needs.config("CONFIG_NVME_TARGET_TCP", "CONFIG_NVME_TCP"),
    needs.config("CONFIG_NVME_FABRICS"),
    pytest.mark.usefixtures("place"),
]

NQN = "nqn.2026-01.org.example:tcp"
UUID = "0c7dd3d5-9a0b-4a3c-8a52-35e0cf0c11aa"
PORT = tcp_port(1, NQN)
KIBI = 1024
MANY = 50
ROUNDS = 5


def check_data(instance: Instance, port: Port, file: str, *options: str) -> None:
    """Export a file, write to it through the port, and compare."""
    subsystem = Subsystem(NQN, (Namespace(file, uuid=UUID, buffered=True),))
    with instance.holding(subsystem, port), nvme.connected(port, NQN, *options) as controller:
        disks.check_data(controller.device(1, UUID), file, size=disks.MEBI)


class TestData:
    @pytest.mark.parametrize(
        "digests",
        [("hdr_digest",), ("data_digest",), ("hdr_digest", "data_digest")],
        ids=["header", "data", "both"],
    )
    def test_digests_keep_the_data_whole(
        self, instance: Instance, file: str, digests: tuple[str, ...]
    ) -> None:
        check_data(instance, PORT, file, *digests)

    @pytest.mark.parametrize(
        "address",
        ["127.0.0.1", "0.0.0.0", pytest.param("::1", marks=needs.config("CONFIG_IPV6"))],
    )
    def test_both_versions_of_ip_carry_data(
        self, instance: Instance, file: str, address: str
    ) -> None:
        port = tcp_port(1, NQN, traddr=address)
        subsystem = Subsystem(NQN, (Namespace(file, uuid=UUID, buffered=True),))
        asked = dataclasses.replace(port, traddr="127.0.0.1") if address == "0.0.0.0" else port
        with instance.holding(subsystem, port), nvme.connected(asked, NQN) as controller:
            assert controller.read("address").startswith(f"traddr={asked.traddr}")
            disks.check_data(controller.device(1, UUID), file, size=disks.MEBI)


class TestInlineData:
    """Small writes are part of the command, larger ones are requested by the other side."""

    @pytest.mark.parametrize(
        ("asked", "limit"),
        [("", 16 * KIBI), ("4096", 4 * KIBI), ("65536", 64 * KIBI)],
        ids=["default", "small", "large"],
    )
    def test_writes_below_at_and_above_the_limit_arrive(
        self, instance: Instance, file: str, asked: str, limit: int
    ) -> None:
        params = (("inline_data_size", asked),) if asked else ()
        port = dataclasses.replace(PORT, params=params)
        subsystem = Subsystem(NQN, (Namespace(file, uuid=UUID, buffered=True),))
        with instance.holding(subsystem, port), nvme.connected(port, NQN) as controller:
            found = logs.capsule(controller.device_file)
            assert found == limit, f"expected {limit} bytes inside a command, found {found}"
            device = controller.device(1, UUID)
            sizes = [s for s in (limit - 4 * KIBI, limit, limit + 4 * KIBI) if s]
            for seed, size in enumerate(sizes):
                disks.check_data(device, file, size=size, seed=seed)

    def test_a_limit_of_nothing_refuses_hosts_or_serves_them_well(
        self, instance: Instance, file: str
    ) -> None:
        # The command that connects is a write of 1 KiB that always travels inside; 7.2 applies
        # the limit to it as well, so nobody gets in.
        port = dataclasses.replace(PORT, params=(("inline_data_size", "0"),))
        with contextlib.suppress(nvme.NvmeError):
            check_data(instance, port, file)
        check_data(instance, PORT, file)

    def test_the_port_tells_the_limit_it_took(self, instance: Instance) -> None:
        with instance.holding(Subsystem(NQN), PORT):
            assert instance.read("ports/1/param_inline_data_size") == str(16 * KIBI)

    def test_it_cannot_change_while_the_port_is_enabled(self, instance: Instance) -> None:
        with instance.holding(Subsystem(NQN), PORT), errno_is(errno.EACCES):
            instance.write("ports/1/param_inline_data_size", 0)


class TestListening:
    def test_a_port_listens_while_it_exports_a_subsystem(self, instance: Instance) -> None:
        with instance.holding(Subsystem(NQN), tcp_port(1)):
            assert not links.answers("127.0.0.1", 4420), "a port without subsystem listens"
            instance.link(1, NQN)
            assert links.answers("127.0.0.1", 4420)
            instance.unlink(1, NQN)
            assert not links.answers("127.0.0.1", 4420), "the port goes on listening"

    def test_two_ports_with_one_address_are_refused(self, instance: Instance) -> None:
        with instance.holding(Subsystem(NQN), PORT, tcp_port(2)), errno_is(errno.EADDRINUSE):
            instance.link(2, NQN)

    def test_an_address_that_is_not_of_the_network_is_refused(self, instance: Instance) -> None:
        strange = tcp_port(1, traddr="192.0.2.77")
        with instance.holding(Subsystem(NQN), strange), errno_is(errno.EADDRNOTAVAIL):
            instance.link(1, NQN)

    def test_those_who_hang_up_at_once_do_not_keep_the_port(self, instance: Instance) -> None:
        """Whoever is gone before the port looks is counted as its user, but not for long."""
        with instance.holding(Subsystem(NQN), PORT):
            for _ in range(MANY):
                links.hang_up("127.0.0.1", 4420)
            Task(instance.remove_port, "1").result()


class TestMadeAgain:
    def test_a_subsystem_whose_last_controller_is_still_going(self, instance: Instance) -> None:
        """It is refused as long as debugfs shows the one before, and leaves nothing then."""
        refused = 0
        for _ in range(ROUNDS):
            instance.add(Subsystem(NQN), PORT)
            controller = nvme.connect(PORT, NQN, *nvme.giving_up(PORT))
            instance.unlink(1, NQN)
            folder = instance.root / "subsystems" / NQN
            folder.rmdir()
            try:
                folder.mkdir()
            except FileExistsError:
                refused += 1
                assert instance.subsystems() == []
            instance.clear()
            controller.disconnect()
        if not refused:
            pytest.skip(f"a race: the controller was gone at once, {ROUNDS} times")
