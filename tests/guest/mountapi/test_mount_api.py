# SPDX-License-Identifier: GPL-2.0-only
"""Points 9 and 11: every way into a namespace, the new mount API, and who may mount."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from guestlib.nvmet import Instance, NvmetHost
from harness.guestside import needs, syscalls
from harness.guestside.container import Container, How, mount_configfs
from harness.guestside.expect import errno_is
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET")

NQN = "nqn.2026-01.org.example:mountapi"
CONFIGFS_MAGIC = 0x62656570
WAYS = [
    pytest.param(How.UNSHARE),
    pytest.param(How.CLONE3),
    pytest.param(How.SETNS),
    pytest.param(How.OPEN_TREE, marks=needs.feature("open_tree_namespace")),
]


def hosts(where: str = CONFIGFS) -> list[str]:
    return Instance(where).hosts()


def add(where: str = CONFIGFS) -> None:
    Instance(where).add(NvmetHost(NQN))


def detached(attributes: int = 0, command: int = syscalls.FSCONFIG_CMD_CREATE) -> int:
    """A configfs mount that is not attached yet, made with fsopen, fsconfig and fsmount."""
    context = syscalls.fsopen("configfs")
    try:
        syscalls.fsconfig(context, command)
        return syscalls.fsmount(context, attributes)
    finally:
        os.close(context)


class TestPoint9WaysIntoANamespace:
    @pytest.mark.parametrize("how", WAYS)
    def test_the_namespace_has_an_instance_of_its_own(
        self, make_container: Callable[..., Container], initial: Instance, how: How
    ) -> None:
        container = make_container(how)
        container.run(add)
        assert container.run(hosts) == [NQN]
        assert initial.hosts() == [], "made in the initial instance"

    @pytest.mark.parametrize("how", WAYS)
    def test_the_initial_content_is_in_sight_before(
        self, make_container: Callable[..., Container], initial: Instance, how: How
    ) -> None:
        with initial.holding(NvmetHost(NQN)):
            assert make_container(how, mounted=False).run(hosts) == [NQN]

    @pytest.mark.parametrize("how", WAYS)
    def test_all_other_namespaces_may_be_new_as_well(
        self, make_container: Callable[..., Container], initial: Instance, how: How
    ) -> None:
        container = make_container(how, network=True, pid=True, uts=True)
        container.run(add)
        assert container.run(hosts) == [NQN]
        assert initial.hosts() == [], "made in the initial instance"

    @needs.feature("open_tree_namespace")
    def test_an_open_tree_namespace_of_an_empty_root_mounts_its_own(
        self, initial: Instance, tmp_path: Path
    ) -> None:
        # A container as a runtime makes it: nothing but an empty root, no inherited configfs.
        (tmp_path / "config").mkdir()

        def enter_and_make() -> list[str]:
            fd = syscalls.open_tree(str(tmp_path), syscalls.OPEN_TREE_NAMESPACE)
            syscalls.setns(fd, syscalls.CLONE_NEWNS)
            os.close(fd)
            mount_configfs("/config")
            add("/config")
            return hosts("/config")

        with Container() as container:
            assert container.run(enter_and_make) == [NQN]
        assert initial.hosts() == [], "made in the initial instance"


class TestPoint9NewMountApi:
    def test_fsmount_and_move_mount_give_the_namespaces_instance(
        self, make_container: Callable[..., Container], initial: Instance
    ) -> None:
        container = make_container(mounted=False)

        def mount_and_make() -> list[str]:
            mount = detached()
            try:
                syscalls.umount(CONFIGFS, syscalls.MNT_DETACH)  # the inherited one
                syscalls.move_mount(mount, CONFIGFS)
            finally:
                os.close(mount)
            add()
            return hosts()

        assert container.run(mount_and_make) == [NQN]
        assert initial.hosts() == [], "made in the initial instance"

    def test_both_apis_give_the_same_instance(
        self, container: Container, initial: Instance, tmp_path: Path
    ) -> None:
        def mount_the_other_way() -> list[str]:
            add()
            mount = detached()
            syscalls.move_mount(mount, str(tmp_path))
            os.close(mount)
            return hosts(str(tmp_path))

        assert container.run(mount_the_other_way) == [NQN]
        assert initial.hosts() == [], "it is the initial instance"

    def test_in_the_initial_namespace_it_gives_the_initial_instance(
        self, initial: Instance, tmp_path: Path
    ) -> None:
        with initial.holding(NvmetHost(NQN)):
            mount = detached()
            try:
                assert os.listdir(f"/proc/self/fd/{mount}/nvmet/hosts") == [NQN]  # noqa: PTH208
            finally:
                os.close(mount)

    def test_an_exclusive_create_is_refused_once_the_instance_exists(
        self, make_container: Callable[..., Container]
    ) -> None:
        container = make_container(mounted=False)

        def create_twice() -> list[str]:
            return [exclusive(), exclusive()]

        def exclusive() -> str:
            try:
                kept.append(detached(command=syscalls.FSCONFIG_CMD_CREATE_EXCL))
            except OSError as error:
                return errno.errorcode[error.errno or 0]
            return "created"

        kept: list[int] = []
        assert container.run(create_twice) == ["created", "EBUSY"]

    def test_a_detached_instance_lives_as_long_as_its_descriptor(
        self, make_container: Callable[..., Container], initial: Instance
    ) -> None:
        container = make_container(mounted=False)

        def hold_and_let_go() -> list[list[str]]:
            mount = detached()
            found = []
            (Path(f"/proc/self/fd/{mount}") / "nvmet/hosts" / NQN).mkdir()
            for _ in range(2):
                again = detached()
                found.append(os.listdir(f"/proc/self/fd/{again}/nvmet/hosts"))  # noqa: PTH208
                os.close(again)
                if mount >= 0:
                    os.close(mount)
                    mount = -1
            return found

        assert container.run(hold_and_let_go) == [[NQN], []]
        assert initial.hosts() == [], "it is the initial instance"

    def test_a_read_only_mount_refuses_new_items(self, container: Container) -> None:
        def make_read_only() -> None:
            mount = detached(syscalls.MOUNT_ATTR_RDONLY)
            try:
                (Path(f"/proc/self/fd/{mount}") / "nvmet/hosts" / NQN).mkdir()
            finally:
                os.close(mount)

        with errno_is(errno.EROFS):
            container.run(make_read_only)


@needs.feature("statmount_by_fd")
class TestPoint9Statmount:
    def test_an_attached_mount_tells_its_place_and_namespace(self, container: Container) -> None:
        def look() -> syscalls.MountInfo:
            folder = os.open(f"{CONFIGFS}/nvmet", os.O_PATH)
            try:
                return syscalls.statmount(fd=folder)
            finally:
                os.close(folder)

        info = container.run(look)
        assert (info.fs_type, info.magic) == ("configfs", CONFIGFS_MAGIC)
        assert info.point == CONFIGFS
        assert info.namespace == container.mount_namespace()

    def test_a_detached_mount_tells_neither(self, container: Container) -> None:
        def look() -> syscalls.MountInfo:
            folder = os.open(CONFIGFS, os.O_PATH)
            try:
                syscalls.umount(CONFIGFS, syscalls.MNT_DETACH)
                return syscalls.statmount(fd=folder)
            finally:
                os.close(folder)

        info = container.run(look)
        assert info.fs_type == "configfs"
        assert not info.mask & (syscalls.STATMOUNT_MNT_POINT | syscalls.STATMOUNT_MNT_NS_ID)

    def test_listmount_finds_the_containers_own_mount_in_its_namespace(
        self, container: Container, initial: Instance
    ) -> None:
        number = container.mount_namespace()
        infos = [
            syscalls.statmount(mount, namespace=number)
            for mount in syscalls.listmount(namespace=number)
        ]
        devices = {info.device[1] for info in infos if info.fs_type == "configfs"}
        outside = initial.root.stat().st_dev
        # The inherited mount below is the initial instance's; the one above is not.
        assert outside in devices
        assert len(devices) == 2, f"configfs mounts inside are of devices {sorted(devices)}"


class TestPoint11Privilege:
    @pytest.mark.parametrize("how", WAYS)
    def test_root_of_a_user_namespace_may_not_mount(
        self, make_container: Callable[..., Container], tmp_path: Path, how: How
    ) -> None:
        container = make_container(how, mounted=False, user=True)
        with errno_is(errno.EPERM):
            container.run(syscalls.mount, "none", str(tmp_path), "configfs")

    def test_root_of_a_user_namespace_may_not_use_the_new_api(
        self, make_container: Callable[..., Container]
    ) -> None:
        container = make_container(mounted=False, user=True)
        with errno_is(errno.EPERM):
            container.run(detached)

    def test_a_user_without_privilege_may_not_mount(
        self, make_container: Callable[..., Container]
    ) -> None:
        container = make_container(mounted=False)

        def mount_as_nobody() -> None:
            os.setresuid(65534, 65534, 65534)
            syscalls.mount("none", "/sys/kernel/debug", "configfs")

        with errno_is(errno.EPERM):
            container.run(mount_as_nobody)

    def test_root_of_the_initial_user_namespace_may(
        self, make_container: Callable[..., Container], tmp_path: Path
    ) -> None:
        container = make_container(mounted=False)
        container.run(syscalls.mount, "none", str(tmp_path), "configfs")
        assert container.run(lambda: sorted(p.name for p in (tmp_path / "nvmet").iterdir())) == [
            "discovery_nqn",
            "hosts",
            "ports",
            "subsystems",
        ]
