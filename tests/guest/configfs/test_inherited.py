# SPDX-License-Identifier: GPL-2.0-only
"""Point 4: a copied namespace keeps seeing what it inherited, until it mounts its own over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from guestlib.nvmet import Instance, NvmetHost
from harness.guestside import needs, syscalls
from harness.guestside.container import Container, How
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET")

NQN = "nqn.2026-01.org.example:inherited"
OTHER = "nqn.2026-01.org.example:other"


def hosts() -> list[str]:
    return Instance().hosts()


def add(nqn: str) -> None:
    Instance().add(NvmetHost(nqn))


class TestPoint4InitialContentInAContainer:
    def test_the_inherited_mount_shows_the_initial_content(
        self, initial: Instance, make_container: Callable[..., Container]
    ) -> None:
        with initial.holding(NvmetHost(NQN)):
            assert make_container(mounted=False).run(hosts) == [NQN]

    def test_what_is_made_through_the_inherited_mount_is_made_in_the_initial_instance(
        self, initial: Instance, make_container: Callable[..., Container]
    ) -> None:
        make_container(mounted=False).run(add, NQN)
        try:
            assert initial.hosts() == [NQN]
        finally:
            initial.clear()

    def test_the_inherited_mount_shows_what_is_made_later(
        self, initial: Instance, make_container: Callable[..., Container]
    ) -> None:
        container = make_container(mounted=False)
        with initial.holding(NvmetHost(NQN)):
            assert container.run(hosts) == [NQN]

    def test_an_own_mount_overlays_it(
        self, initial: Instance, make_container: Callable[..., Container]
    ) -> None:
        with initial.holding(NvmetHost(NQN)):
            container = make_container(mounted=False)
            before = container.run(hosts)
            container.mount_configfs()
            assert (before, container.run(hosts)) == ([NQN], [])

    def test_without_the_own_mount_it_is_in_sight_again(
        self, initial: Instance, make_container: Callable[..., Container]
    ) -> None:
        with initial.holding(NvmetHost(NQN)):
            container = make_container()
            hidden = container.run(hosts)
            container.run(syscalls.umount, CONFIGFS)
            assert (hidden, container.run(hosts)) == ([], [NQN])

    def test_both_are_in_sight_at_different_places(
        self, initial: Instance, make_container: Callable[..., Container], tmp_path: Path
    ) -> None:
        container = make_container(mounted=False)

        def mount_beside() -> tuple[list[str], list[str]]:
            syscalls.mount("none", str(tmp_path), "configfs")
            Instance(str(tmp_path)).add(NvmetHost(OTHER))
            return hosts(), Instance(str(tmp_path)).hosts()

        with initial.holding(NvmetHost(NQN)):
            assert container.run(mount_beside) == ([NQN], [OTHER])


class TestPoint4MountTablesAreApart:
    def test_a_mount_in_a_container_does_not_appear_outside(
        self, make_container: Callable[..., Container], tmp_path: Path
    ) -> None:
        container = make_container()
        container.run(syscalls.mount, "none", str(tmp_path), "configfs")
        assert not tmp_path.is_mount()

    def test_a_mount_outside_does_not_appear_in_a_container(
        self, make_container: Callable[..., Container], tmp_path: Path
    ) -> None:
        container = make_container()
        syscalls.mount("none", str(tmp_path), "configfs")
        try:
            assert not container.run(tmp_path.is_mount)
        finally:
            syscalls.umount(str(tmp_path))

    def test_umount_outside_leaves_the_inherited_mount(
        self, initial: Instance, make_container: Callable[..., Container], configfs: str
    ) -> None:
        with initial.holding(NvmetHost(NQN)):
            container = make_container(mounted=False)
            syscalls.umount(configfs)
            try:
                assert container.run(hosts) == [NQN]
            finally:
                syscalls.mount("none", configfs, "configfs")


class TestPoint4ContainersInContainers:
    def test_a_copy_of_a_containers_namespace_sees_that_containers_instance(
        self, container: Container, initial: Instance
    ) -> None:
        def look_from_a_copy() -> list[str]:
            add(NQN)
            with Container() as inner:
                return inner.run(hosts)

        assert container.run(look_from_a_copy) == [NQN]
        assert initial.hosts() == [], "it is the initial instance"

    def test_its_own_mount_is_a_third_instance(
        self, container: Container, initial: Instance
    ) -> None:
        def nest() -> tuple[list[str], list[str]]:
            add(NQN)
            with Container() as inner:
                inner.mount_configfs()
                empty = inner.run(hosts)
                inner.run(add, OTHER)
                return empty, hosts()

        assert container.run(nest) == ([], [NQN])
        assert initial.hosts() == []

    def test_a_task_that_joins_a_container_sees_its_instance(
        self, container: Container, initial: Instance
    ) -> None:
        # Container.run joins by setns(): what one task made another one finds.
        container.run(add, NQN)
        assert container.run(hosts) == [NQN]
        assert initial.hosts() == []

    def test_a_namespace_copied_twice_by_different_calls_sees_the_same(
        self, container: Container, initial: Instance
    ) -> None:
        def nest() -> list[list[str]]:
            add(NQN)
            found = []
            for how in (How.UNSHARE, How.CLONE3):
                with Container(how) as inner:
                    found.append(inner.run(hosts))
            return found

        assert container.run(nest) == [[NQN], [NQN]]
        assert initial.hosts() == []
