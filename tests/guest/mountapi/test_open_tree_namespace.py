# SPDX-License-Identifier: GPL-2.0-only
"""open_tree(OPEN_TREE_NAMESPACE): a namespace of one tree only, and its own configfs instance.

It copies the tree that was asked for, not the caller's whole namespace, and gives a descriptor of
the new namespace; the tree is its root.
"""

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

pytestmark = [
    needs.feature("open_tree_namespace", "listns"),
    needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET"),
]

NQN = "nqn.2026-01.org.example:opentree"
BOTH = syscalls.OPEN_TREE_NAMESPACE | syscalls.AT_RECURSIVE


@pytest.fixture
def outside(make_container: Callable[..., Container]) -> Container:
    """Where the trees are created: a test's mounts stay in there."""
    return make_container(mounted=False)


@pytest.fixture
def tree(outside: Container, tmp_path: Path) -> str:
    """A container's root as a runtime prepares it: a file system with a few empty folders."""
    outside.run(syscalls.mount, "none", str(tmp_path), "tmpfs")
    for name in ("config", "below", "proc"):
        outside.run((tmp_path / name).mkdir)
    return str(tmp_path)


def enter(tree: str, flags: int = syscalls.OPEN_TREE_NAMESPACE) -> None:
    """Move the caller into a new namespace of that tree."""
    fd = syscalls.open_tree(tree, flags)
    syscalls.setns(fd, syscalls.CLONE_NEWNS)
    os.close(fd)


def types() -> list[str]:
    """File system types of all mounts in the caller's namespace, the root last."""
    return [syscalls.statmount(number).fs_type for number in syscalls.listmount()]


class TestTheNamespace:
    def test_it_is_a_new_one(self, outside: Container, tree: str) -> None:
        def look() -> int:
            enter(tree)
            return syscalls.mount_namespace_id(f"/proc/self/fd/{kept}")

        def number() -> int:
            fd = syscalls.open_tree(tree, syscalls.OPEN_TREE_NAMESPACE)
            try:
                return syscalls.mount_namespace_id(f"/proc/self/fd/{fd}")
            finally:
                os.close(fd)

        kept = -1
        first, second = outside.run(number), outside.run(number)
        assert outside.mount_namespace() < first < second

    def test_its_root_is_the_tree(self, outside: Container, tree: str) -> None:
        def look() -> list[str]:
            enter(tree)
            return sorted(entry.name for entry in Path("/").iterdir())

        assert outside.run(look) == ["below", "config", "proc"]

    def test_nothing_else_of_the_callers_mounts_is_in_it(
        self, outside: Container, tree: str
    ) -> None:
        def look() -> tuple[int, list[str]]:
            count = len(types())
            enter(tree)
            return count, types()

        before, after = outside.run(look)
        assert before > 5, "the caller has few mounts: nothing is shown by this"
        assert after == ["tmpfs"], "mounts below the root of the new namespace"

    def test_a_mount_below_comes_along_only_when_asked_for(
        self, outside: Container, tree: str
    ) -> None:
        def look(flags: int) -> list[str]:
            syscalls.mount("none", f"{tree}/below", "proc")
            enter(tree, flags)
            return sorted(types())

        assert outside.run(look, syscalls.OPEN_TREE_NAMESPACE) == ["tmpfs"]
        outside.run(syscalls.umount, f"{tree}/below")
        assert outside.run(look, BOTH) == ["proc", "tmpfs"]

    def test_a_later_mount_on_either_side_stays_there(self, outside: Container, tree: str) -> None:
        def look() -> tuple[bool, bool]:
            home = os.open("/proc/self/ns/mnt", os.O_RDONLY)
            fd = syscalls.open_tree(tree, syscalls.OPEN_TREE_NAMESPACE)
            syscalls.mount("none", f"{tree}/below", "tmpfs")
            syscalls.setns(fd, syscalls.CLONE_NEWNS)
            came_in = Path("/below").is_mount()
            syscalls.mount("none", "/config", "tmpfs")
            syscalls.setns(home, syscalls.CLONE_NEWNS)
            return came_in, Path(tree, "config").is_mount()

        assert outside.run(look) == (False, False)

    def test_it_goes_with_its_descriptor(self, outside: Container, tree: str) -> None:
        def look() -> tuple[bool, bool]:
            fd = syscalls.open_tree(tree, syscalls.OPEN_TREE_NAMESPACE)
            number = syscalls.mount_namespace_id(f"/proc/self/fd/{fd}")
            held = number in syscalls.listns(syscalls.CLONE_NEWNS)
            os.close(fd)
            return held, number in syscalls.listns(syscalls.CLONE_NEWNS)

        assert outside.run(look)[0], "it is not there while its descriptor is open"
        # That it is gone afterwards, and its copied mounts with it, the leak guard says.

    def test_a_file_is_no_tree(self, outside: Container, tree: str) -> None:
        file = Path(tree, "file")
        outside.run(file.touch)
        with errno_is(errno.ENOTDIR):
            outside.run(enter, str(file))

    def test_it_excludes_a_copy_at_the_same_time(self, outside: Container, tree: str) -> None:
        with errno_is(errno.EINVAL):
            outside.run(enter, tree, syscalls.OPEN_TREE_NAMESPACE | syscalls.OPEN_TREE_CLONE)

    def test_without_privilege_it_is_refused(self, outside: Container, tree: str) -> None:
        def as_nobody() -> None:
            os.setresuid(65534, 65534, 65534)
            enter(tree)

        with errno_is(errno.EPERM):
            outside.run(as_nobody)


class TestMountNamespaceFiles:
    """Bind mounts of namespace files: one in a copy could keep itself alive forever."""

    def test_of_mount_namespaces_they_are_left_out(self, outside: Container, tree: str) -> None:
        def look() -> tuple[list[str], list[str]]:
            for name in ("mnt", "uts"):
                Path(tree, name).touch()
            # A namespace may only be bound by one that is older than it.
            fd = syscalls.open_tree(tree, syscalls.OPEN_TREE_NAMESPACE)
            syscalls.mount(f"/proc/self/fd/{fd}", f"{tree}/mnt", "", syscalls.MS_BIND)
            os.close(fd)
            syscalls.mount("/proc/self/ns/uts", f"{tree}/uts", "", syscalls.MS_BIND)
            before = [name for name in ("mnt", "uts") if on_nsfs(f"{tree}/{name}")]
            enter(tree, BOTH)
            return before, [name for name in ("mnt", "uts") if on_nsfs(f"/{name}")]

        assert outside.run(look) == (["mnt", "uts"], ["uts"])


def on_nsfs(path: str) -> bool:
    fd = os.open(path, os.O_PATH)
    try:
        return syscalls.statmount(fd=fd).fs_type == "nsfs"
    finally:
        os.close(fd)


class TestConfigfsInIt:
    def test_it_has_an_instance_of_its_own(
        self, outside: Container, tree: str, initial: Instance
    ) -> None:
        def make() -> list[str]:
            enter(tree)
            syscalls.mount("none", "/config", "configfs")
            Instance("/config").add(NvmetHost(NQN))
            return Instance("/config").hosts()

        assert outside.run(make) == [NQN]
        assert initial.hosts() == [], "made in the initial instance"

    def test_two_namespaces_of_one_tree_have_two_instances(
        self, outside: Container, tree: str, initial: Instance
    ) -> None:
        def make_twice() -> list[list[str]]:
            spaces = [syscalls.open_tree(tree, syscalls.OPEN_TREE_NAMESPACE) for _ in range(2)]
            found = []
            for number, fd in enumerate(spaces):
                syscalls.setns(fd, syscalls.CLONE_NEWNS)
                syscalls.mount("none", "/config", "configfs")
                Instance("/config").add(NvmetHost(f"{NQN}{number}"))
                found.append(Instance("/config").hosts())
            return found

        found = outside.run(make_twice)
        initial.clear()
        assert found == [[f"{NQN}0"], [f"{NQN}1"]]

    def test_a_copied_tree_shows_the_instance_that_was_mounted_in_it(
        self, outside: Container, tree: str, initial: Instance
    ) -> None:
        def look() -> tuple[list[str], list[str]]:
            syscalls.mount("none", f"{tree}/config", "configfs")
            Instance(f"{tree}/config").add(NvmetHost(NQN))
            enter(tree, BOTH)
            inherited = Instance("/config").hosts()
            syscalls.mount("none", "/below", "configfs")
            return inherited, Instance("/below").hosts()

        found = outside.run(look)
        initial.clear()
        assert found == ([NQN], []), "(inherited, own)"

    def test_a_copy_keeps_the_instance_when_all_else_of_it_goes(
        self, outside: Container, tree: str, initial: Instance
    ) -> None:
        def look() -> list[str]:
            syscalls.mount("none", f"{tree}/config", "configfs")
            Instance(f"{tree}/config").add(NvmetHost(NQN))
            fd = syscalls.open_tree(tree, BOTH)
            syscalls.umount(f"{tree}/config")
            syscalls.setns(fd, syscalls.CLONE_NEWNS)
            return Instance("/config").hosts()

        found = outside.run(look)
        kept = initial.hosts()
        initial.clear()
        assert (found, kept) == ([NQN], [])

    def test_an_instance_goes_with_the_descriptor_of_its_namespace(
        self, outside: Container, tree: str, initial: Instance
    ) -> None:
        def make_leave_and_return() -> list[str]:
            home = os.open("/proc/self/ns/mnt", os.O_RDONLY)
            for _ in range(3):
                enter(tree)
                syscalls.mount("none", "/config", "configfs")
                if Instance("/config").hosts():
                    break
                Instance("/config").add(NvmetHost(NQN))
                syscalls.setns(home, syscalls.CLONE_NEWNS)
            return Instance().hosts()

        found = outside.run(make_leave_and_return)
        initial.clear()
        assert found == []

    def test_with_a_user_namespace_it_belongs_to_that_and_may_not_mount_configfs(
        self, outside: Container, tree: str
    ) -> None:
        def make() -> None:
            syscalls.unshare(syscalls.CLONE_NEWUSER)
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text("0 0 1")
            Path("/proc/self/gid_map").write_text("0 0 1")
            enter(tree)
            syscalls.mount("none", "/below", "tmpfs")  # it is the owner's to mount in
            syscalls.mount("none", "/config", "configfs")

        with errno_is(errno.EPERM):
            outside.run(make)
        assert not outside.run(Path(tree, "below").is_mount)
