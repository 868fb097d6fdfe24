# SPDX-License-Identifier: GPL-2.0-only
"""Point 6 the other way: nvmet is unloaded, and registered again, while instances are mounted.

Needs a kernel that has it as a module:

    harness run --patched-only CONFIG_NVME_TARGET=m CONFIG_NVME_TARGET_LOOP=m \\
        CONFIG_NVME_TARGET_TCP=m --suite tests/guest/configfs/test_unloading.py
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guestlib import memory, modules, nvme
from guestlib.nvmet import Instance, NvmetHost, Subsystem, loop_port
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container, mount_configfs
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET", "CONFIG_NVME_TARGET_LOOP")

NQN = "nqn.2026-01.org.example:unloading"
PORT = loop_port(1, NQN, name="unloading")
TIMES = 10
REFUSED = r"in use|temporarily unavailable"


def listing() -> list[str]:
    return sorted(entry.name for entry in Path(CONFIGFS).iterdir())


@pytest.fixture(autouse=True)
def _a_module(configfs: str) -> Iterator[None]:
    """Nvmet is a module, and loaded before and after."""
    if not modules.target():
        pytest.skip("needs: CONFIG_NVME_TARGET=m")
    yield
    modules.load()


class TestPoint6Unloading:
    def test_it_goes_from_all_instances_and_comes_to_new_ones(
        self, make_container: Callable[..., Container]
    ) -> None:
        containers = [make_container() for _ in range(3)]
        for container in containers:
            assert container.run(listing) == ["nvmet"]
        containers[2].destroy()
        modules.unload_target()
        assert "nvmet" not in listing()
        assert [container.run(listing) for container in containers[:2]] == [[], []]
        modules.load()
        assert "nvmet" in listing()
        assert [container.run(listing) for container in containers[:2]] == [[], []], "it gains none"
        assert make_container().run(listing) == ["nvmet"]

    def test_an_instance_that_lost_it_ends_as_others_do(self, container: Container) -> None:
        def come_again() -> list[str]:
            syscalls.umount(CONFIGFS)
            mount_configfs()
            return listing()

        modules.unload_target()
        assert container.run(come_again) == []
        modules.load()
        assert container.run(come_again) == ["nvmet"]

    @pytest.mark.parametrize(
        "value", [NvmetHost(NQN), Subsystem(NQN), loop_port(1)], ids=["host", "subsystem", "port"]
    )
    def test_an_item_in_a_container_keeps_it_until_the_container_is_gone(
        self, container: Container, value: NvmetHost | Subsystem
    ) -> None:
        container.run(lambda: Instance().add(value))
        with pytest.raises(AssertionError, match=REFUSED):
            modules.unload_target()
        modules.load()
        container.run(syscalls.umount, CONFIGFS)  # which returns when all is gone
        modules.unload_target()

    def test_a_container_dies_meanwhile(self, make_container: Callable[..., Container]) -> None:
        """Unloading is refused, or waits for what is being taken down."""

        def unloaded() -> bool:
            try:
                modules.unload_target()
            except AssertionError:
                return False
            return True

        for _ in range(TIMES):
            container = make_container()
            container.run(lambda: Instance().add(Subsystem(NQN), PORT))
            container.run(nvme.connect, PORT, NQN)
            container.destroy()
            wait.until(unloaded, "nvmet to be unloaded")
            modules.load()

    def test_an_open_attribute_keeps_it(self, container: Container) -> None:
        held = os.open(f"{container.root}{CONFIGFS}/nvmet/discovery_nqn", os.O_RDONLY)
        try:
            with pytest.raises(AssertionError, match=REFUSED):
                modules.unload_target()
        finally:
            os.close(held)
        modules.unload_target()

    def test_a_folder_that_is_open_does_not(self, container: Container) -> None:
        held = os.open(f"{container.root}{CONFIGFS}/nvmet/hosts", os.O_RDONLY)
        try:
            modules.unload_target()
            with pytest.raises(OSError, match=r"."):
                os.mkdir(NQN, dir_fd=held)
        finally:
            os.close(held)
        assert container.run(listing) == []

    def test_loaded_by_a_container_it_is_in_the_initial_instance(
        self, container: Container
    ) -> None:
        modules.unload_target()
        container.run(modules.load)
        assert "nvmet" in listing()
        assert container.run(listing) == [], "a mounted instance gains none"

    @needs.feature("slab_counts")
    def test_no_memory_stays_of_what_comes_and_goes(self) -> None:
        def turn() -> None:
            with Container() as left, Container() as removed:
                for container in (left, removed):
                    container.mount_configfs()
                    container.run(lambda: Instance().write("discovery_nqn", NQN))
                removed.run(syscalls.umount, CONFIGFS)
                modules.unload_target()
                modules.load()

        found = memory.grown(TIMES, turn)
        assert not found, f"objects that each of {TIMES} rounds left: {found}"
