# SPDX-License-Identifier: GPL-2.0-only
"""Namespaces: what can be exported, how they come, grow and go while a host is connected."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.guestside import disks, needs, nvme, wait
from harness.guestside.expect import errno_is
from harness.guestside.nvmet import Instance, Namespace, Subsystem, loop_port

pytestmark = [needs.config("CONFIG_NVME_TARGET_LOOP"), needs.program("nvme")]

NQN = "nqn.2026-01.org.example:namespaces"
UUID = "55555555-5555-4555-8555-555555555555"
PORT = loop_port(1, NQN)


@pytest.fixture
def connected(initial: Instance) -> Iterator[nvme.Controller]:
    """A host connected to a subsystem without namespaces."""
    with initial.holding(Subsystem(NQN), PORT), nvme.connected(PORT, NQN) as controller:
        yield controller


class TestBacking:
    @needs.config("CONFIG_BLK_DEV_LOOP")
    def test_a_loop_device_can_be_exported(
        self, initial: Instance, make_file: Callable[..., str]
    ) -> None:
        with disks.loop_device(make_file(16)) as backing:
            subsystem = Subsystem(NQN, (Namespace(backing, uuid=UUID),))
            with initial.holding(subsystem, PORT), nvme.connected(PORT, NQN) as controller:
                disks.check_data(controller.device(1, UUID), backing, size=disks.MEBI)

    @needs.config("CONFIG_BLK_DEV_RAM")
    def test_a_ram_disk_can_be_exported(self, initial: Instance) -> None:
        subsystem = Subsystem(NQN, (Namespace("/dev/ram0", uuid=UUID),))
        with initial.holding(subsystem, PORT), nvme.connected(PORT, NQN) as controller:
            disks.check_data(controller.device(1, UUID), "/dev/ram0", size=disks.MEBI)

    def test_what_is_not_there_cannot_be_enabled(self, initial: Instance) -> None:
        namespace = Namespace("/no/such/device", enabled=False)
        with (
            initial.holding(Subsystem(NQN, (namespace,))),
            errno_is(errno.ENOENT),
        ):
            initial.write(f"{initial.namespace(NQN)}/enable", 1)

    @pytest.mark.parametrize("number", ["0", "4294967295", "x"])
    def test_a_number_out_of_range_is_refused(self, initial: Instance, number: str) -> None:
        with initial.holding(Subsystem(NQN)), errno_is(errno.EINVAL):
            (initial.root / "subsystems" / NQN / "namespaces" / number).mkdir()

    def test_the_path_cannot_change_while_enabled(
        self, initial: Instance, make_file: Callable[..., str]
    ) -> None:
        namespace = Namespace(make_file(1), buffered=True)
        with initial.holding(Subsystem(NQN, (namespace,))), errno_is(errno.EBUSY):
            initial.write(f"{initial.namespace(NQN)}/device_path", "/dev/null")


class TestWhileConnected:
    def test_a_new_namespace_appears(
        self, connected: nvme.Controller, initial: Instance, make_file: Callable[..., str]
    ) -> None:
        initial.add_namespace(NQN, Namespace(make_file(1), nsid=3, uuid=UUID, buffered=True))
        assert disks.size_of(connected.device(3, UUID)) == disks.MEBI

    def test_a_disabled_namespace_goes_and_comes_back(
        self, connected: nvme.Controller, initial: Instance, make_file: Callable[..., str]
    ) -> None:
        initial.add_namespace(NQN, Namespace(make_file(1), uuid=UUID, buffered=True))
        connected.device(1, UUID)
        initial.write(f"{initial.namespace(NQN)}/enable", 0)
        wait.until(lambda: 1 not in connected.devices(), "the namespace to be gone")
        initial.write(f"{initial.namespace(NQN)}/enable", 1)
        connected.device(1, UUID)

    def test_a_removed_namespace_goes(
        self, connected: nvme.Controller, initial: Instance, make_file: Callable[..., str]
    ) -> None:
        initial.add_namespace(NQN, Namespace(make_file(1), uuid=UUID, buffered=True))
        connected.device(1, UUID)
        (initial.root / initial.namespace(NQN)).rmdir()
        wait.until(lambda: 1 not in connected.devices(), "the namespace to be gone")

    @pytest.mark.parametrize("size", [1, 4], ids=["smaller", "larger"])
    def test_a_host_learns_a_new_size_after_revalidation(
        self,
        connected: nvme.Controller,
        initial: Instance,
        make_file: Callable[..., str],
        size: int,
    ) -> None:
        file = make_file(2)
        initial.add_namespace(NQN, Namespace(file, uuid=UUID, buffered=True))
        device = connected.device(1, UUID)
        with Path(file).open("r+b") as opened:
            opened.truncate(size * disks.MEBI)
        initial.write(f"{initial.namespace(NQN)}/revalidate_size", 1)
        wait.until(
            lambda: disks.size_of(device) == size * disks.MEBI,
            f"{device} to be of {size} MiB",
        )

    def test_uuid_and_nguid_reach_the_host(
        self, connected: nvme.Controller, initial: Instance, make_file: Callable[..., str]
    ) -> None:
        nguid = "0123456789abcdef0123456789abcdef"
        namespace = Namespace(make_file(1), uuid=UUID, nguid=nguid, buffered=True)
        initial.add_namespace(NQN, namespace)
        folder = Path("/sys/block") / Path(connected.device(1, UUID)).name
        assert (folder / "nguid").read_text().strip().replace("-", "") == nguid
