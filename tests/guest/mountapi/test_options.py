# SPDX-License-Identifier: GPL-2.0-only
"""Points 3 and 9: the first mount of an instance decides nothing for the others.

Read-only, the root's attributes, and a file system context that wanders between namespaces.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from guestlib.instances import INSTANCES, check_own
from guestlib.nvmet import Instance, NvmetHost, Subsystem, loop_port
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container, mount_configfs
from harness.guestside.expect import errno_is
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET")

NQN = "nqn.2026-01.org.example:options"
OTHER = "nqn.2026-01.org.example:other"
ROUNDS = 4


def hosts(where: str = CONFIGFS) -> list[str]:
    return Instance(where).hosts()


def add(where: str = CONFIGFS) -> None:
    Instance(where).add(NvmetHost(NQN))


def mount_read_only(where: str = CONFIGFS) -> None:
    syscalls.mount("none", where, "configfs", syscalls.MS_RDONLY)


def context_with(*flags: str) -> int:
    """A context with flags set, and its superblock made; to be mounted and closed."""
    context = syscalls.fsopen("configfs")
    for flag in flags:
        syscalls.fsconfig(context, syscalls.FSCONFIG_SET_FLAG, flag)
    syscalls.fsconfig(context, syscalls.FSCONFIG_CMD_CREATE)
    return context


class TestPoint3ReadOnlyFirst:
    """A mount can be read-only; the instance behind it is not, whoever comes first."""

    @pytest.fixture
    def bare(self, make_container: Callable[..., Container]) -> Container:
        """A container that has not mounted configfs yet."""
        return make_container(mounted=False)

    def test_a_second_mount_can_be_written(
        self, bare: Container, initial: Instance, tmp_path: Path
    ) -> None:
        def mount_both() -> list[list[str]]:
            mount_read_only()
            syscalls.mount("none", str(tmp_path), "configfs")
            add(str(tmp_path))
            with errno_is(errno.EROFS):
                Instance().add(NvmetHost(OTHER))
            return [hosts(), hosts(str(tmp_path))]

        assert bare.run(mount_both) == [[NQN], [NQN]]
        assert initial.hosts() == [], "it is the initial instance"

    def test_it_is_the_same_instance_as_a_writable_one_before(
        self, container: Container, tmp_path: Path
    ) -> None:
        def mount_second() -> list[str]:
            add()
            mount_read_only(str(tmp_path))
            with errno_is(errno.EROFS):
                Instance(str(tmp_path)).add(NvmetHost(OTHER))
            Instance().add(NvmetHost(OTHER))
            return hosts(str(tmp_path))

        check_own(container)
        assert container.run(mount_second) == sorted([NQN, OTHER])

    def test_the_flag_of_a_context_is_for_no_mount(
        self, bare: Container, initial: Instance, tmp_path: Path
    ) -> None:
        """A mount is read-only by an attribute of fsmount(2)."""

        def make() -> list[str]:
            context = context_with("ro")
            mount = syscalls.fsmount(context)
            os.close(context)
            syscalls.move_mount(mount, str(tmp_path))
            os.close(mount)
            add(str(tmp_path))
            return hosts(str(tmp_path))

        assert bare.run(make) == [NQN]
        assert initial.hosts() == [], "it is the initial instance"

    def test_all_mounts_are_once_somebody_says_so_of_the_superblock(
        self, container: Container, tmp_path: Path
    ) -> None:
        def remount(flag: str) -> None:
            context = syscalls.fspick(CONFIGFS)
            syscalls.fsconfig(context, syscalls.FSCONFIG_SET_FLAG, flag)
            syscalls.fsconfig(context, syscalls.FSCONFIG_CMD_RECONFIGURE)
            os.close(context)

        def switch() -> list[str]:
            syscalls.mount("none", str(tmp_path), "configfs")
            remount("ro")
            for place in (CONFIGFS, str(tmp_path)):
                with errno_is(errno.EROFS):
                    add(place)
            remount("rw")
            add(str(tmp_path))
            return hosts()

        check_own(container)
        assert container.run(switch) == [NQN]

    def test_the_next_instance_is_not(self, container: Container) -> None:
        def come_again() -> list[str]:
            syscalls.mount("none", CONFIGFS, "", syscalls.MS_REMOUNT | syscalls.MS_RDONLY)
            syscalls.umount(CONFIGFS)
            mount_configfs()
            add()
            return hosts()

        check_own(container)
        assert container.run(come_again) == [NQN]


class TestPoint3Root:
    """Mode and owner of the root directory: the instance's, and gone with it."""

    def change(self, where: str = CONFIGFS) -> None:
        os.chmod(where, 0o711)  # noqa: PTH101
        os.chown(where, 1, 2)

    def read(self, where: str = CONFIGFS) -> tuple[int, int, int]:
        found = Path(where).stat()
        return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid

    def test_they_are_the_same_at_every_mount(self, container: Container, tmp_path: Path) -> None:
        def change_and_mount() -> tuple[int, int, int]:
            self.change()
            syscalls.mount("none", str(tmp_path), "configfs")
            return self.read(str(tmp_path))

        check_own(container)
        before = self.read()
        assert container.run(change_and_mount) == (0o711, 1, 2)
        assert self.read() == before, "changed outside as well"

    def test_they_start_anew_with_the_next_instance(self, container: Container) -> None:
        def change_and_come_again() -> list[tuple[int, int, int]]:
            found = [self.read()]
            for _ in range(3):
                self.change()
                syscalls.umount(CONFIGFS)
                mount_configfs()
                found.append(self.read())
            return found

        check_own(container)
        assert set(container.run(change_and_come_again)) == {(0o755, 0, 0)}

    def test_those_of_an_item_are_its_own_and_start_anew(self, container: Container) -> None:
        folder = f"{CONFIGFS}/nvmet/hosts"

        def change_and_come_again() -> list[tuple[int, int, int]]:
            self.change(folder)
            found = [self.read(folder), self.read()]
            syscalls.umount(CONFIGFS)
            mount_configfs()
            return [*found, self.read(folder)]

        check_own(container)
        changed, usual = (0o711, 1, 2), (0o755, 0, 0)
        assert container.run(change_and_come_again) == [changed, usual, usual]


class TestPoint9ContextsThatWander:
    """The namespace of fsopen(2) is what counts, whoever uses the context."""

    @pytest.mark.parametrize("back", [False, True], ids=["in the other", "back home"])
    def test_a_context_of_one_namespace_used_in_another(
        self, make_container: Callable[..., Container], initial: Instance, *, back: bool
    ) -> None:
        maker, user = make_container(), make_container()
        maker.run(add)
        user.run(lambda: Instance().add(NvmetHost(OTHER)))
        other = os.open(f"/proc/{user.pid}/ns/mnt", os.O_RDONLY)

        def open_and_leave() -> list[str]:
            home = os.open("/proc/self/ns/mnt", os.O_RDONLY)
            context = syscalls.fsopen("configfs")
            syscalls.setns(other, syscalls.CLONE_NEWNS)
            if back:
                syscalls.setns(home, syscalls.CLONE_NEWNS)
            syscalls.fsconfig(context, syscalls.FSCONFIG_CMD_CREATE)
            mount = syscalls.fsmount(context)
            return os.listdir(f"/proc/self/fd/{mount}/nvmet/hosts")  # noqa: PTH208

        try:
            assert maker.run(open_and_leave) == [NQN]
        finally:
            os.close(other)
        assert initial.hosts() == [], "it is the initial instance"

    @needs.config("CONFIG_NVME_TARGET_DEBUGFS")
    def test_a_context_that_outlives_its_namespace_makes_an_instance_of_that(
        self, make_container: Callable[..., Container], initial: Instance
    ) -> None:
        """Nobody else's, and it ends with its mount."""
        container = make_container()

        def open_and_leave() -> tuple[int, list[str], list[str]]:
            home = os.open("/proc/self/ns/mnt", os.O_RDONLY)
            syscalls.unshare(syscalls.CLONE_NEWNS)
            number = syscalls.mount_namespace_id()
            context = syscalls.fsopen("configfs")
            syscalls.setns(home, syscalls.CLONE_NEWNS)  # the other one ends here
            syscalls.fsconfig(context, syscalls.FSCONFIG_CMD_CREATE)
            mount = syscalls.fsmount(context)
            os.close(context)
            inside = os.listdir(f"/proc/self/fd/{mount}/nvmet/hosts")  # noqa: PTH208
            shown = sorted(entry.name for entry in INSTANCES.iterdir())
            os.close(mount)
            return number, inside, shown

        container.run(add)
        number, inside, shown = container.run(open_and_leave)
        assert inside == [], "somebody's instance"
        assert shown == sorted([str(container.mount_namespace()), str(number)])
        wait.until(lambda: not (INSTANCES / str(number)).exists(), "the instance to be gone")
        assert initial.hosts() == [], "it is the initial instance"

    def test_contexts_that_outlive_an_instance_make_the_next_ones(
        self, container: Container
    ) -> None:
        """What belongs to the namespace is one and the same then, what was in there is not."""
        check_own(container)

        def come_again() -> list[list[str]]:
            contexts, found = [syscalls.fsopen("configfs") for _ in range(ROUNDS)], []
            for context in contexts:
                add()
                Instance().add(Subsystem(NQN, hosts=(NQN,)), loop_port(1, NQN, name="options"))
                os.chmod(CONFIGFS, 0o711)  # noqa: PTH101
                syscalls.umount(CONFIGFS)
                syscalls.fsconfig(context, syscalls.FSCONFIG_CMD_CREATE)
                mount = syscalls.fsmount(context)
                os.close(context)
                syscalls.move_mount(mount, CONFIGFS)
                os.close(mount)
                found.append(hosts() + Instance().subsystems() + Instance().ports())
                assert stat.S_IMODE(Path(CONFIGFS).stat().st_mode) == 0o755
            return found

        assert container.run(come_again) == [[]] * ROUNDS

    @needs.config("CONFIG_NVME_TARGET_DEBUGFS")
    def test_a_context_alone_makes_none(self, make_container: Callable[..., Container]) -> None:
        container = make_container(mounted=False)

        def open_one() -> bool:
            context = syscalls.fsopen("configfs")
            there = (INSTANCES / str(syscalls.mount_namespace_id())).exists()
            syscalls.fsconfig(context, syscalls.FSCONFIG_CMD_CREATE)
            made = (INSTANCES / str(syscalls.mount_namespace_id())).exists()
            os.close(context)
            return made and not there

        assert container.run(open_one)
