# SPDX-License-Identifier: GPL-2.0-only
"""CLONE_NEWNS: what belongs to the namespace and what to the task."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.guestside import needs, syscalls
from harness.guestside.container import Container, How
from harness.guestside.expect import errno_is
from harness.guestside.task import Task

WAYS = [
    pytest.param(How.UNSHARE),
    pytest.param(How.CLONE3),
    pytest.param(How.SETNS),
    pytest.param(How.OPEN_TREE, marks=needs.feature("open_tree_namespace")),
]


def namespace() -> int:
    return syscalls.mount_namespace_id()


class TestWhoIsInIt:
    def test_a_child_is_in_its_parents(self, container: Container) -> None:
        assert container.run(lambda: Task(namespace).result()) == container.mount_namespace()

    def test_a_child_made_with_clone_newns_is_not(self, container: Container) -> None:
        def look() -> tuple[int, int]:
            with Container(How.CLONE3) as inner:
                return namespace(), inner.mount_namespace()

        mine, inner = container.run(look)
        assert mine == container.mount_namespace() != inner

    def test_unshare_leaves_the_parent_where_it_was(self, container: Container) -> None:
        def look() -> tuple[int, int, int]:
            before = namespace()

            def leave() -> int:
                syscalls.unshare(syscalls.CLONE_NEWNS)
                return namespace()

            return before, Task(leave).result(), namespace()

        before, child, after = container.run(look)
        assert before == after != child

    @pytest.mark.parametrize("how", WAYS)
    def test_each_way_gives_an_id_that_nobody_has(
        self, make_container: Callable[..., Container], how: How
    ) -> None:
        numbers = [make_container(how, mounted=False).mount_namespace() for _ in range(2)]
        assert len({*numbers, namespace()}) == 3


class TestTables:
    @pytest.mark.parametrize("how", WAYS)
    def test_a_mount_inside_is_not_seen_outside(
        self, make_container: Callable[..., Container], tmp_path: Path, how: How
    ) -> None:
        container = make_container(how, mounted=False)
        container.run(syscalls.mount, "none", str(tmp_path), "tmpfs")
        assert not tmp_path.is_mount()
        assert container.run(tmp_path.is_mount)

    @pytest.mark.parametrize("how", WAYS)
    def test_an_umount_inside_is_not_seen_outside(
        self, make_container: Callable[..., Container], tmp_path: Path, how: How
    ) -> None:
        syscalls.mount("none", str(tmp_path), "tmpfs")
        try:
            container = make_container(how, mounted=False)
            container.run(syscalls.umount, str(tmp_path))
            assert tmp_path.is_mount()
        finally:
            syscalls.umount(str(tmp_path))

    def test_an_umount_outside_leaves_the_copy_and_its_files(
        self, make_container: Callable[..., Container], tmp_path: Path
    ) -> None:
        syscalls.mount("none", str(tmp_path), "tmpfs")
        (tmp_path / "file").write_text("kept")
        container = make_container(mounted=False)
        syscalls.umount(str(tmp_path))
        assert container.run((tmp_path / "file").read_text) == "kept"

    def test_a_folder_that_is_a_mount_point_elsewhere_can_be_removed(
        self, container: Container, tmp_path: Path
    ) -> None:
        # The mount in the other namespace goes with it, as rename(2) and rmdir(2) say.
        folder = tmp_path / "folder"
        folder.mkdir()
        container.run(syscalls.mount, "none", str(folder), "tmpfs")
        folder.rmdir()
        assert str(folder) not in container.run(Path("/proc/self/mountinfo").read_text)

    def test_an_open_file_stays_open_across_unshare(
        self, container: Container, tmp_path: Path
    ) -> None:
        def look() -> bytes:
            syscalls.mount("none", str(tmp_path), "tmpfs")
            (tmp_path / "file").write_text("kept")
            fd = os.open(tmp_path / "file", os.O_RDONLY)
            syscalls.unshare(syscalls.CLONE_NEWNS)
            syscalls.umount(str(tmp_path))
            return os.read(fd, 10)

        assert container.run(look) == b"kept"

    def test_a_tasks_working_folder_moves_with_it(
        self, container: Container, tmp_path: Path
    ) -> None:
        def look() -> bool:
            syscalls.mount("none", str(tmp_path), "tmpfs")
            os.chdir(tmp_path)
            syscalls.unshare(syscalls.CLONE_NEWNS)
            # It stands on the new namespace's copy of the mount, and that one is detached.
            syscalls.umount(str(tmp_path), syscalls.MNT_DETACH)
            with errno_is(errno.ENOENT):
                os.getcwd()  # noqa: PTH109
            return tmp_path.is_mount()

        assert container.run(look) is False
