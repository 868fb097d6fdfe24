# SPDX-License-Identifier: GPL-2.0-only
"""Point 8: killed at a random moment, chosen by --stress-seed, whatever is going on."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.guestside import attribute, disks, needs, nvme, syscalls, wait
from harness.guestside.container import Container
from harness.guestside.nvmet import (
    CONFIGFS,
    AnaGroup,
    Host,
    Instance,
    Namespace,
    Port,
    Subsystem,
    tcp_port,
)

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET", "CONFIG_NVME_TARGET_LOOP")

NQN = "nqn.2026-01.org.example:killed"
OTHER = "nqn.2026-01.org.example:other"
UUID = "55555555-5555-4555-8555-555555555555"
ROUNDS = 6


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Random choices that the seed, and the test, make the same each time."""
    return random.Random(f"{request.config.getoption('--stress-seed')}:{request.node.name}")


def configure_for_ever(*values: Host | Subsystem | Port) -> None:
    """Make it all and remove it all, again and again."""
    while True:
        Instance().add(*values)
        Instance().clear()


def values(file: str, port: Port) -> tuple[Host | Subsystem | Port, ...]:
    namespaces = tuple(
        Namespace(file, nsid=number, buffered=True, ana_group=number) for number in (1, 2)
    )
    return (
        Host(nvme.HOST_NQN),
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
    """Nothing of it is left, and nothing of it was in the initial instance."""
    left = initial.subsystems() + initial.ports()
    initial.clear()
    assert left == [], "it was the initial instance"
    wait.until(lambda: not disks.open_for_writing(file), f"{file} closed")


@pytest.fixture
def impatient() -> Iterator[None]:
    """Hosts give a command up after five seconds instead of a minute.

    A controller that is being deleted when its target dies does not start over: what it had sent
    is waited for until then (7.2).
    """
    timeout = Path("/sys/module/nvme_core/parameters/admin_timeout")
    usual = timeout.read_text()
    attribute.store(timeout, 5)
    yield
    attribute.store(timeout, usual.strip())


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
        """The container lives on, half configured, and can be cleared or thrown away."""
        file = make_file(1)
        for number in range(ROUNDS):
            container = make_container()
            task = container.begin(configure_for_ever, *values(file, port))
            time.sleep(chance.uniform(0, 0.2))
            os.kill(task.pid, signal.SIGKILL)
            task.kill()
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
        """With its PID namespace all of its tasks die at once."""
        file = make_file(1)
        for _ in range(ROUNDS):
            with Container(pid=True) as container:
                container.mount_configfs()
                tasks = [container.begin(configure_for_ever, *values(file, port))]
                time.sleep(chance.uniform(0, 0.2))
                container.destroy()
                for task in tasks:
                    task.kill()
            check_gone(initial, file)

    @needs.program("nvme")
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
                container.run(lambda: Instance().add(*values(file, port)))
                task = container.begin(connect_for_ever, port)
                time.sleep(chance.uniform(0, 0.5))
                end = chance.choice(["task", "umount"])
                if end == "umount":
                    container.run(syscalls.umount, CONFIGFS, syscalls.MNT_DETACH)
                container.destroy()
                task.kill()
            for controller in nvme.controllers():
                controller.disconnect()
            check_gone(initial, file)


def connect_for_ever(port: Port) -> None:
    for _ in itertools.count():
        nvme.connect(port, NQN, "--ctrl-loss-tmo=0").disconnect()
