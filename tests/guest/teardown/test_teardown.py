# SPDX-License-Identifier: GPL-2.0-only
"""Point 8 for nvmet: an instance's end removes its ports, controllers and devices."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from guestlib import disks, links, nvme
from guestlib.instances import check_own
from guestlib.nvmet import (
    AnaGroup,
    Instance,
    Namespace,
    NvmetHost,
    Port,
    Referral,
    Subsystem,
    loop_port,
    tcp_port,
)
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container
from harness.guestside.kernelfiles import CONFIGFS
from harness.guestside.task import Task

pytestmark = needs.config("CONFIG_NVME_FABRICS")

NQN = "nqn.2026-01.org.example:teardown"
OTHER = "nqn.2026-01.org.example:other"
UUID = "33333333-3333-4333-8333-333333333333"
PORTS = [
    pytest.param(
        loop_port(1, NQN, name="teardown"),
        marks=needs.config("CONFIG_NVME_TARGET_LOOP"),
        id="loop",
    ),
    pytest.param(
        tcp_port(1, NQN),
        marks=needs.config("CONFIG_NVME_TARGET_TCP", "CONFIG_NVME_TCP"),
        id="tcp",
    ),
]
tcp = needs.config("CONFIG_NVME_TARGET_TCP", "CONFIG_NVME_TCP")


def by_umount(container: Container) -> None:
    container.run(syscalls.umount, CONFIGFS)


def by_lazy_umount(container: Container) -> None:
    container.run(syscalls.umount, CONFIGFS, syscalls.MNT_DETACH)


def by_death(container: Container) -> None:
    container.destroy()


ENDS = pytest.mark.parametrize(
    "end",
    [
        pytest.param(by_umount, id="umount"),
        pytest.param(by_lazy_umount, id="lazy-umount"),
        pytest.param(by_death, id="last-task-killed"),
    ],
)
End = Callable[[Container], None]


def make(*values: NvmetHost | Subsystem | Port) -> None:
    Instance().add(*values)


def backed(file: str, nqn: str = NQN) -> Subsystem:
    return Subsystem(nqn, (Namespace(file, uuid=UUID, buffered=True),))


def finish(container: Container, end: End) -> None:
    """End the container's instance; the initial one must not show anything of it."""
    end(container)
    left = Instance().subsystems() + Instance().ports()
    assert left == [], "its configuration is there after its last mount went"


def closed(file: str) -> bool:
    return not disks.open_for_writing(file)


def write_until_it_fails(device: str) -> str:
    data = disks.pattern(1 << 16)
    try:
        while True:
            disks.write(device, data)
    except OSError as error:
        return f"failed: {error.strerror}"


@ENDS
class TestPoint8Released:
    @tcp
    def test_a_tcp_port_stops_listening(self, container: Container, end: End) -> None:
        container.run(make, Subsystem(NQN), tcp_port(1, NQN))
        assert links.answers("127.0.0.1", 4420)
        finish(container, end)
        wait.until(lambda: not links.answers("127.0.0.1", 4420), "no answer")

    def test_a_file_is_closed(
        self, container: Container, make_file: Callable[..., str], end: End
    ) -> None:
        file = make_file(1)
        container.run(make, backed(file))
        assert disks.open_for_writing(file)
        finish(container, end)
        wait.until(lambda: not disks.open_for_writing(file), f"{file} closed")

    @needs.config("CONFIG_BLK_DEV_LOOP")
    def test_a_block_device_is_let_go(
        self, container: Container, make_file: Callable[..., str], end: End
    ) -> None:
        with disks.loop_device(make_file(1)) as device:
            container.run(make, Subsystem(NQN, (Namespace(device),)))
            finish(container, end)
            disks.free_loop(device)  # takes effect when the last user lets go
            wait.until(lambda: device not in disks.loops(), f"{device} free")

    def test_everything_at_once(
        self, container: Container, make_file: Callable[..., str], end: End
    ) -> None:
        files = [make_file(1), make_file(1)]
        port = Port(
            1,
            "loop",
            "teardown",
            subsystems=(NQN, OTHER),
            referrals=(Referral("next", "tcp", "192.0.2.1", "4420", "ipv4"),),
            ana_groups=(AnaGroup(1, "non-optimized"), AnaGroup(2, "inaccessible")),
        )
        namespaces = tuple(
            Namespace(file, nsid=number, ana_group=number, buffered=True)
            for number, file in enumerate(files, 1)
        )
        subsystem = Subsystem(NQN, namespaces, hosts=(nvme.HOST_NQN,))
        values = (NvmetHost(nvme.HOST_NQN), subsystem, Subsystem(OTHER), port, loop_port(2, NQN))
        container.run(make, *values)
        finish(container, end)
        for file in files:
            wait.until(partial(closed, file), f"{file} closed")
        # And the same again, in what is a new instance.
        with Container() as again:
            again.mount_configfs()
            again.run(make, *values)


@contextmanager
def connected(container: Container, port: Port) -> Iterator[nvme.Controller]:
    """A host connected by a task of the container; its controller belongs to the machine."""
    controller = container.run(lambda: nvme.connect(port, NQN, *nvme.giving_up(port)))
    try:
        yield controller
    finally:
        controller.disconnect()


@contextmanager
def writing(container: Container, port: Port) -> Iterator[Task]:
    """A task outside that writes to the container's namespace without end."""
    with connected(container, port) as controller:
        task = Task(write_until_it_fails, controller.device(1, UUID))
        try:
            yield task
        finally:
            task.kill()


@ENDS
@pytest.mark.parametrize("port", PORTS)
class TestPoint8InUse:
    def test_a_connected_host_loses_its_controller(
        self, container: Container, make_file: Callable[..., str], port: Port, end: End
    ) -> None:
        container.run(make, backed(make_file(1)), port)
        with connected(container, port) as controller:
            controller.device(1, UUID)
            finish(container, end)
            wait.until(lambda: controller.state != "live", "a controller that is not live")

    def test_io_in_flight_ends(
        self, container: Container, make_file: Callable[..., str], port: Port, end: End
    ) -> None:
        file = make_file(1)
        container.run(make, backed(file), port)
        with writing(container, port) as task:
            wait.until(lambda: disks.changed(file), "the first block written")
            finish(container, end)
            assert task.result().startswith("failed")
        wait.until(lambda: not disks.open_for_writing(file), f"{file} closed")


class TestPoint8HeldOpen:
    def test_an_open_attribute_outlives_its_container_without_harm(
        self, container: Container, initial: Instance
    ) -> None:
        container.run(make, Subsystem(NQN, attributes=(("serial", "inside"),)))
        root = Instance(f"{container.root}{CONFIGFS}").root
        held = os.open(root / f"subsystems/{NQN}/attr_serial", os.O_RDONLY)
        try:
            container.destroy()
            assert initial.subsystems() == [], "its configuration outlived its last mount"
            with suppress(OSError):  # gone is as good an answer
                # nvmet fills a serial number with spaces up to its length.
                assert os.read(held, 100).rstrip() in (b"inside", b"")
        finally:
            os.close(held)

    def test_an_open_folder_of_a_dead_container_makes_nothing_elsewhere(
        self, container: Container, initial: Instance
    ) -> None:
        root = Instance(f"{container.root}{CONFIGFS}").root
        held = os.open(root / "hosts", os.O_RDONLY | os.O_DIRECTORY)
        try:
            container.destroy()
            with suppress(OSError):  # refused is as good an answer
                os.mkdir(nvme.HOST_NQN, dir_fd=held)
            assert initial.hosts() == []
        finally:
            os.close(held)

    @tcp
    def test_it_goes_when_what_held_it_is_closed(
        self, container: Container, initial: Instance
    ) -> None:
        container.run(make, Subsystem(NQN), tcp_port(1, NQN))
        held = os.open(f"{container.root}{CONFIGFS}/nvmet", os.O_RDONLY)
        container.destroy()
        os.close(held)
        assert initial.ports() == [], "its configuration outlived its last mount"
        wait.until(lambda: not links.answers("127.0.0.1", 4420), "no answer")


class TestPoint8Persists:
    @tcp
    def test_a_second_mount_keeps_the_port_open(
        self, container: Container, initial: Instance, tmp_path: os.PathLike[str]
    ) -> None:
        container.run(make, Subsystem(NQN), tcp_port(1, NQN))
        container.run(syscalls.mount, "none", str(tmp_path), "configfs")
        container.run(syscalls.umount, CONFIGFS)
        assert links.answers("127.0.0.1", 4420)
        container.run(syscalls.umount, str(tmp_path))
        assert initial.ports() == [], "it is the initial instance"
        wait.until(lambda: not links.answers("127.0.0.1", 4420), "no answer")

    @tcp
    def test_a_port_of_the_initial_instance_outlives_the_task_that_enabled_it(
        self, make_container: Callable[..., Container], initial: Instance
    ) -> None:
        inherits = make_container(mounted=False)
        inherits.run(make, Subsystem(NQN), tcp_port(1, NQN))
        inherits.destroy()
        try:
            assert initial.ports() == ["1"]
            assert links.answers("127.0.0.1", 4420)
        finally:
            initial.clear()

    @tcp
    def test_the_initial_instance_serves_while_unmounted(
        self, initial: Instance, configfs: str, make_file: Callable[..., str]
    ) -> None:
        file, port = make_file(16), tcp_port(1, NQN)
        with initial.holding(backed(file), port):
            syscalls.umount(configfs)
            try:
                with nvme.connected(port, NQN) as controller:
                    disks.check_data(controller.device(1, UUID), file, size=disks.MEBI)
            finally:
                syscalls.mount("none", configfs, "configfs")


@needs.program("mkfs.ext4")
@needs.config("CONFIG_EXT4_FS", "CONFIG_BLK_DEV_LOOP", "CONFIG_NVME_TARGET_LOOP")
class TestPoint8WrittenBack:
    """The instance goes behind what else its namespace had mounted."""

    def test_a_file_system_on_the_containers_own_disk(
        self, container: Container, make_file: Callable[..., str], tmp_path: Path
    ) -> None:
        """Written without fsync just before the last task is killed, and there when looked at."""
        check_own(container)
        file, port, data = make_file(16), loop_port(1, NQN, name="own"), disks.pattern(1 << 16)
        container.run(make, backed(file), port)
        controller = container.run(nvme.connect, port, NQN)
        device = controller.device(1, UUID)
        subprocess.run(["mkfs.ext4", "-q", device], check=True, capture_output=True)

        def write() -> None:
            syscalls.mount(device, str(tmp_path), "ext4")
            (tmp_path / "written").write_bytes(data)

        container.run(write)
        container.destroy()
        controller.becomes("")
        wait.until(lambda: closed(file), f"{file} closed")
        with disks.loop_device(file) as outside:
            syscalls.mount(outside, str(tmp_path), "ext4", syscalls.MS_RDONLY)
            try:
                assert (tmp_path / "written").read_bytes() == data
            finally:
                syscalls.umount(str(tmp_path))
