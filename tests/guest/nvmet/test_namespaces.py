# SPDX-License-Identifier: GPL-2.0-only
"""Namespaces are added, resized and removed while a host is connected; what is refused."""

from __future__ import annotations

import errno
import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from guestlib import disks, nvme
from guestlib.nvmet import Instance, Namespace, Subsystem, loop_port
from harness.guestside import needs, wait
from harness.guestside.expect import errno_is
from harness.guestside.task import Task

pytestmark = [
    needs.config("CONFIG_NVME_TARGET_LOOP"),
    needs.config("CONFIG_NVME_FABRICS"),
    pytest.mark.usefixtures("place"),
]

NQN = "nqn.2026-01.org.example:namespaces"
UUID = "55555555-5555-4555-8555-555555555555"
PORT = loop_port(1, NQN)
ROUNDS = 40


@contextmanager
def connected(*namespaces: Namespace) -> Iterator[nvme.Controller]:
    """A host connected to a subsystem with these namespaces, none at first."""
    with (
        Instance().holding(Subsystem(NQN, namespaces), PORT),
        nvme.connected(PORT, NQN) as controller,
    ):
        yield controller


class TestRefused:
    def test_what_is_not_there_cannot_be_enabled(self, instance: Instance) -> None:
        namespace = Namespace("/no/such/device", enabled=False)
        with (
            instance.holding(Subsystem(NQN, (namespace,))),
            errno_is(errno.ENOENT),
        ):
            instance.write(f"{instance.namespace(NQN)}/enable", 1)

    @pytest.mark.parametrize("number", ["0", "4294967295", "x"])
    def test_a_number_out_of_range_is_refused(self, instance: Instance, number: str) -> None:
        with instance.holding(Subsystem(NQN)), errno_is(errno.EINVAL):
            (instance.root / "subsystems" / NQN / "namespaces" / number).mkdir()

    @pytest.mark.parametrize(
        ("attribute", "value"),
        [("device_path", "/dev/null"), ("device_uuid", UUID), ("buffered_io", 0)],
    )
    def test_what_it_is_cannot_change_while_enabled(
        self, instance: Instance, file: str, attribute: str, value: str | int
    ) -> None:
        namespace = Namespace(file, buffered=True)
        with (
            instance.holding(Subsystem(NQN, (namespace,))),
            errno_is(errno.EBUSY, errno.EINVAL),
        ):
            instance.write(f"{instance.namespace(NQN)}/{attribute}", value)


class TestWhileConnected:
    def test_a_new_namespace_appears(self, instance: Instance, file: str) -> None:
        with connected() as controller:
            instance.add_namespace(NQN, Namespace(file, nsid=3, uuid=UUID, buffered=True))
            assert disks.size_of(controller.device(3, UUID)) == 2 * disks.MEBI

    def test_a_disabled_namespace_goes_and_comes_back_with_its_data(
        self, instance: Instance, file: str
    ) -> None:
        with connected(Namespace(file, uuid=UUID, buffered=True)) as controller:
            disks.write(controller.device(1, UUID), disks.pattern(4096))
            instance.write(f"{instance.namespace(NQN)}/enable", 0)
            wait.until(lambda: 1 not in controller.devices(), "the namespace to be gone")
            instance.write(f"{instance.namespace(NQN)}/enable", 1)
            assert disks.read(controller.device(1, UUID), 4096) == disks.pattern(4096)

    def test_a_removed_namespace_goes(self, instance: Instance, file: str) -> None:
        with connected(Namespace(file, uuid=UUID, buffered=True)) as controller:
            controller.device(1, UUID)
            (instance.root / instance.namespace(NQN)).rmdir()
            wait.until(lambda: 1 not in controller.devices(), "the namespace to be gone")

    # The host tells user space while its queue stands still: lockdep, without the series as well.
    @pytest.mark.expects_splat("set_capacity_and_notify", kind="lockdep", maybe=True)
    @pytest.mark.parametrize("size", [1, 4], ids=["smaller", "larger"])
    def test_a_host_learns_a_new_size_after_revalidation(
        self, instance: Instance, file: str, size: int
    ) -> None:
        with connected(Namespace(file, uuid=UUID, buffered=True)) as controller:
            device = controller.device(1, UUID)
            with Path(file).open("r+b") as opened:
                opened.truncate(size * disks.MEBI)
            instance.write(f"{instance.namespace(NQN)}/revalidate_size", 1)
            wait.until(
                lambda: disks.size_of(device) == size * disks.MEBI,
                f"{device} to be of {size} MiB",
            )
            last = size * disks.MEBI - 4096
            disks.write(device, disks.pattern(4096), last)
            assert disks.read(device, 4096, last) == disks.pattern(4096), "the last block"

    def test_uuid_and_nguid_reach_the_host(self, file: str) -> None:
        nguid = "0123456789abcdef0123456789abcdef"
        with connected(Namespace(file, uuid=UUID, nguid=nguid, buffered=True)) as controller:
            folder = Path("/sys/block") / Path(controller.device(1, UUID)).name
            assert (folder / "nguid").read_text().strip().replace("-", "") == nguid

    def test_sixteen_namespaces_are_sixteen_devices(self, instance: Instance, file: str) -> None:
        # In any order the host finds them: a device is told by its number, not by its name.
        with connected() as controller:
            for number in range(16, 0, -1):
                instance.add_namespace(NQN, Namespace(file, nsid=number, buffered=True))
            assert len({controller.device(number) for number in range(1, 17)}) == 16
            assert sorted(controller.devices()) == list(range(1, 17))


class TestEnabledAndDisabledAtOnce:
    def test_by_two_tasks_while_a_host_writes(self, instance: Instance, file: str) -> None:
        """Whoever comes first: every writer returns, and all references are given back."""
        enable = f"{instance.namespace(NQN)}/enable"

        def set_it(value: int) -> None:
            for _ in range(ROUNDS):
                instance.write(enable, value)

        with connected(Namespace(file, uuid=UUID, buffered=True)) as controller:
            host = Task(keep_writing, controller)
            try:
                for task in [Task(set_it, value) for value in (0, 1)]:
                    task.result()
                assert not select.select([host], [], [], 0)[0], "it does not write any more"
            finally:
                host.kill()
            for value in (0, 1):
                instance.write(enable, value)
            disks.write(controller.device(1, UUID), disks.pattern(4096))
            (instance.root / instance.namespace(NQN)).rmdir()
            wait.until(lambda: 1 not in controller.devices(), "the namespace to be gone")
            instance.add_namespace(NQN, Namespace(file, uuid=UUID, buffered=True))
            assert disks.read(controller.device(1, UUID), 4096) == disks.pattern(4096)


def keep_writing(controller: nvme.Controller) -> None:
    """Write to whatever device the namespace has, which comes and goes."""
    while True:
        with suppress(OSError):
            disks.write(controller.devices().get(1, ""), disks.pattern(4096))
