# SPDX-License-Identifier: GPL-2.0-only
"""Point 6: nvmet as a module, which goes while instances have a copy of it.

    harness run --patched-only CONFIG_NVME_TARGET=m CONFIG_NVME_TARGET_LOOP=m \
        CONFIG_NVME_TARGET_TCP=m CONFIG_BLK_DEV_NULL_BLK=m CONFIG_CONFIGFS_FS=m \
        --suite tests/guest/nvmet/test_unloading.py
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from guestlib import memory, nvme
from guestlib.instances import check_own
from guestlib.nvmet import Instance, NvmetHost, NvmetValue, Subsystem, loop_port
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container, mount_configfs
from harness.guestside.expect import errno_is
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_FABRICS")

NQN = "nqn.2026-01.org.example:unloading"
PORT = loop_port(1, NQN, name="unloading")
NVMET = Path(CONFIGFS, "nvmet")
TIMES = 20


def modprobe(*words: str) -> str:
    """Return what modprobe complains about, "" if it does not."""
    return subprocess.run(["modprobe", *words], capture_output=True, text=True).stderr


def unload() -> str:
    """Unload nvmet, after the transports that use it."""
    return modprobe("--remove", "nvme_loop", "nvmet_tcp") or modprobe("--remove", "nvmet")


def load() -> None:
    assert modprobe("--all", "nvmet", "nvme_loop", "nvmet_tcp") == ""


@pytest.fixture(autouse=True)
def _loaded_at_the_end(configfs: str) -> Iterator[None]:
    if not Path("/sys/module/nvmet/initstate").exists():
        pytest.skip("nvmet is not a module")
    yield
    load()


def come_back() -> None:
    """Load configfs, without which there is no place to mount it, and mount it."""
    assert modprobe("configfs") == ""
    syscalls.mount("none", CONFIGFS, "configfs")


def mount_again() -> None:
    syscalls.umount(CONFIGFS)
    mount_configfs()


def connect_and_leave() -> None:
    """Use an instance as its containers do, and leave it as it is."""
    instance = Instance()
    instance.add(Subsystem(NQN), PORT)
    controller = nvme.connect(PORT, NQN)
    syscalls.umount(CONFIGFS)
    controller.becomes("")


class TestPoint6Unloading:
    def test_it_leaves_every_instance(self, make_container: Callable[..., Container]) -> None:
        containers = [make_container() for _ in range(3)]
        for container in containers:
            check_own(container)
            assert container.run(NVMET.is_dir)
        containers[1].destroy()
        assert unload() == ""
        assert not NVMET.exists()
        assert not containers[0].run(NVMET.exists)
        assert not containers[2].run(NVMET.exists)

    def test_loaded_again_it_is_in_new_instances_only(
        self, make_container: Callable[..., Container]
    ) -> None:
        old = make_container()
        assert unload() == ""
        without = make_container()
        load()
        assert make_container().run(lambda: Instance().hosts()) == []
        assert NVMET.is_dir()
        assert not old.run(NVMET.exists)
        assert not without.run(NVMET.exists)

    def test_an_instance_without_it_can_be_mounted_again(self, container: Container) -> None:
        def come_again() -> bool:
            mount_again()
            return NVMET.is_dir()

        assert unload() == ""
        assert not container.run(come_again)
        load()
        assert container.run(come_again)

    @pytest.mark.parametrize(
        "value", [NvmetHost(NQN), Subsystem(NQN), PORT], ids=["host", "subsystem", "port"]
    )
    def test_what_an_instance_has_keeps_it_loaded(
        self, make_container: Callable[..., Container], value: NvmetValue
    ) -> None:
        container = make_container()
        container.run(lambda: Instance().add(Subsystem(NQN)) if value is PORT else None)
        container.run(lambda: Instance().add(value))
        assert "in use" in unload()
        assert container.run(NVMET.is_dir)
        container.destroy()
        wait.until(lambda: unload() == "", "nvmet to be unloaded once the container is gone")

    def test_an_open_attribute_keeps_it_loaded(self, container: Container) -> None:
        def hold() -> str:
            fd = os.open(NVMET / "discovery_nqn", os.O_RDONLY)
            try:
                return unload()
            finally:
                os.close(fd)

        assert "in use" in container.run(hold)
        assert unload() == ""

    def test_a_task_in_a_default_group_does_not(self, container: Container) -> None:
        def stand_there() -> str:
            os.chdir(NVMET / "hosts")
            try:
                failed = unload()
                with errno_is(errno.ENOENT):
                    Path("one").mkdir()
                return failed
            finally:
                os.chdir("/")

        assert container.run(stand_there) == ""

    def test_it_comes_and_goes_after_use(self, make_container: Callable[..., Container]) -> None:
        for _ in range(TIMES // 4):
            container = make_container()
            container.run(connect_and_leave)
            container.destroy()
            wait.until(lambda: unload() == "", "nvmet to be unloaded")
            load()

    def test_it_comes_and_goes_while_others_mount(
        self, make_container: Callable[..., Container]
    ) -> None:
        """Whoever mounts meanwhile gets an instance with nvmet or without, and can use it."""

        def mount_on_and_on() -> int:
            used = 0
            for _ in range(TIMES * 2):
                mount_configfs()
                with suppress(OSError):
                    (NVMET / "hosts" / NQN).mkdir()
                    used += 1
                syscalls.umount(CONFIGFS)
            return used

        users = [make_container(mounted=False) for _ in range(2)]
        for user in users:
            user.run(syscalls.umount, CONFIGFS)
        tasks = [user.begin(mount_on_and_on) for user in users]
        for _ in range(TIMES):
            unload()
            load()
        assert [0 <= task.result(wait.ENDLESS) <= TIMES * 2 for task in tasks] == [True, True]
        assert make_container().run(NVMET.is_dir)

    @needs.feature("slab_counts")
    def test_no_memory_stays_of_copies_in_living_instances(
        self, make_container: Callable[..., Container]
    ) -> None:
        containers = [make_container() for _ in range(4)]

        def come_and_go() -> None:
            assert unload() == ""
            load()
            for container in containers:
                container.run(mount_again)

        found = memory.grown(TIMES // 4, come_and_go)
        assert not found, f"objects that each of {TIMES // 4} turns left: {found}"


class TestConfigfsItself:
    """With CONFIG_CONFIGFS_FS=m and all of its users as modules: only pins keep it loaded."""

    USERS = ("nvme_loop", "nvmet_tcp", "nvmet", "null_blk", "configfs_sample")

    @pytest.fixture(autouse=True)
    def _mounted_at_the_end(self, _loaded_at_the_end: None) -> Iterator[None]:
        if not Path("/sys/module/configfs/initstate").exists():
            pytest.skip("configfs is not a module")
        yield
        if not Path(CONFIGFS).is_mount():
            come_back()

    def leave(self) -> str:
        for user in self.USERS:
            modprobe("--quiet", "--remove", user)
        syscalls.umount(CONFIGFS)
        return modprobe("--remove", "configfs")

    def test_it_goes_after_the_last_of_its_subsystems(self) -> None:
        for _ in range(3):
            assert self.leave() == ""
            assert not Path(CONFIGFS).exists()
            come_back()
            load()

    def test_it_goes_after_instances_were_used(
        self, make_container: Callable[..., Container]
    ) -> None:
        container = make_container()
        container.run(connect_and_leave)
        container.destroy()
        wait.until(lambda: unload() == "", "nvmet to be unloaded")
        assert self.leave() == ""

    def test_a_subsystem_keeps_it(self) -> None:
        assert "in use" in modprobe("--remove", "configfs")
