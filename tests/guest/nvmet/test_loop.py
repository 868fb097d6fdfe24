# SPDX-License-Identifier: GPL-2.0-only
"""nvmet over loop, from the initial instance: what a host gets without any network."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.guestside import disks, needs, nvme
from harness.guestside.nvmet import Instance, Namespace, Subsystem, loop_port

pytestmark = [
    needs.config("CONFIG_NVME_TARGET_LOOP"),
    needs.program("nvme"),
]

NQN = "nqn.2026-01.org.example:loop"
UUID = "7d4c0a52-6f0e-4d2b-9d53-0f6a1c4f2b11"
PORT = loop_port(1, NQN)


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

    def test_two_namespaces_keep_apart(
        self, initial: Instance, make_file: Callable[..., str]
    ) -> None:
        one, two = (
            Namespace(make_file(1), nsid=1, buffered=True),
            Namespace(make_file(1), nsid=7, buffered=True),
        )
        with (
            initial.holding(Subsystem(NQN, (one, two)), PORT),
            nvme.connected(PORT, NQN) as controller,
        ):
            first, seventh = controller.device(1), controller.device(7)
            assert first != seventh
            disks.write(first, disks.pattern(4096, seed=1))
            disks.write(seventh, disks.pattern(4096, seed=7))
            assert disks.read(first, 4096) == disks.pattern(4096, seed=1)
            assert disks.read(seventh, 4096) == disks.pattern(4096, seed=7)


class TestConnection:
    def test_the_controller_names_its_subsystem_and_transport(self, initial: Instance) -> None:
        with initial.holding(Subsystem(NQN), PORT), nvme.connected(PORT, NQN) as controller:
            assert controller.read("subsysnqn") == NQN
            assert controller.read("transport") == "loop"
            assert controller.state == "live"

    def test_after_disconnect_the_controller_is_gone(self, initial: Instance) -> None:
        with initial.holding(Subsystem(NQN), PORT):
            controller = nvme.connect(PORT, NQN)
            controller.disconnect()
            assert controller not in nvme.controllers()

    def test_a_subsystem_that_no_port_exports_cannot_be_reached(self, initial: Instance) -> None:
        other = NQN + "2"
        with (
            initial.holding(Subsystem(NQN), Subsystem(other), PORT),
            pytest.raises(nvme.NvmeError),
        ):
            nvme.connect(PORT, other)

    def test_removing_the_port_ends_its_controllers(self, initial: Instance) -> None:
        with initial.holding(Subsystem(NQN)):
            with initial.holding(PORT):
                controller = nvme.connect(PORT, NQN)
            # Loop tears its host controllers down with the port, at once.
            assert controller.state in ("", "deleting", "deleting (no IO)")
            controller.disconnect()
