# SPDX-License-Identifier: GPL-2.0-only
"""Point 8 where the storage never answers: nobody but the instance itself may wait for it."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from guestlib import links, nvme
from guestlib.fuse import StuckFiles, stuck_files, try_to_write
from guestlib.instances import INSTANCES, check_own
from guestlib.nvmet import Instance, Namespace, Port, Subsystem, loop_port, tcp_port
from guestlib.states import wait_until_in
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container
from harness.guestside.kernelfiles import CONFIGFS
from harness.guestside.kmsg import Kmsg
from harness.guestside.task import Task

pytestmark = [
    needs.config("CONFIG_NVME_FABRICS"),
    needs.config("CONFIG_FUSE_FS", "CONFIG_NVME_TARGET_LOOP", "CONFIG_NVME_TARGET_DEBUGFS"),
]

NQN = "nqn.2026-01.org.example:stuck"
OTHER = "nqn.2026-01.org.example:other"
tcp = needs.config("CONFIG_NVME_TARGET_TCP", "CONFIG_NVME_TCP")


def instance_folder(container: Container) -> Path:
    folder = INSTANCES / str(container.mount_namespace())
    assert folder.is_dir(), f"no {folder}: it has no instance of its own"
    return folder


def ends(pid: int) -> None:
    """Kill a child, which must not wait for anything."""
    os.kill(pid, signal.SIGKILL)
    wait.until(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT), "its end")


def check_sync() -> None:
    """Nothing that hangs may keep sync(2) from returning; the caller is not the one who waits."""
    Task(os.sync).result()


def add(file: str, port: Port, *, buffered: bool = True) -> None:
    Instance().add(Subsystem(NQN, (Namespace(file, buffered=buffered),)), port)


@contextmanager
def writing(device: str) -> Iterator[Task]:
    task = Task(try_to_write, device)
    try:
        yield task
    finally:
        task.kill()


def set_enable(value: int) -> None:
    Instance().write(f"{Instance().namespace(NQN)}/enable", value)


@contextmanager
def disabling(
    container: Container, controller: nvme.Controller, stuck: StuckFiles
) -> Iterator[None]:
    """A task disables the namespace, and waits for a write; at the end the storage answers."""
    with writing(controller.device()):
        stuck.wait_for_write()
        disable = container.begin(set_enable, 0)
        try:
            wait_until_in(disable.pid, "nvmet_ns_disable")
            yield
        finally:
            stuck.answer()
        disable.result()


@contextmanager
def exported(container: Container, stuck: StuckFiles) -> Iterator[nvme.Controller]:
    """A host is connected to a port that exports the file; afterwards its instance must go."""
    folder, port = instance_folder(container), loop_port(1, NQN)
    container.run(lambda: add(stuck.path, port))
    controller = container.run(nvme.connect, port, NQN)
    yield controller
    stuck.close_server()  # a task of the container
    container.destroy()
    wait.until(lambda: not folder.exists(), "the instance to be gone")
    controller.becomes("")


def enable_meanwhile(container: Container) -> Task:
    """Begin to enable the namespace while it is being disabled, and wait until that waits."""
    enable = container.begin(set_enable, 1)
    wait_until_in(enable.pid, "nvmet_ns_enable_store")
    return enable


def check_not_held_up(container: Container, function: Callable[[], None]) -> None:
    """Run a function there.  One that hangs cannot be killed, and ends when the storage answers."""
    task = container.begin(function)
    wait.until(lambda: select.select([task], [], [], 0)[0], "who needs nothing of that disk")
    task.result()


@pytest.fixture
def stuck(tmpfs: Path, container: Container) -> Iterator[StuckFiles]:
    """Files in the container whose writes hang; the server is a task of it."""
    with stuck_files(container.begin, tmpfs / "stuck") as files:
        yield files


class TestPoint8Stuck:
    @pytest.mark.parametrize("buffered", [True, False], ids=["buffered", "direct"])
    def test_the_last_task_of_a_container_serves_its_disk(
        self, container: Container, stuck: StuckFiles, *, buffered: bool
    ) -> None:
        """Its end is what makes the write fail that the teardown waits for."""
        check_own(container)
        folder = instance_folder(container)
        port = loop_port(1, NQN, name="stuck")
        container.run(lambda: add(stuck.path, port, buffered=buffered))
        controller = container.run(nvme.connect, port, NQN)
        with writing(controller.device()) as writer:
            stuck.wait_for_write()
            container.destroy()
            assert folder.is_dir(), "the server is still a task of it"
            ends(stuck.server.pid)
            check_sync()
            wait.until(lambda: not folder.exists(), "the instance to be gone")
            controller.becomes("")
            assert writer.result().startswith("failed")

    @pytest.mark.parametrize("end", ["umount", "killed"])
    def test_another_instance_does_not_wait(
        self,
        make_container: Callable[..., Container],
        container: Container,
        stuck: StuckFiles,
        end: str,
    ) -> None:
        """Direct, so that the command hangs in a worker of nvmet's own workqueue."""
        port = loop_port(1, NQN, name="stuck")
        container.run(lambda: add(stuck.path, port, buffered=False))
        controller = container.run(nvme.connect, port, NQN)
        other = make_container()
        folder = instance_folder(other)
        with writing(controller.device()):
            stuck.wait_for_write()
            other.run(lambda: Instance().add(Subsystem(OTHER), loop_port(1, OTHER, name="idle")))
            if end == "umount":
                other.run(syscalls.umount, CONFIGFS)
            else:
                other.destroy()
            wait.until(lambda: not folder.exists(), "the idle instance to be gone")
            stuck.close_server()
        controller.disconnect()

    def test_umount_can_be_killed(self, container: Container, stuck: StuckFiles) -> None:
        """And the instance ends when the storage does, with nobody waiting for it."""
        folder = instance_folder(container)
        port = loop_port(1, NQN, name="stuck")
        container.run(lambda: add(stuck.path, port))
        controller = container.run(nvme.connect, port, NQN)
        with writing(controller.device()):
            stuck.wait_for_write()
            umount = container.begin(syscalls.umount, CONFIGFS)
            wait.until(lambda: not own_mounts(container), "the mount to be gone")
            ends(umount.pid)
            umount.kill()
            check_sync()
            assert folder.is_dir(), "its write hangs, so it cannot be gone"
            mounter = container.begin(syscalls.mount, "none", CONFIGFS, "configfs")
            wait_until_in(mounter.pid, "configfs")
            ends(mounter.pid)
            mounter.kill()
            stuck.close_server()
            wait.until(lambda: not folder.exists(), "the instance to be gone")
        controller.becomes("")

    @pytest.mark.parametrize(
        ("port", "own"),
        [
            pytest.param(loop_port(1, NQN), loop_port(2, OTHER), id="loop"),
            pytest.param(tcp_port(1, NQN), tcp_port(2, OTHER, trsvcid="4421"), id="tcp", marks=tcp),
        ],
    )
    def test_nobody_else_waits_for_a_namespace_that_is_disabled(
        self,
        make_container: Callable[..., Container],
        container: Container,
        stuck: StuckFiles,
        port: Port,
        own: Port,
    ) -> None:
        """By hand, and not because its instance ends: others configure and connect all the same."""
        other = make_container()

        def configure_and_connect() -> None:
            with Instance().holding(Subsystem(OTHER), own), nvme.connected(own, OTHER):
                pass

        container.run(lambda: add(stuck.path, port))
        controller = container.run(lambda: nvme.connect(port, NQN, *nvme.giving_up(port)))
        with disabling(container, controller, stuck):
            for place in (other, container):
                check_not_held_up(place, configure_and_connect)
        controller.disconnect()

    def test_another_namespace_of_the_subsystem_does_not_wait(
        self, container: Container, stuck: StuckFiles, make_file: Callable[..., str]
    ) -> None:
        """While one is disabled: what waits holds no lock that both need."""
        port, file = loop_port(1, NQN), make_file(1)
        container.run(lambda: add(stuck.path, port))
        controller = container.run(nvme.connect, port, NQN)

        def come_and_go() -> None:
            Instance().add_namespace(NQN, Namespace(file, nsid=2, buffered=True))
            Instance().write(f"{Instance().namespace(NQN, 2)}/enable", 0)
            (Instance().root / Instance().namespace(NQN, 2)).rmdir()

        with disabling(container, controller, stuck):
            check_not_held_up(container, come_and_go)
        controller.disconnect()

    def test_who_enables_it_meanwhile_waits_and_can_be_killed(
        self, container: Container, stuck: StuckFiles
    ) -> None:
        with (
            exported(container, stuck) as controller,
            disabling(container, controller, stuck),
        ):
            enable = enable_meanwhile(container)
            ends(enable.pid)
            enable.kill()

    def test_who_enables_it_meanwhile_has_it_enabled(
        self, container: Container, stuck: StuckFiles
    ) -> None:
        """Afterwards, or what is in flight would count for the namespace that is enabled anew."""
        with exported(container, stuck) as controller:
            with disabling(container, controller, stuck):
                enable = enable_meanwhile(container)
                stuck.answer()
                enable.result()
            assert container.run(Instance().read, f"{Instance().namespace(NQN)}/enable") == "1"
            wait.until(lambda: try_to_write(controller.device()) == "done", "a write to be done")
            for value in (0, 1):
                container.run(set_enable, value)
            container.run(lambda: (Instance().root / Instance().namespace(NQN)).rmdir())

    @tcp
    def test_the_log_names_what_is_waited_for(
        self, container: Container, stuck: StuckFiles
    ) -> None:
        """A minute later: a namespace that is being disabled, and the queue of a host."""
        port, log = tcp_port(1, NQN), Kmsg()
        container.run(lambda: add(stuck.path, port))
        controller = container.run(lambda: nvme.connect(port, NQN, *nvme.giving_up(port)))
        names, heard = (f"namespace 1 of {NQN}", f"queue 1 of {nvme.HOST_NQN}"), [""]

        def named() -> bool:
            heard[0] += log.drain()
            return all(f"{name} is waiting for I/O to finish" in heard[0] for name in names)

        with writing(controller.device()):
            stuck.wait_for_write()
            container.run(lambda: Instance().unlink(1, NQN))
            disable = container.begin(Instance().write, f"{Instance().namespace(NQN)}/enable", 0)
            wait.until(named, f"{' and '.join(names)} in the log")
            stuck.close_server()
            disable.result()
        controller.becomes("")

    def test_who_mounts_meanwhile_has_the_next_instance(
        self, container: Container, stuck: StuckFiles
    ) -> None:
        """Empty, and with everything it needs: the one before it had the same names."""
        folder = instance_folder(container)
        port = loop_port(1, NQN, name="stuck")

        def mount_and_use() -> list[str]:
            syscalls.mount("none", CONFIGFS, "configfs")
            found = Instance().subsystems() + Instance().ports()
            Instance().add(Subsystem(NQN), port)
            nvme.connect(port, NQN).disconnect()
            return found

        container.run(lambda: add(stuck.path, port))
        controller = container.run(nvme.connect, port, NQN)
        with writing(controller.device()):
            stuck.wait_for_write()
            umount = container.begin(syscalls.umount, CONFIGFS)
            wait_until_in(umount.pid, "configfs")
            mounter = container.begin(mount_and_use)
            wait_until_in(mounter.pid, "configfs")
            stuck.close_server()
            assert mounter.result() == []
            umount.result()
        controller.becomes("")
        for _ in range(2):
            container.run(syscalls.umount, CONFIGFS)
            assert not folder.exists()
            assert container.run(mount_and_use) == []

    @tcp
    def test_a_container_that_exports_a_lost_disk_of_another(
        self, make_container: Callable[..., Container], make_file: Callable[..., str]
    ) -> None:
        """The host waits for the other to come back, for ever if it was told to."""
        first, second = make_container(), make_container()
        folder = instance_folder(second)
        outer, inner = tcp_port(1, NQN), loop_port(1, OTHER, name="inner")
        file = make_file(1)
        first.run(lambda: add(file, outer))
        lost = nvme.connect(outer, NQN, "ctrl_loss_tmo=-1", "reconnect_delay=1")
        with ExitStack() as stack:
            stack.callback(lost.disconnect)
            disk = lost.device()
            values = Subsystem(OTHER, (Namespace(disk),)), inner
            second.run(lambda: Instance().add(*values))
            controller = second.run(nvme.connect, inner, OTHER)
            device = controller.device()
            first.destroy()
            wait.until(lambda: not links.answers("127.0.0.1", 4420), "no answer")
            lost.becomes("connecting")
            writer = stack.enter_context(writing(device))
            wait.until(lambda: in_flight(device), "the write to be in flight")
            ends(second.pid)
            check_sync()
            assert folder.is_dir(), "its write hangs, so it cannot be gone"
            lost.disconnect()
            assert writer.result().startswith("failed")
        wait.until(lambda: not folder.exists(), "the instance to be gone")
        controller.becomes("")

    @tcp
    def test_a_tcp_port_of_the_initial_instance_is_disabled_meanwhile(
        self, initial: Instance, tmpfs: Path
    ) -> None:
        """As it always was: removing the last link does not wait for what the port's queues do."""
        port = tcp_port(1, NQN)
        with stuck_files(Task, tmpfs / "stuck") as files, ExitStack() as stack:
            stack.callback(syscalls.umount, str(tmpfs / "stuck"), syscalls.MNT_DETACH)
            stack.callback(initial.remove_subsystem, NQN)
            stack.callback(initial.remove_port, "1")
            stack.callback(files.close_server)
            add(files.path, port)
            controller = nvme.connect(port, NQN, *nvme.giving_up(port))
            with writing(controller.device()):
                files.wait_for_write()
                Task(initial.unlink, 1, NQN).result()
                assert not links.answers("127.0.0.1", 4420)
                files.close_server()
        controller.becomes("")


def own_mounts(container: Container) -> list[str]:
    lines = Path(f"/proc/{container.pid}/mountinfo").read_text().splitlines()
    own = [line for line in lines if " - configfs " in line]
    initial = Path("/proc/self/mountinfo").read_text()
    devices = {line.split()[2] for line in initial.splitlines() if " - configfs " in line}
    return [line for line in own if line.split()[2] not in devices]


def in_flight(device: str) -> bool:
    with suppress(OSError):
        inflight = (Path("/sys/block") / Path(device).name / "inflight").read_text()
        return any(int(number) for number in inflight.split())
    return False
