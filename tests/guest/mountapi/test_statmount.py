# SPDX-License-Identifier: GPL-2.0-only
"""statmount(STATMOUNT_BY_FD) and listmount() on configfs, attached to a namespace and detached.

By descriptor a mount is described wherever it is.  What has no meaning for a detached one, where
it lies and in which namespace, is missing from the mask of the answer.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import pytest

from harness.guestside import needs, syscalls
from harness.guestside.container import Container
from harness.guestside.expect import errno_is
from harness.guestside.kernelfiles import CONFIGFS
from harness.guestside.syscalls import MountInfo

pytestmark = [
    needs.feature("statmount_by_fd"),
    needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET"),
]

PLACE = syscalls.STATMOUNT_MNT_POINT | syscalls.STATMOUNT_MNT_NS_ID
MAGIC = 0x62656570


def at(path: str) -> MountInfo:
    fd = os.open(path, os.O_PATH)
    try:
        return syscalls.statmount(fd=fd)
    finally:
        os.close(fd)


def made_not_attached() -> MountInfo:
    """A mount made with fsmount() that has not been attached."""
    context = syscalls.fsopen("configfs")
    syscalls.fsconfig(context, syscalls.FSCONFIG_CMD_CREATE)
    mount = syscalls.fsmount(context)
    try:
        return syscalls.statmount(fd=mount)
    finally:
        os.close(mount)
        os.close(context)


def lazily_unmounted() -> MountInfo:
    fd = os.open(f"{CONFIGFS}/nvmet", os.O_PATH)
    try:
        syscalls.umount(CONFIGFS, syscalls.MNT_DETACH)
        return syscalls.statmount(fd=fd)
    finally:
        os.close(fd)


class TestAttached:
    @pytest.mark.parametrize("below", ["", "/nvmet", "/nvmet/hosts", "/nvmet/discovery_nqn"])
    def test_any_descriptor_on_the_mount_will_do(self, container: Container, below: str) -> None:
        info = container.run(at, CONFIGFS + below)
        assert (info.fs_type, info.magic, info.root) == ("configfs", MAGIC, "/")
        assert (info.point, info.namespace) == (CONFIGFS, container.mount_namespace())
        assert info.mask & PLACE == PLACE

    def test_it_says_what_statmount_by_id_says(self, container: Container) -> None:
        def both() -> tuple[MountInfo, MountInfo]:
            by_fd = at(CONFIGFS)
            return by_fd, syscalls.statmount(by_fd.id)

        by_fd, by_id = container.run(both)
        assert by_fd == by_id

    def test_its_device_is_the_instances(self, container: Container) -> None:
        def both() -> tuple[tuple[int, int], int]:
            return at(CONFIGFS).device, os.stat(CONFIGFS).st_dev  # noqa: PTH116

        device, number = container.run(both)
        assert device == (os.major(number), os.minor(number))

    def test_each_instance_is_a_device_and_a_mount_of_its_own(
        self, make_container: Callable[..., Container], configfs: str
    ) -> None:
        infos = [make_container().run(at, CONFIGFS) for _ in range(3)] + [at(configfs)]
        assert len({info.device for info in infos}) == 4
        assert len({info.id for info in infos}) == 4

    def test_of_a_bind_mount_it_tells_the_root_of_the_part(
        self, container: Container, tmp_path: os.PathLike[str]
    ) -> None:
        def bind() -> MountInfo:
            syscalls.mount(f"{CONFIGFS}/nvmet/hosts", str(tmp_path), "", syscalls.MS_BIND)
            return at(str(tmp_path))

        info = container.run(bind)
        assert (info.root, info.point) == ("/nvmet/hosts", str(tmp_path))

    def test_a_descriptor_is_enough_without_privilege(self, container: Container) -> None:
        def as_nobody() -> tuple[MountInfo, int]:
            fd = os.open(CONFIGFS, os.O_PATH)
            os.setresuid(65534, 65534, 65534)
            return syscalls.statmount(fd=fd), fd

        assert container.run(as_nobody)[0].fs_type == "configfs"

    def test_a_descriptor_from_another_namespace_is_described_as_well(
        self, container: Container
    ) -> None:
        info = at(f"{container.root}{CONFIGFS}")
        assert (info.fs_type, info.namespace) == ("configfs", container.mount_namespace())

    def test_a_number_that_is_no_descriptor_is_refused(self) -> None:
        with errno_is(errno.EBADF):
            syscalls.statmount(fd=1 << 20)


class TestDetached:
    def test_it_has_no_place_and_no_namespace(self, container: Container) -> None:
        info = container.run(lazily_unmounted)
        assert not info.mask & syscalls.STATMOUNT_MNT_POINT, f"it lies at {info.point!r}"
        assert not info.mask & syscalls.STATMOUNT_MNT_NS_ID, f"namespace {info.namespace}"

    def test_what_it_is_can_be_told_still(self, container: Container) -> None:
        info = container.run(lazily_unmounted)
        assert (info.fs_type, info.magic, info.root) == ("configfs", MAGIC, "/")

    def test_it_is_in_no_list(self, container: Container) -> None:
        def look() -> tuple[int, list[int]]:
            info = lazily_unmounted()
            return info.id, syscalls.listmount()

        number, listed = container.run(look)
        assert number not in listed

    def test_of_one_that_was_never_attached_no_place_is_told_either(
        self, container: Container
    ) -> None:
        # It lies in a namespace that nobody can enter.  7.2 does not describe it at all (ENOENT);
        # what the documents promise is for mounts that were attached once.
        def look() -> int:
            try:
                return made_not_attached().mask & syscalls.STATMOUNT_MNT_POINT
            except FileNotFoundError:
                return 0

        assert container.run(look) == 0


class TestListmount:
    def test_an_own_mount_lies_upon_the_inherited_one(self, container: Container) -> None:
        def look() -> list[tuple[str, int, int]]:
            listed = [syscalls.statmount(number) for number in syscalls.listmount()]
            return [(i.point, i.id, i.parent) for i in listed if i.fs_type == "configfs"]

        inherited, own = container.run(look)
        assert inherited[0] == own[0] == CONFIGFS
        assert own[2] == inherited[1], "its parent is not the inherited mount"

    def test_mounts_are_listed_in_the_order_they_were_made(
        self, container: Container, tmp_path: os.PathLike[str]
    ) -> None:
        def look() -> list[int]:
            syscalls.mount("none", str(tmp_path), "configfs")
            return syscalls.listmount()

        listed = container.run(look)
        assert listed == sorted(listed)

    def test_a_user_without_privilege_cannot_look_into_another_namespace(
        self, container: Container
    ) -> None:
        number = container.mount_namespace()

        def as_nobody() -> list[int]:
            os.setresuid(65534, 65534, 65534)
            return syscalls.listmount(namespace=number)

        with Container() as other, errno_is(errno.EPERM, errno.ENOENT):
            other.run(as_nobody)
