# SPDX-License-Identifier: GPL-2.0-only
"""mount_setattr() on configfs: attributes belong to a mount, not to the instance behind it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from guestlib.nvmet import Instance, NvmetHost
from harness.guestside import needs, syscalls
from harness.guestside.container import Container
from harness.guestside.expect import errno_is
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET")

NQN = "nqn.2026-01.org.example:attributes"


def attributes(path: str = CONFIGFS) -> int:
    fd = os.open(path, os.O_PATH)
    try:
        return syscalls.statmount(fd=fd).attributes
    finally:
        os.close(fd)


def read_only(where: str = CONFIGFS, flags: int = 0) -> None:
    syscalls.mount_setattr(where, add=syscalls.MOUNT_ATTR_RDONLY, flags=flags)


class TestReadOnly:
    def test_nothing_can_be_made(self, container: Container) -> None:
        container.run(read_only)
        with errno_is(errno.EROFS):
            container.run(lambda: Instance().add(NvmetHost(NQN)))

    def test_nothing_can_be_removed(self, container: Container, initial: Instance) -> None:
        container.run(lambda: Instance().add(NvmetHost(NQN)))
        container.run(read_only)
        with errno_is(errno.EROFS):
            container.run(lambda: Instance().remove(NvmetHost(NQN)))
        found = container.run(lambda: Instance().hosts())
        initial.clear()  # where there is one instance only it was made in that
        assert found == [NQN]

    def test_no_attribute_can_be_written_but_read(self, container: Container) -> None:
        container.run(read_only)
        with errno_is(errno.EROFS):
            container.run(lambda: Instance().write("discovery_nqn", NQN))
        assert container.run(lambda: Instance().read("discovery_nqn"))

    def test_another_mount_of_the_instance_stays_writable(
        self, container: Container, initial: Instance, tmp_path: Path
    ) -> None:
        def make_elsewhere() -> list[str]:
            syscalls.mount("none", str(tmp_path), "configfs")
            read_only()
            Instance(str(tmp_path)).add(NvmetHost(NQN))
            return Instance().hosts()

        found = container.run(make_elsewhere)
        container.run(lambda: Instance(str(tmp_path)).clear())
        assert found == [NQN]
        assert initial.hosts() == []

    def test_another_instance_stays_writable(self, container: Container, initial: Instance) -> None:
        container.run(read_only)
        with initial.holding(NvmetHost(NQN)):
            assert container.run(lambda: Instance().hosts()) == [], "it is the initial instance"

    def test_it_can_be_taken_back(self, container: Container) -> None:
        def back() -> list[str]:
            read_only()
            syscalls.mount_setattr(CONFIGFS, clear=syscalls.MOUNT_ATTR_RDONLY)
            with Instance().holding(NvmetHost(NQN)):
                return Instance().hosts()

        assert container.run(back) == [NQN]

    def test_it_is_refused_while_an_attribute_is_open_for_writing(
        self, container: Container
    ) -> None:
        def change_under_a_writer() -> None:
            with (Instance().root / "discovery_nqn").open("w"):
                read_only()

        with errno_is(errno.EBUSY):
            container.run(change_under_a_writer)

    def test_recursively_it_reaches_a_configfs_below(
        self, container: Container, tmp_path: Path
    ) -> None:
        def make() -> None:
            syscalls.mount("none", str(tmp_path), "tmpfs")
            (tmp_path / "config").mkdir()
            syscalls.mount("none", str(tmp_path / "config"), "configfs")
            read_only(str(tmp_path), syscalls.AT_RECURSIVE)
            Instance(str(tmp_path / "config")).add(NvmetHost(NQN))

        with errno_is(errno.EROFS):
            container.run(make)


class TestOthers:
    @needs.feature("statmount_by_fd")
    def test_they_are_told_by_statmount_and_belong_to_one_mount(
        self, container: Container, tmp_path: Path
    ) -> None:
        more = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOEXEC

        def look() -> tuple[int, int]:
            syscalls.mount("none", str(tmp_path), "configfs")
            syscalls.mount_setattr(CONFIGFS, add=more)
            return attributes(CONFIGFS) & more, attributes(str(tmp_path)) & more

        assert container.run(look) == (more, 0)

    def test_configfs_cannot_be_mapped_to_other_users(
        self, make_container: Callable[..., Container]
    ) -> None:
        container, owner = make_container(), make_container(user=True, mounted=False)
        users = os.open(f"/proc/{owner.pid}/ns/user", os.O_RDONLY)

        def map_users() -> None:
            context = syscalls.fsopen("configfs")
            syscalls.fsconfig(context, syscalls.FSCONFIG_CMD_CREATE)
            mount = syscalls.fsmount(context)
            syscalls.mount_setattr(
                f"/proc/self/fd/{mount}", add=syscalls.MOUNT_ATTR_IDMAP, userns=users
            )

        try:
            with errno_is(errno.EINVAL):
                container.run(map_users)
        finally:
            os.close(users)

    @pytest.mark.parametrize("unknown", [1 << 63, 1 << 40])
    def test_an_unknown_one_is_refused(self, container: Container, unknown: int) -> None:
        with errno_is(errno.EINVAL):
            container.run(lambda: syscalls.mount_setattr(CONFIGFS, add=unknown))
