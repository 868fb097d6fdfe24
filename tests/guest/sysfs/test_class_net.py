# SPDX-License-Identifier: GPL-2.0-only
"""/sys/class/net: the older model with which namespaces of configfs are compared.

A folder of sysfs can be tagged with a kind of namespace; what it shows is chosen by the task that
mounts sysfs, at that time, and not by the one who looks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from guestlib.links import ip
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container, How
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = [needs.config("CONFIG_NET_NS", "CONFIG_DUMMY"), needs.program("ip")]

NAME = "harness0"


@pytest.fixture
def network(make_container: Callable[..., Container]) -> Container:
    """A container with its own network, and the sysfs that it inherited."""
    return make_container(mounted=False, network=True)


def links(where: str = "/sys") -> list[str]:
    return sorted(entry.name for entry in Path(where, "class/net").iterdir() if entry.is_symlink())


def add(name: str = NAME) -> None:
    ip("link", "add", name, "type", "dummy")


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path)


def mount(where: str) -> None:
    syscalls.mount("none", where, "sysfs")


class TestTheMounterChooses:
    def test_the_inherited_mount_shows_the_network_of_who_mounted_it(
        self, network: Container
    ) -> None:
        network.run(add)
        assert network.run(links) == links()
        assert NAME not in links()

    def test_an_own_mount_shows_the_own_network(self, network: Container, place: str) -> None:
        network.run(mount, place)
        assert network.run(links, place) == ["lo"]

    def test_a_link_that_is_made_later_appears_there_only(
        self, network: Container, place: str
    ) -> None:
        network.run(mount, place)
        network.run(add)
        assert network.run(links, place) == [NAME, "lo"]
        assert NAME not in links()

    def test_a_link_that_is_made_outside_appears_outside_only(
        self, network: Container, place: str
    ) -> None:
        network.run(mount, place)
        add()
        try:
            assert NAME in links()
            assert network.run(links, place) == ["lo"]
        finally:
            ip("link", "delete", NAME)

    def test_seen_from_outside_it_is_the_mounters_still(
        self, network: Container, place: str
    ) -> None:
        network.run(mount, place)
        network.run(add)
        assert links(f"{network.root}{place}") == [NAME, "lo"]

    def test_a_mounter_that_changes_its_network_later_changes_nothing(
        self, make_container: Callable[..., Container], place: str
    ) -> None:
        container = make_container(mounted=False)

        def mount_then_leave() -> tuple[list[str], list[str]]:
            mount(place)
            before = links(place)
            syscalls.unshare(syscalls.CLONE_NEWNET)
            return before, links(place)

        before, after = container.run(mount_then_leave)
        assert before == after == links()

    def test_the_same_name_may_exist_in_each(
        self, make_container: Callable[..., Container], place: str
    ) -> None:
        found = []
        for _ in range(3):
            container = make_container(mounted=False, network=True)
            container.run(mount, place)
            container.run(add)
            found.append(container.run(links, place))
        assert found == [[NAME, "lo"]] * 3

    @pytest.mark.parametrize(
        "how",
        [
            pytest.param(How.UNSHARE),
            pytest.param(How.CLONE3),
            pytest.param(How.SETNS),
            pytest.param(How.OPEN_TREE, marks=needs.feature("open_tree_namespace")),
        ],
    )
    def test_it_does_not_matter_how_the_network_was_entered(
        self, make_container: Callable[..., Container], place: str, how: How
    ) -> None:
        container = make_container(how, mounted=False, network=True)
        container.run(mount, place)
        assert container.run(links, place) == ["lo"]


class TestSuperblocks:
    def test_mounts_for_one_network_are_one_superblock(
        self, network: Container, tmp_path: Path
    ) -> None:
        folders = [tmp_path / name for name in ("a", "b")]

        def devices() -> set[int]:
            for folder in folders:
                folder.mkdir()
                mount(str(folder))
            return {folder.stat().st_dev for folder in folders}

        assert len(network.run(devices)) == 1

    def test_mounts_for_two_networks_are_two(self, network: Container, place: str) -> None:
        network.run(mount, place)
        inside = network.run(lambda: Path(place).stat().st_dev)
        assert inside != Path("/sys").stat().st_dev

    def test_what_is_not_tagged_is_the_same_in_both(self, network: Container, place: str) -> None:
        network.run(mount, place)
        inside = network.run(lambda: sorted(os.listdir(f"{place}/block")))  # noqa: PTH208
        assert inside == sorted(os.listdir("/sys/block"))  # noqa: PTH208

    @needs.config("CONFIG_CONFIGFS_FS")
    def test_the_folder_for_configfs_is_in_each_and_empty(
        self, network: Container, place: str
    ) -> None:
        network.run(mount, place)
        where = CONFIGFS.replace("/sys", place, 1)
        assert network.run(lambda: os.listdir(where)) == []  # noqa: PTH208


class TestMoving:
    def test_a_link_that_moves_disappears_here_and_appears_there(
        self, network: Container, place: str
    ) -> None:
        network.run(mount, place)
        add()
        ip("link", "set", NAME, "netns", str(network.pid))
        assert NAME not in links()
        assert network.run(links, place) == [NAME, "lo"]

    def test_attributes_are_of_the_network_that_is_shown(
        self, network: Container, place: str
    ) -> None:
        network.run(mount, place)
        network.run(ip, "link", "set", "lo", "mtu", "1400")
        mtu = "class/net/lo/mtu"
        assert network.run(Path(place, mtu).read_text).strip() == "1400"
        assert Path("/sys", mtu).read_text().strip() != "1400"


class TestAfterTheNetwork:
    def test_a_mount_that_outlives_its_network_shows_no_links(
        self, make_container: Callable[..., Container], place: str
    ) -> None:
        keeper = make_container(mounted=False)

        def mount_for_a_network_that_ends() -> None:
            home = os.open("/proc/self/ns/net", os.O_RDONLY)
            syscalls.unshare(syscalls.CLONE_NEWNET)
            mount(place)
            syscalls.setns(home, syscalls.CLONE_NEWNET)

        keeper.run(mount_for_a_network_that_ends)
        wait.until(lambda: keeper.run(links, place) == [], "the links to be gone")

    def test_the_links_go_with_the_network(
        self, make_container: Callable[..., Container], place: str
    ) -> None:
        container = make_container(mounted=False, network=True)
        container.run(mount, place)
        container.run(add)
        held = os.open(f"{container.root}{place}/class/net/{NAME}/mtu", os.O_RDONLY)
        try:
            container.destroy()
            wait.until(lambda: gone(held), "an attribute of a link that is gone to say so")
        finally:
            os.close(held)


def gone(attribute: int) -> bool:
    try:
        os.pread(attribute, 10, 0)
    except OSError:
        return True
    return False


class TestBesideConfigfs:
    """configfs depends only on the mount namespace, sysfs only on the network namespace."""

    @needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET")
    def test_a_new_network_alone_makes_no_new_instance(
        self, make_container: Callable[..., Container], place: str, configfs: str
    ) -> None:
        def device() -> int:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            syscalls.mount("none", place, "configfs")
            try:
                return Path(place).stat().st_dev
            finally:
                syscalls.umount(place)

        container = make_container()
        inside = container.run(lambda: Path(CONFIGFS).stat().st_dev)
        assert container.run(device) == inside != Path(configfs).stat().st_dev

    def test_a_new_mount_namespace_alone_shows_no_new_network(
        self, make_container: Callable[..., Container], place: str
    ) -> None:
        container = make_container(mounted=False)
        container.run(mount, place)
        assert container.run(links, place) == links()
