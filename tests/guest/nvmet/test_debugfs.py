# SPDX-License-Identifier: GPL-2.0-only
"""debugfs, of which the machine has one: each instance has a folder of its own there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from guestlib import nvme
from guestlib.instances import check_own
from guestlib.nvmet import Instance, Port, Subsystem, loop_port
from harness.guestside import needs, wait
from harness.guestside.container import Container

pytestmark = [
    needs.config("CONFIG_NVME_TARGET_DEBUGFS", "CONFIG_NVME_TARGET_LOOP"),
    needs.config("CONFIG_NVME_FABRICS"),
]

NQN = "nqn.2026-01.org.example:debugfs"
DEBUGFS = Path("/sys/kernel/debug")
PORT = loop_port(1, NQN)


def folder(container: Container) -> Path:
    """Where a container's subsystems are, by the id of its mount namespace."""
    return DEBUGFS / "nvmet-instances" / str(container.mount_namespace())


def add(*values: Subsystem | Port) -> str:
    """Write values to the caller's instance; return "made" or why that failed."""
    try:
        Instance().add(*values)
    except OSError as error:
        return str(error)
    return "made"


class TestInitial:
    def test_a_subsystem_shows_with_its_controllers(
        self, initial: Instance, make_port: Callable[..., Port]
    ) -> None:
        port = make_port(1, NQN)
        with initial.holding(Subsystem(NQN), port), nvme.connected(port, NQN) as controller:
            shown = DEBUGFS / "nvmet" / NQN / f"ctrl{controller.read('cntlid')}"
            assert (shown / "hostnqn").read_text().strip() == nvme.HOST_NQN
            assert (shown / "port").read_text().strip() == "1"
            controller.disconnect()
            wait.until(lambda: not shown.exists(), f"{shown} to be gone")

    def test_it_is_gone_with_the_subsystem(self, initial: Instance) -> None:
        with initial.holding(Subsystem(NQN)):
            assert (DEBUGFS / "nvmet" / NQN).is_dir()
        assert not (DEBUGFS / "nvmet" / NQN).exists()


class TestPoint7Containers:
    def test_the_same_nqn_everywhere_is_shown_everywhere(
        self, make_container: Callable[..., Container], initial: Instance
    ) -> None:
        containers = [make_container() for _ in range(2)]
        with initial.holding(Subsystem(NQN)):
            for container in containers:
                assert container.run(add, Subsystem(NQN)) == "made"
            places = [DEBUGFS / "nvmet", *map(folder, containers)]
            assert [str(p) for p in places if not (p / NQN).is_dir()] == [], "not shown there"

    def test_a_container_shows_its_own_controllers(self, container: Container) -> None:
        check_own(container)
        assert container.run(add, Subsystem(NQN), PORT) == "made"
        controller = container.run(nvme.connect, PORT, NQN)
        try:
            shown = folder(container) / NQN / f"ctrl{controller.read('cntlid')}"
            assert (shown / "hostnqn").read_text().strip() == nvme.HOST_NQN
            assert not (DEBUGFS / "nvmet" / NQN).exists(), "shown as the initial instance's"
        finally:
            controller.disconnect()

    @pytest.mark.parametrize("connect", [False, True], ids=["idle", "host connected"])
    def test_what_is_shown_goes_with_the_container(
        self, container: Container, connect: bool
    ) -> None:
        check_own(container)
        assert container.run(add, Subsystem(NQN), PORT) == "made"
        where = folder(container)
        assert where.is_dir(), f"{where} is not there"
        controller = container.run(nvme.connect, PORT, NQN) if connect else None
        container.destroy()
        wait.until(lambda: not where.exists(), f"{where} to be gone")
        if controller:
            controller.disconnect()
