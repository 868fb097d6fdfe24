# SPDX-License-Identifier: GPL-2.0-only
"""Point 8: tasks are killed at random moments (--stress-seed) while they work."""

from __future__ import annotations

import os
import random
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from guestlib import disks, nvme
from guestlib.instances import check_own
from guestlib.nvmet import AnaGroup, Instance, Namespace, NvmetHost, Port, Subsystem, tcp_port
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container
from harness.guestside.kernelfiles import CONFIGFS
from harness.guestside.task import Task

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET", "CONFIG_NVME_TARGET_LOOP")

NQN = "nqn.2026-01.org.example:killed"
OTHER = "nqn.2026-01.org.example:other"
UUID = "55555555-5555-4555-8555-555555555555"
ROUNDS = 6


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Random choices that depend only on the seed and the test."""
    return random.Random(f"{request.config.getoption('--stress-seed')}:{request.node.name}")


def for_ever(turn: Callable[[], object], told: int) -> None:
    """Do it again and again; write a byte to the pipe ``told`` each time."""
    while True:
        turn()
        os.write(told, b".")


def turned(told: int) -> float:
    """When the next turn ended; 0 if there is none because the task has ended."""
    assert select.select([told], [], [], wait.PATIENCE)[0], "a turn does not end"
    return time.monotonic() if os.read(told, 1) else 0.0


@contextmanager
def at_work(
    container: Container, turn: Callable[[], object], chance: random.Random
) -> Iterator[Task]:
    """A task of the container that does it forever; yielded at a random moment of a later turn.

    The moment is a part of what the second turn took: so it is as random on every machine.
    """
    read, write = os.pipe2(os.O_CLOEXEC)
    task = container.begin(for_ever, turn, write)
    os.close(write)
    try:
        first, second = (turned(read) or task.result() for _ in range(2))
        time.sleep(chance.uniform(0, second - first))
        yield task
    finally:
        os.close(read)
        task.kill()


def configure(*values: NvmetHost | Subsystem | Port) -> None:
    """Create everything and remove everything."""
    Instance().add(*values)
    Instance().clear()


def values(file: str, port: Port) -> tuple[NvmetHost | Subsystem | Port, ...]:
    namespaces = tuple(
        Namespace(file, nsid=number, buffered=True, ana_group=number) for number in (1, 2)
    )
    return (
        NvmetHost(nvme.HOST_NQN),
        Subsystem(NQN, namespaces, hosts=(nvme.HOST_NQN,)),
        Subsystem(OTHER),
        port,
    )


PORTS = [
    pytest.param(
        Port(
            1, "loop", "killed", subsystems=(NQN, OTHER), ana_groups=(AnaGroup(2, "inaccessible"),)
        ),
        id="loop",
    ),
    pytest.param(tcp_port(1, NQN, OTHER), id="tcp", marks=needs.config("CONFIG_NVME_TARGET_TCP")),
]


def check_gone(initial: Instance, file: str) -> None:
    """Nothing of it remains, and the initial instance never had it."""
    left = initial.subsystems() + initial.ports()
    initial.clear()
    assert left == [], "it was the initial instance"
    wait.until(lambda: not disks.open_for_writing(file), f"{file} closed")


@pytest.fixture
def impatient() -> Iterator[None]:
    """Hosts do not wait a minute for what they sent to a target that died."""
    with nvme.impatient(5):
        yield


@pytest.mark.parametrize("port", PORTS)
class TestKilled:
    def test_a_task_that_configures(
        self,
        make_container: Callable[..., Container],
        make_file: Callable[..., str],
        initial: Instance,
        chance: random.Random,
        port: Port,
    ) -> None:
        """The container stays, partially configured, and can be cleared or destroyed."""
        file = make_file(1)
        for number in range(ROUNDS):
            container = make_container()
            check_own(container)
            with at_work(container, lambda: configure(*values(file, port)), chance) as task:
                os.kill(task.pid, signal.SIGKILL)
            if number % 2:
                container.run(lambda: Instance().clear())
                container.run(lambda: Instance().add(*values(file, port)))
            container.destroy()
            check_gone(initial, file)

    def test_a_whole_container_that_configures(
        self,
        make_file: Callable[..., str],
        initial: Instance,
        chance: random.Random,
        port: Port,
    ) -> None:
        """All of its tasks die at once with its PID namespace."""
        file = make_file(1)
        for _ in range(ROUNDS):
            with Container(pid=True) as container:
                container.mount_configfs()
                check_own(container)
                with at_work(container, lambda: configure(*values(file, port)), chance):
                    container.destroy()
            check_gone(initial, file)

    @needs.config("CONFIG_NVME_FABRICS")
    @needs.config("CONFIG_NVME_TCP")
    @pytest.mark.usefixtures("impatient")
    def test_a_container_while_a_host_connects_to_it(
        self,
        make_file: Callable[..., str],
        initial: Instance,
        chance: random.Random,
        port: Port,
    ) -> None:
        file = make_file(1)
        for _ in range(ROUNDS // 2):
            with Container() as container:
                container.mount_configfs()
                check_own(container)
                container.run(lambda: Instance().add(*values(file, port)))
                with at_work(container, lambda: connect(port), chance):
                    end = chance.choice(["task", "umount"])
                    if end == "umount":
                        container.run(syscalls.umount, CONFIGFS, syscalls.MNT_DETACH)
                    container.destroy()
            for controller in nvme.controllers():
                controller.disconnect()
            check_gone(initial, file)


def connect(port: Port) -> None:
    with suppress(nvme.NvmeError):  # so impatient a host gives up a slow guest, too
        nvme.connect(port, NQN, *nvme.giving_up(port)).disconnect()
