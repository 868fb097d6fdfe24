# SPDX-License-Identifier: GPL-2.0-only
"""nvmet over TCP, from the initial instance, with the host on the same machine."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from harness.guestside import disks, links, needs, nvme
from harness.guestside.expect import errno_is
from harness.guestside.nvmet import Instance, Namespace, Subsystem, tcp_port

pytestmark = [
    needs.config("CONFIG_NVME_TARGET_TCP", "CONFIG_NVME_TCP"),
    needs.program("nvme"),
]

NQN = "nqn.2026-01.org.example:tcp"
UUID = "0c7dd3d5-9a0b-4a3c-8a52-35e0cf0c11aa"
PORT = tcp_port(1, NQN)


class TestData:
    def test_what_is_written_to_a_file_backed_namespace_reads_back(
        self, initial: Instance, make_file: Callable[..., str]
    ) -> None:
        file = make_file(16)
        subsystem = Subsystem(NQN, (Namespace(file, uuid=UUID, buffered=True),))
        with initial.holding(subsystem, PORT), nvme.connected(PORT, NQN) as controller:
            disks.check_data(controller.device(1, UUID), file)

    @needs.config("CONFIG_BLK_DEV_NULL_BLK")
    def test_what_is_written_to_a_null_blk_namespace_is_on_the_device(
        self, initial: Instance, make_null_block: Callable[..., str]
    ) -> None:
        backing = make_null_block(16)
        with (
            initial.holding(Subsystem(NQN, (Namespace(backing, uuid=UUID),)), PORT),
            nvme.connected(PORT, NQN) as controller,
        ):
            disks.check_data(controller.device(1, UUID), backing)

    @pytest.mark.parametrize("digests", [("--hdr-digest",), ("--hdr-digest", "--data-digest")])
    def test_digests_keep_the_data_whole(
        self, initial: Instance, make_file: Callable[..., str], digests: tuple[str, ...]
    ) -> None:
        file = make_file(16)
        subsystem = Subsystem(NQN, (Namespace(file, uuid=UUID, buffered=True),))
        with initial.holding(subsystem, PORT), nvme.connected(PORT, NQN, *digests) as controller:
            disks.check_data(controller.device(1, UUID), file)

    @needs.config("CONFIG_IPV6")
    def test_ipv6_carries_data_as_well(
        self, initial: Instance, make_file: Callable[..., str]
    ) -> None:
        file = make_file(16)
        port = tcp_port(1, NQN, traddr="::1")
        subsystem = Subsystem(NQN, (Namespace(file, uuid=UUID, buffered=True),))
        with initial.holding(subsystem, port), nvme.connected(port, NQN) as controller:
            disks.check_data(controller.device(1, UUID), file)


class TestListening:
    def test_a_port_listens_while_it_exports_a_subsystem(self, initial: Instance) -> None:
        with initial.holding(Subsystem(NQN), tcp_port(1)):
            assert not links.answers("127.0.0.1", 4420), "a port without subsystem listens"
            initial.link(1, NQN)
            assert links.answers("127.0.0.1", 4420)
            initial.unlink(1, NQN)
            assert not links.answers("127.0.0.1", 4420), "the port goes on listening"

    def test_two_ports_with_one_address_are_refused(self, initial: Instance) -> None:
        with initial.holding(Subsystem(NQN), PORT, tcp_port(2)), errno_is(errno.EADDRINUSE):
            initial.link(2, NQN)
