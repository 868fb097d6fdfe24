# SPDX-License-Identifier: GPL-2.0-only
"""Points 8 and 10: how long an instance lives, and that its identity is unique."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from guestlib.instances import INSTANCES, check_own
from guestlib.nvmet import AnaGroup, Instance, Namespace, NvmetHost, Port, Referral, Subsystem
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container, How, mount_configfs
from harness.guestside.expect import errno_is
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET")

NQN = "nqn.2026-01.org.example:lifetime"
OTHER = "nqn.2026-01.org.example:other"
ROUNDS = 30


def hosts(where: str = CONFIGFS) -> list[str]:
    return Instance(where).hosts()


def add(nqn: str = NQN) -> None:
    Instance().add(NvmetHost(nqn))


def umount_and_mount() -> None:
    syscalls.umount(CONFIGFS)
    mount_configfs()


class TestPoint8LivesWhileMounted:
    def test_after_its_last_umount_a_mount_gives_an_empty_instance(
        self, container: Container
    ) -> None:
        container.run(add)
        container.run(umount_and_mount)
        assert container.run(hosts) == [], "the configuration outlived its last mount"

    def test_while_mounted_elsewhere_it_keeps_its_configuration(
        self, container: Container, initial: Instance, tmp_path: Path
    ) -> None:
        container.run(add)
        container.run(syscalls.mount, "none", str(tmp_path), "configfs")
        container.run(umount_and_mount)
        assert container.run(hosts) == [NQN]
        assert initial.hosts() == [], "it is the initial instance"

    def test_a_bind_mount_of_a_part_keeps_it(
        self, container: Container, initial: Instance, tmp_path: Path
    ) -> None:
        part = f"{CONFIGFS}/nvmet/hosts"
        container.run(add)
        container.run(syscalls.mount, part, str(tmp_path), "", syscalls.MS_BIND)
        container.run(umount_and_mount)
        assert container.run(hosts) == [NQN]
        assert initial.hosts() == [], "it is the initial instance"

    def test_a_copied_namespace_keeps_it_when_its_maker_is_gone(
        self, make_container: Callable[..., Container], initial: Instance
    ) -> None:
        maker = make_container()
        maker.run(add)
        read, write = os.pipe2(os.O_CLOEXEC)
        task = maker.begin(copy_namespace_and_wait, read)
        places = {syscalls.mount_namespace_id(), maker.mount_namespace()}
        wait.until(
            lambda: syscalls.mount_namespace_id(f"/proc/{task.pid}/ns/mnt") not in places,
            "the task to be in a namespace of its own",
        )
        maker.destroy()
        os.close(read)
        os.write(write, b"go on")
        os.close(write)
        assert task.result() == [NQN]
        assert initial.hosts() == [], "it is the initial instance"

    def test_an_open_folder_keeps_a_lazily_unmounted_instance(
        self, container: Container, initial: Instance
    ) -> None:
        def detach_and_look() -> tuple[list[str], list[str]]:
            add()
            folder = os.open(f"{CONFIGFS}/nvmet/hosts", os.O_RDONLY)
            syscalls.umount(CONFIGFS, syscalls.MNT_DETACH)
            held = os.listdir(folder)  # noqa: PTH208
            os.close(folder)
            mount_configfs()
            return held, hosts()

        assert container.run(detach_and_look) == ([NQN], [])
        assert initial.hosts() == []

    def test_it_cannot_be_unmounted_under_an_open_folder(self, container: Container) -> None:
        def umount_held() -> None:
            folder = os.open(f"{CONFIGFS}/nvmet", os.O_RDONLY)
            try:
                syscalls.umount(CONFIGFS)
            finally:
                os.close(folder)

        with errno_is(errno.EBUSY):
            container.run(umount_held)

    def test_the_initial_instance_persists_when_it_is_mounted_nowhere_in_sight(
        self,
        initial: Instance,
        configfs: str,
        make_container: Callable[..., Container],
    ) -> None:
        make_container(mounted=False).run(syscalls.umount, CONFIGFS)
        initial.add(NvmetHost(NQN))
        syscalls.umount(configfs)
        syscalls.mount("none", configfs, "configfs")
        kept = initial.hosts()
        initial.clear()
        assert kept == [NQN]


def copy_namespace_and_wait(pipe: int) -> list[str]:
    """In a copy of the container's namespace, read what is inherited when told to."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    os.read(pipe, 10)
    return hosts()


class TestPoint8TornDown:
    def test_every_round_of_mount_make_and_umount_starts_empty(
        self, container: Container, initial: Instance
    ) -> None:
        def rounds() -> list[list[str]]:
            found: list[list[str]] = []
            while len(found) < ROUNDS and not any(found):
                add()
                umount_and_mount()
                found.append(hosts())
            return found

        assert container.run(rounds) == [[]] * ROUNDS
        assert initial.hosts() == []

    def test_umount_with_items_and_links_in_it_succeeds(
        self, container: Container, initial: Instance
    ) -> None:
        port = Port(
            1,
            "loop",
            "lifetime",
            subsystems=(NQN,),
            referrals=(Referral("one", "tcp", "192.0.2.1", "4420", "ipv4"),),
            ana_groups=(AnaGroup(2, "inaccessible"),),
        )
        full = (NvmetHost(NQN), Subsystem(NQN, hosts=(NQN,)), Subsystem(OTHER), port)
        container.run(lambda: Instance().add(*full))
        container.run(umount_and_mount)
        assert container.run(hosts) == []
        assert initial.subsystems() == []


class TestPoint10Identity:
    def test_no_new_namespace_gets_an_instance_that_was(
        self, initial: Instance, container: Container
    ) -> None:
        """Each one lives on, held by a descriptor, so that it could be found under its id."""

        def generations() -> list[list[str]]:
            found: list[list[str]] = []
            held: list[int] = []
            while len(found) < ROUNDS and not any(found):
                held.append(syscalls.open_tree(CONFIGFS, syscalls.OPEN_TREE_CLONE))
                syscalls.unshare(syscalls.CLONE_NEWNS)  # the one before ends here
                mount_configfs()
                found.append(hosts())
                if not found[-1]:
                    add()
            return found

        check_own(container)
        container.run(add)
        assert container.run(generations) == [[]] * ROUNDS
        assert initial.hosts() == []

    @needs.config("CONFIG_NVME_TARGET_DEBUGFS")
    def test_an_instance_has_the_id_of_its_namespace_and_none_comes_twice(self) -> None:
        """debugfs shows it.  Numbers of inodes, say, are also unique, but only while they last."""
        seen = []
        for _ in range(5):
            with Container() as container:
                there = shown()
                container.mount_configfs()
                (new,) = shown() - there or {"none"}
                assert new == str(container.mount_namespace())
                seen.append(int(new))
        assert seen == sorted(set(seen)), "an id came twice or went down"

    def test_an_instance_that_outlives_its_namespace_is_nobody_elses(
        self, make_container: Callable[..., Container], initial: Instance
    ) -> None:
        # Its maker's namespace ends; a bind mount in another namespace keeps the instance.
        keeper = make_container(mounted=False)

        def make_in_a_copy() -> None:
            home = os.open("/proc/self/ns/mnt", os.O_RDONLY)
            syscalls.unshare(syscalls.CLONE_NEWNS)
            mount_configfs()
            add()
            mount = syscalls.open_tree(CONFIGFS, syscalls.OPEN_TREE_CLONE)
            syscalls.setns(home, syscalls.CLONE_NEWNS)  # the other one ends here
            syscalls.move_mount(mount, CONFIGFS)

        keeper.run(make_in_a_copy)
        assert keeper.run(hosts) == [NQN]
        keeper.mount_configfs()
        assert keeper.run(hosts) == [], "the keeper's own instance is the dead maker's"
        keeper.run(add, OTHER)
        assert make_container(How.CLONE3).run(hosts) == []
        assert initial.hosts() == []


def shown() -> set[str]:
    """The ids of all instances but the initial one."""
    return {entry.name for entry in INSTANCES.iterdir()} if INSTANCES.is_dir() else set()


def test_a_namespace_is_gone_soon_after_its_task() -> None:
    with Container() as container:
        number = container.mount_namespace()
        assert number in syscalls.listns(syscalls.CLONE_NEWNS)
    wait.until(
        lambda: number not in syscalls.listns(syscalls.CLONE_NEWNS),
        f"mount namespace {number} to be gone",
    )


@needs.config("CONFIG_NVME_TARGET")
class TestPoint8NothingPinsItself:
    """An instance that kept itself alive could never be reached again."""

    @pytest.mark.parametrize("whose", ["own", "another's", "the initial"])
    def test_no_attribute_can_be_a_disk(
        self, make_container: Callable[..., Container], whose: str
    ) -> None:
        container, other = make_container(), make_container()
        check_own(container)
        places = {
            "own": CONFIGFS,
            "another's": f"{other.root}{CONFIGFS}",
            "the initial": f"/proc/{os.getpid()}/root{CONFIGFS}",
        }
        file = f"{places[whose]}/nvmet/discovery_nqn"
        with pytest.raises(OSError, match="enable") as caught:
            container.run(lambda: Instance().add(Subsystem(NQN, (Namespace(file, buffered=True),))))
        assert caught.value.errno == errno.EINVAL

    @needs.config("CONFIG_OVERLAY_FS", "CONFIG_NVME_TARGET_DEBUGFS")
    def test_no_overlay_lies_on_it(self, container: Container, tmp_path: Path) -> None:
        """A file of the overlay would hold it, wherever that file lies."""
        check_own(container)
        folder = INSTANCES / str(container.mount_namespace())
        assert folder.is_dir()

        def overlay() -> None:
            syscalls.mount("none", str(tmp_path), "tmpfs")
            for name in ("upper", "work", "merged"):
                (tmp_path / name).mkdir()
            syscalls.mount(
                "none",
                str(tmp_path / "merged"),
                "overlay",
                0,
                f"lowerdir={CONFIGFS}/nvmet,upperdir={tmp_path}/upper,workdir={tmp_path}/work",
            )

        with pytest.raises(OSError, match="overlay") as caught:
            container.run(overlay)
        assert caught.value.errno == errno.EINVAL
        container.destroy()
        wait.until(lambda: not folder.exists(), "the instance to be gone")
