# SPDX-License-Identifier: GPL-2.0-only
"""Points 1 to 3: an instance for each mount namespace that mounts configfs, and only one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from guestlib.nvmet import Instance, NvmetHost, NvmetValue, Subsystem, loop_port
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container, mount_configfs
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET")

NQN = "nqn.2026-01.org.example:instances"
KINDS = [
    pytest.param(NvmetHost(NQN), id="host"),
    pytest.param(Subsystem(NQN), id="subsystem"),
    pytest.param(loop_port(1), id="port"),
]
MANY = 200


def everything(instance: Instance | None = None) -> list[str]:
    """Names of all items in an instance that users created (the caller's own if none is given)."""
    there = instance or Instance()
    return there.hosts() + there.subsystems() + there.ports()


class TestPoint1NewInstance:
    def test_mounting_over_the_inherited_mount_succeeds(
        self, make_container: Callable[..., Container]
    ) -> None:
        container = make_container(mounted=False)

        def mount() -> str:
            try:
                syscalls.mount("none", CONFIGFS, "configfs")
            except OSError as error:
                return str(error)
            return "mounted"

        # EBUSY would mean that it is the very filesystem which is mounted there already.
        assert container.run(mount) == "mounted"

    def test_it_is_another_filesystem_than_the_initial_one(
        self, container: Container, configfs: str
    ) -> None:
        inside = container.run(lambda: Path(CONFIGFS).stat().st_dev)
        assert inside != Path(configfs).stat().st_dev

    def test_it_has_the_default_groups_of_nvmet(self, container: Container) -> None:
        found = container.run(lambda: sorted(os.listdir(f"{CONFIGFS}/nvmet")))  # noqa: PTH208
        assert found == ["discovery_nqn", "hosts", "ports", "subsystems"]

    def test_it_is_empty_at_first(
        self, initial: Instance, make_container: Callable[..., Container]
    ) -> None:
        with initial.holding(NvmetHost(NQN), Subsystem(NQN), loop_port(1)):
            assert make_container().run(everything) == [], "seen in the container"

    @pytest.mark.parametrize("value", KINDS)
    def test_what_is_made_in_a_container_is_not_seen_outside(
        self, container: Container, initial: Instance, value: NvmetValue
    ) -> None:
        container.run(lambda: Instance().add(value))
        assert everything(initial) == [], "seen in the initial instance"

    @pytest.mark.parametrize("value", KINDS)
    def test_what_is_made_outside_is_not_seen_in_a_container(
        self, container: Container, initial: Instance, value: NvmetValue
    ) -> None:
        with initial.holding(value):
            assert container.run(everything) == [], "seen in the container"

    @pytest.mark.parametrize("value", KINDS)
    def test_what_is_made_in_one_container_is_not_seen_in_another(
        self, make_container: Callable[..., Container], value: NvmetValue
    ) -> None:
        one, other = make_container(), make_container()
        one.run(lambda: Instance().add(value))
        assert other.run(everything) == [], "seen in the other container"
        assert len(one.run(everything)) == 1

    @pytest.mark.parametrize("value", KINDS)
    def test_the_same_name_can_exist_in_every_instance(
        self, make_container: Callable[..., Container], initial: Instance, value: NvmetValue
    ) -> None:
        one, other = make_container(), make_container()

        def make() -> str:
            try:
                Instance().add(value)
            except OSError as error:
                return str(error)
            return "made"

        with initial.holding(value):
            assert (one.run(make), other.run(make)) == ("made", "made")

    def test_an_attribute_set_in_a_container_is_unchanged_outside(
        self, container: Container, initial: Instance
    ) -> None:
        with initial.holding(Subsystem(NQN, attributes=(("serial", "outside"),))):

            def change() -> None:
                if NQN not in Instance().subsystems():
                    Instance().add(Subsystem(NQN))
                Instance().write(f"subsystems/{NQN}/attr_serial", "inside")

            container.run(change)
            assert initial.read(f"subsystems/{NQN}/attr_serial") == "outside"

    def test_seen_through_proc_root_it_is_the_containers_instance(
        self, container: Container
    ) -> None:
        container.run(lambda: Instance().add(NvmetHost(NQN)))
        through = Instance(f"{container.root}{CONFIGFS}")
        assert through.hosts() == [NQN]
        assert Instance().hosts() == []

    def test_a_link_into_another_instance_is_refused(
        self, initial: Instance, make_container: Callable[..., Container], tmp_path: Path
    ) -> None:
        # The initial instance stays in sight of the container at a second place.
        syscalls.mount("none", str(tmp_path), "configfs")
        try:
            container = make_container()

            def link() -> str:
                Instance().add(loop_port(1))
                place = Instance().root / "ports/1/subsystems" / NQN
                try:
                    place.symlink_to(tmp_path / "nvmet/subsystems" / NQN)
                except OSError:
                    return "refused"
                return "linked"

            with initial.holding(Subsystem(NQN)):
                found = container.run(link)
                assert found == "refused", "a port exports another instance's subsystem"
        finally:
            container.destroy()
            syscalls.umount(str(tmp_path))

    def test_many_instances_exist_at_once(self, container: Container) -> None:
        assert container.run(make_many, MANY, seconds=wait.ENDLESS) == [1] * MANY


def make_many(count: int) -> list[int]:
    """Create instances with one item each; return how many items each has at the end."""
    home = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    made = []
    for number in range(count):
        syscalls.setns(home, syscalls.CLONE_NEWNS)
        syscalls.unshare(syscalls.CLONE_NEWNS)
        mount_configfs()
        if everything():
            return []  # not an instance of its own: nothing to count
        Instance().add(NvmetHost(f"{NQN}:{number}"))
        made.append(os.open("/proc/self/ns/mnt", os.O_RDONLY))
    counts = []
    for namespace in made:
        syscalls.setns(namespace, syscalls.CLONE_NEWNS)
        counts.append(len(Instance().hosts()))
        os.close(namespace)
    return counts


class TestPoint2InitialInstance:
    def test_it_keeps_its_configuration_while_containers_come_and_go(
        self, initial: Instance, make_container: Callable[..., Container]
    ) -> None:
        with initial.holding(NvmetHost(NQN), Subsystem(NQN, hosts=(NQN,)), loop_port(1, NQN)):
            for _ in range(3):
                make_container().destroy()
            assert everything(initial) == [NQN, NQN, "1"]
            assert (initial.root / "ports/1/subsystems" / NQN).is_symlink()

    def test_mounted_again_in_its_namespace_it_is_the_same(
        self, initial: Instance, container: Container, tmp_path: Path
    ) -> None:
        # With another instance about, a mount out here is still the initial one.
        syscalls.mount("none", str(tmp_path), "configfs")
        try:
            with initial.holding(NvmetHost(NQN)):
                assert Instance(str(tmp_path)).hosts() == [NQN]
            assert tmp_path.stat().st_dev == initial.root.stat().st_dev
        finally:
            syscalls.umount(str(tmp_path))

    def test_a_task_that_returns_to_the_initial_namespace_mounts_the_initial_instance(
        self, initial: Instance, container: Container, tmp_path: Path
    ) -> None:
        home = os.open("/proc/self/ns/mnt", os.O_RDONLY)

        def go_home_and_look() -> list[str]:
            syscalls.setns(home, syscalls.CLONE_NEWNS)
            syscalls.mount("none", str(tmp_path), "configfs")
            try:
                return everything(Instance(str(tmp_path)))
            finally:
                syscalls.umount(str(tmp_path))

        try:
            with initial.holding(NvmetHost(NQN)):
                assert container.run(go_home_and_look) == [NQN]
        finally:
            os.close(home)


class TestPoint3OneInstancePerNamespace:
    @pytest.fixture
    def places(self, tmp_path: Path) -> list[str]:
        folders = [tmp_path / str(number) for number in range(20)]
        for folder in folders:
            folder.mkdir()
        return [str(folder) for folder in folders]

    def test_mounted_at_many_places_it_is_one_instance_of_its_own(
        self, container: Container, initial: Instance, places: list[str]
    ) -> None:
        def mount_and_make() -> tuple[set[int], set[tuple[str, ...]]]:
            for place in places:
                syscalls.mount("none", place, "configfs")
            Instance(places[3]).add(NvmetHost(NQN))
            everywhere = [CONFIGFS, *places]
            devices = {Path(place).stat().st_dev for place in everywhere}
            return devices, {tuple(Instance(place).hosts()) for place in everywhere}

        devices, contents = container.run(mount_and_make)
        assert len(devices) == 1
        assert contents == {(NQN,)}
        assert initial.hosts() == [], "it is the initial instance"

    def test_a_second_mount_at_the_same_place_is_refused(self, container: Container) -> None:
        # As for any filesystem: the same one is not stacked upon itself.
        with pytest.raises(OSError, match="busy"):
            container.run(syscalls.mount, "none", CONFIGFS, "configfs")

    def test_every_task_of_a_namespace_gets_the_same_instance(
        self, container: Container, initial: Instance, tmp_path: Path
    ) -> None:
        container.run(lambda: Instance().add(NvmetHost(NQN)))

        def mount_and_look() -> list[str]:
            syscalls.mount("none", str(tmp_path), "configfs")
            return Instance(str(tmp_path)).hosts()

        assert container.run(mount_and_look) == [NQN]
        assert initial.hosts() == [], "it is the initial instance"

    def test_a_bind_mount_shows_the_same_instance(
        self, container: Container, initial: Instance, tmp_path: Path
    ) -> None:
        def bind_and_make() -> list[str]:
            syscalls.mount(f"{CONFIGFS}/nvmet/hosts", str(tmp_path), "", syscalls.MS_BIND)
            (tmp_path / NQN).mkdir()
            return Instance().hosts()

        assert container.run(bind_and_make) == [NQN]
        assert initial.hosts() == [], "it is the initial instance"
