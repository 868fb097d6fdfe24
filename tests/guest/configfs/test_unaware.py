# SPDX-License-Identifier: GPL-2.0-only
"""Points 5 and 6: subsystems that are not aware of namespaces, and when they register."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from guestlib import disks, memory
from guestlib.instances import INSTANCES
from guestlib.nvmet import Instance, NvmetHost
from guestlib.sample import GROUP, depend, make_item, modprobe
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container, mount_configfs
from harness.guestside.expect import errno_is
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET")


NQN = "nqn.2026-01.org.example:unaware"
TIMES = 20


def listing() -> list[str]:
    return sorted(entry.name for entry in Path(CONFIGFS).iterdir())


@needs.config("CONFIG_BLK_DEV_NULL_BLK")
class TestPoint5UnawareSubsystems:
    def test_the_initial_instance_has_it(self, configfs: str) -> None:
        assert {"nullb", "nvmet"} <= set(listing())

    def test_a_new_instance_lacks_it(self, container: Container) -> None:
        found = container.run(listing)
        assert "nvmet" in found
        assert "nullb" not in found

    def test_it_cannot_be_made_by_hand(self, container: Container) -> None:
        with errno_is(errno.EPERM):
            container.run(Path(CONFIGFS, "nullb").mkdir)

    def test_it_goes_on_working_in_the_initial_instance(
        self, container: Container, make_null_block: Callable[..., str]
    ) -> None:
        device = make_null_block(1)
        disks.write(device, disks.pattern(4096))
        assert disks.read(device, 4096) == disks.pattern(4096)

    def test_it_is_reached_through_an_inherited_mount(
        self, make_container: Callable[..., Container]
    ) -> None:
        container = make_container(mounted=False)
        assert "nullb" in container.run(listing)


@needs.module("configfs_sample")
class TestPoint6Registering:
    """With the kernel's own sample module, whose subsystems are not aware of namespaces."""

    GROUP = "02-simple-children"

    @pytest.fixture(autouse=True)
    def _unloaded_at_the_end(self, configfs: str) -> Iterator[None]:
        yield
        modprobe("--remove")

    def test_loaded_outside_it_is_in_the_initial_instance(self) -> None:
        modprobe()
        assert self.GROUP in listing()

    def test_loaded_in_a_container_it_is_in_the_initial_instance(
        self, container: Container
    ) -> None:
        container.run(modprobe)
        assert self.GROUP in listing()
        assert self.GROUP not in container.run(listing)

    def test_a_new_container_lacks_it(self, make_container: Callable[..., Container]) -> None:
        modprobe()
        assert self.GROUP not in make_container().run(listing)

    def test_a_container_that_is_there_works_on(self, container: Container) -> None:
        add = partial(Instance().add, NvmetHost(NQN))
        container.run(add)
        modprobe()
        found = container.run(lambda: Instance().hosts())
        modprobe("--remove")
        assert found == container.run(lambda: Instance().hosts()) == [NQN]

    def test_it_is_reached_through_an_inherited_mount(
        self, make_container: Callable[..., Container]
    ) -> None:
        container = make_container(mounted=False)
        modprobe()
        assert self.GROUP in container.run(listing)

    def test_unloaded_in_a_container_it_is_gone(self, container: Container) -> None:
        modprobe()
        container.run(modprobe, "--remove")
        assert self.GROUP not in listing()

    def test_loaded_again_and_again_with_containers_about(
        self, make_container: Callable[..., Container]
    ) -> None:
        for _ in range(5):
            modprobe()
            container = make_container()
            modprobe("--remove")
            assert self.GROUP not in listing()
            container.destroy()

    def test_an_item_keeps_it_loaded(self) -> None:
        modprobe()
        item = Path(CONFIGFS, self.GROUP, "busy")
        item.mkdir()
        try:
            with pytest.raises(AssertionError, match=r"in use|temporarily unavailable"):
                modprobe("--remove")
        finally:
            item.rmdir()

    def test_an_item_that_a_container_made_keeps_it_loaded_beyond_the_container(
        self, make_container: Callable[..., Container]
    ) -> None:
        container = make_container(mounted=False)
        modprobe()
        item = Path(CONFIGFS, self.GROUP, "busy")
        container.run(item.mkdir)  # through the inherited mount: in the initial instance
        container.destroy()
        try:
            with pytest.raises(AssertionError, match=r"in use|temporarily unavailable"):
                modprobe("--remove")
        finally:
            item.rmdir()

    def test_no_container_keeps_it_loaded(self, make_container: Callable[..., Container]) -> None:
        modprobe()
        containers = [make_container() for _ in range(3)]
        modprobe("--remove")
        assert all(self.GROUP not in one.run(listing) for one in containers)


@needs.module("configfs_sample")
@needs.config("CONFIG_NVME_TARGET_DEBUGFS")
class TestPoint8DependedOn:
    """The sample's fourth subsystem is aware, and other kernel code depends on its items."""

    @pytest.fixture(autouse=True)
    def _loaded(self, configfs: str) -> Iterator[None]:
        modprobe()
        yield
        modprobe("--remove")

    def test_a_new_container_has_it(self, make_container: Callable[..., Container]) -> None:
        container = make_container()
        assert GROUP.name in container.run(listing)
        number = container.run((GROUP / "ns_id").read_text)
        assert int(number) == container.mount_namespace()
        assert int((GROUP / "ns_id").read_text()) == syscalls.mount_namespace_id()

    def test_it_is_unloaded_while_containers_have_it(
        self, make_container: Callable[..., Container]
    ) -> None:
        containers = [make_container(), make_container()]
        containers[1].destroy()
        modprobe("--remove")
        assert GROUP.name not in containers[0].run(listing)
        modprobe()
        assert GROUP.name not in containers[0].run(listing), "it does not gain one"

    @pytest.mark.parametrize("place", ["initial", "container"])
    def test_an_item_stays(self, make_container: Callable[..., Container], place: str) -> None:
        def check() -> None:
            item = make_item()
            depend(item, wanted=True)
            with errno_is(errno.EBUSY):
                item.rmdir()
            depend(item, wanted=False)
            item.rmdir()

        check() if place == "initial" else make_container().run(check)

    def come_again(self) -> list[str]:
        """Unmount, and mount what the namespace has then."""
        syscalls.umount(CONFIGFS)
        mount_configfs()
        return sorted(entry.name for entry in GROUP.iterdir() if entry.is_dir())

    def start_anew(self) -> list[str]:
        """The same, once there is nothing left of the instance: a dependency ends in a worker."""
        syscalls.umount(CONFIGFS)
        folder = INSTANCES / str(syscalls.mount_namespace_id())
        wait.until(lambda: not folder.exists(), "the instance to be gone")
        mount_configfs()
        return sorted(entry.name for entry in GROUP.iterdir() if entry.is_dir())

    def test_its_instance_outlives_its_mount(self, container: Container) -> None:
        def depend_and_release() -> list[list[str]]:
            depend(make_item(), wanted=True)
            found = [self.come_again() for _ in range(3)]
            depend(GROUP / "item", wanted=False)
            return [*found, self.start_anew()]

        assert container.run(depend_and_release) == [["item"]] * 3 + [[]]

    def test_each_of_several_dependencies_keeps_it(self, container: Container) -> None:
        def release_one_by_one() -> list[list[str]]:
            one, other = make_item("one"), make_item("other")
            depend(one, wanted=True)
            depend(other, wanted=True)
            found = [self.come_again()]
            depend(one, wanted=False)
            found += [self.come_again() for _ in range(3)]
            depend(other, wanted=False)
            return [*found, self.start_anew()]

        assert container.run(release_one_by_one) == [["one", "other"]] * 4 + [[]]

    def test_one_that_was_given_up_keeps_nothing(self, container: Container) -> None:
        def depend_and_release() -> list[str]:
            item = make_item()
            for _ in range(TIMES):
                depend(item, wanted=True)
                depend(item, wanted=False)
            return self.start_anew()

        assert container.run(depend_and_release) == []

    def test_one_that_failed_keeps_nothing(self, container: Container) -> None:
        """Whoever depends on an item that is being removed is refused, or keeps it."""

        def depend_and_remove() -> list[list[str]]:
            found = []
            for _ in range(TIMES):
                item = make_item()
                (item / "depend").write_text("1")
                with suppress(OSError):
                    item.rmdir()
                if item.exists():
                    depend(item, wanted=True)
                    depend(item, wanted=False)
                found.append(self.start_anew())
            return found

        assert container.run(depend_and_remove) == [[]] * TIMES

    def test_one_that_comes_while_the_instance_ends(self, container: Container) -> None:
        """It is refused, or the instance stays: there is nothing between."""

        def depend_and_leave() -> list[list[str]]:
            found = []
            for _ in range(TIMES):
                item = make_item()
                (item / "depend").write_text("1")
                if self.come_again():
                    depend(item, wanted=True)
                    depend(item, wanted=False)
                found.append(self.start_anew())
            return found

        assert container.run(depend_and_leave) == [[]] * TIMES

    def test_it_keeps_the_module_loaded(self, container: Container) -> None:
        item = Path(f"{container.root}{GROUP}") / "item"
        container.run(lambda: depend(make_item(), wanted=True))
        with pytest.raises(AssertionError, match=r"in use|temporarily unavailable"):
            modprobe("--remove")
        depend(item, wanted=False)

    @needs.feature("slab_counts")
    def test_no_memory_stays_of_instances_that_were_depended_on(self, container: Container) -> None:
        def turn() -> None:
            depend(make_item(), wanted=True)
            self.come_again()
            depend(GROUP / "item", wanted=False)
            assert self.start_anew() == []

        found = container.run(memory.grown, TIMES, turn)
        assert not found, f"objects that each of {TIMES} instances left: {found}"
