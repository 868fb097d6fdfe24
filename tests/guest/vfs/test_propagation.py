# SPDX-License-Identifier: GPL-2.0-only
"""CLONE_NEWNS: changes of one mount table do not show in another, unless propagation says so.

"Original" is the namespace that is copied, "copy" the new one.  Everything happens below a tmpfs
whose propagation type the test chooses before the copy is made.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from guestlib.nvmet import Instance, NvmetHost
from harness.guestside import needs, syscalls
from harness.guestside.container import Container
from harness.guestside.expect import errno_is
from harness.guestside.syscalls import MS_PRIVATE, MS_SHARED, MS_SLAVE, MS_UNBINDABLE
from harness.guestside.task import Task

NQN = "nqn.2026-01.org.example:propagation"

KINDS = {"private": MS_PRIVATE, "shared": MS_SHARED, "unbindable": MS_UNBINDABLE}


@pytest.fixture
def world(make_container: Callable[..., Container]) -> Container:
    """Where it all happens; its mounts are private to begin with."""
    return make_container(mounted=False)


class Pair:
    """A namespace and a copy of it, and a task that steps from one into the other."""

    def __init__(self, place: Path, kind: str) -> None:
        self.place = place
        syscalls.mount("none", str(place), "tmpfs")
        (place / "below").mkdir()
        syscalls.mount("none", str(place), "", KINDS.get(kind, MS_SHARED))
        self.namespaces = {"original": os.open("/proc/self/ns/mnt", os.O_RDONLY)}
        syscalls.unshare(syscalls.CLONE_NEWNS)
        self.namespaces["copy"] = os.open("/proc/self/ns/mnt", os.O_RDONLY)
        if kind == "slave":  # the copy is told, and tells nothing
            syscalls.mount("none", str(place), "", MS_SLAVE)

    @contextmanager
    def inside(self, which: str) -> Iterator[Path]:
        """The task is in that namespace; return the folder to mount at."""
        syscalls.setns(self.namespaces[which], syscalls.CLONE_NEWNS)
        yield self.place / "below"

    def mount(self, which: str, kind: str = "tmpfs") -> None:
        with self.inside(which) as below:
            syscalls.mount("none", str(below), kind)

    def umount(self, which: str) -> None:
        with self.inside(which) as below:
            syscalls.umount(str(below))

    def seen(self) -> set[str]:
        """In which of the two namespaces something is mounted at the folder."""
        found = set()
        for which in self.namespaces:
            with self.inside(which) as below:
                if below.is_mount():
                    found.add(which)
        return found


ORIGINAL, COPY, BOTH = {"original"}, {"copy"}, {"original", "copy"}
MATRIX = [
    ("private", "original", ORIGINAL),
    ("private", "copy", COPY),
    ("shared", "original", BOTH),
    ("shared", "copy", BOTH),
    ("slave", "original", BOTH),
    ("slave", "copy", COPY),
    ("unbindable", "original", ORIGINAL),
    ("unbindable", "copy", COPY),
]


class TestPropagation:
    @pytest.mark.parametrize(("kind", "where", "seen"), MATRIX)
    def test_a_mount_is_seen_where_its_type_says(
        self, world: Container, tmp_path: Path, kind: str, where: str, seen: set[str]
    ) -> None:
        def look() -> set[str]:
            pair = Pair(tmp_path, kind)
            pair.mount(where)
            return pair.seen()

        assert world.run(look) == seen

    @pytest.mark.parametrize(("kind", "where", "seen"), MATRIX)
    def test_an_umount_goes_the_same_ways(
        self, world: Container, tmp_path: Path, kind: str, where: str, seen: set[str]
    ) -> None:
        def look() -> set[str]:
            syscalls.mount("none", str(tmp_path), "tmpfs")
            inner = tmp_path / "inner"
            inner.mkdir()
            pair = Pair(inner, kind)
            for which in ("original", "copy"):
                if which not in pair.seen():
                    pair.mount(which)
            assert pair.seen() == BOTH
            # What was mounted on either side by hand is alone there, unless it came by propagation.
            pair.umount(where)
            return pair.seen()

        assert world.run(look) == BOTH - seen

    def test_a_copy_starts_with_what_the_original_has(
        self, world: Container, tmp_path: Path
    ) -> None:
        def look() -> bool:
            syscalls.mount("none", str(tmp_path), "tmpfs")
            (tmp_path / "here").touch()
            syscalls.unshare(syscalls.CLONE_NEWNS)
            return (tmp_path / "here").exists()

        assert world.run(look)

    def test_what_is_below_the_mount_is_the_same_in_both(
        self, world: Container, tmp_path: Path
    ) -> None:
        # The mount tables are apart; the file system that both show is one.
        def look() -> bool:
            pair = Pair(tmp_path, "private")
            with pair.inside("copy"):
                (tmp_path / "made-in-the-copy").touch()
            with pair.inside("original"):
                return (tmp_path / "made-in-the-copy").exists()

        assert world.run(look)

    def test_a_slave_that_shares_again_tells_its_own_copies(
        self, world: Container, tmp_path: Path
    ) -> None:
        def look() -> tuple[set[str], bool]:
            pair = Pair(tmp_path, "slave")
            with pair.inside("copy"):
                syscalls.mount("none", str(tmp_path), "", MS_SHARED)
                syscalls.unshare(syscalls.CLONE_NEWNS)
                third = os.open("/proc/self/ns/mnt", os.O_RDONLY)
            pair.mount("copy")
            seen = pair.seen()
            syscalls.setns(third, syscalls.CLONE_NEWNS)
            return seen, (tmp_path / "below").is_mount()

        assert world.run(look) == (COPY, True)

    def test_an_unbindable_mount_cannot_be_bound(self, world: Container, tmp_path: Path) -> None:
        def bind() -> None:
            Pair(tmp_path, "unbindable")
            syscalls.mount(str(tmp_path), str(tmp_path / "below"), "", syscalls.MS_BIND)

        with errno_is(errno.EINVAL):
            world.run(bind)

    def test_an_unbindable_mount_comes_into_a_copied_namespace(
        self, world: Container, tmp_path: Path
    ) -> None:
        def look() -> bool:
            pair = Pair(tmp_path, "unbindable")
            with pair.inside("copy"):
                return tmp_path.is_mount()

        assert world.run(look)

    def test_in_a_less_privileged_copy_shared_mounts_become_slaves(
        self, world: Container, tmp_path: Path
    ) -> None:
        ready, go = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)

        def copy() -> bool:
            syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
            Path("/proc/self/uid_map").write_text("0 0 1")
            syscalls.mount("none", str(tmp_path / "from-inside"), "tmpfs")
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            return (tmp_path / "from-outside").is_mount()

        def look() -> tuple[bool, bool]:
            syscalls.mount("none", str(tmp_path), "tmpfs")
            syscalls.mount("none", str(tmp_path), "", MS_SHARED)
            for name in ("from-inside", "from-outside"):
                (tmp_path / name).mkdir()
            task = Task(copy)
            os.read(ready[0], 1)
            syscalls.mount("none", str(tmp_path / "from-outside"), "tmpfs")
            os.write(go[1], b"x")
            return (tmp_path / "from-inside").is_mount(), task.result()

        found = world.run(look)
        for fd in (*ready, *go):
            os.close(fd)
        assert found == (False, True), "(seen outside, seen inside)"

    @needs.feature("statmount_by_fd")
    @pytest.mark.parametrize(
        "kind", [MS_PRIVATE, MS_SHARED, MS_UNBINDABLE], ids=["private", "shared", "unbindable"]
    )
    def test_statmount_tells_the_type(self, world: Container, tmp_path: Path, kind: int) -> None:
        def look() -> int:
            syscalls.mount("none", str(tmp_path), "tmpfs")
            syscalls.mount_setattr(str(tmp_path), propagation=kind)
            fd = os.open(tmp_path, os.O_PATH)
            return syscalls.statmount(fd=fd).propagation

        assert world.run(look) == kind


@needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET")
class TestConfigfsThatPropagates:
    """An instance belongs to the namespace whose task mounted it, wherever the mount shows up."""

    def look(
        self, tmp_path: Path, kind: str, mounter: str
    ) -> tuple[set[str], dict[str, list[str]]]:
        pair = Pair(tmp_path, kind)
        pair.mount(mounter, "configfs")
        with pair.inside(mounter) as below:
            Instance(str(below)).add(NvmetHost(NQN))
        hosts = {}
        for which in pair.seen():
            with pair.inside(which) as below:
                hosts[which] = Instance(str(below)).hosts()
        return pair.seen(), hosts

    @pytest.mark.parametrize("mounter", ["original", "copy"])
    def test_shared_it_shows_the_mounters_instance_in_both(
        self, world: Container, initial: Instance, tmp_path: Path, mounter: str
    ) -> None:
        seen, hosts = world.run(self.look, tmp_path, "shared", mounter)
        kept = initial.hosts()
        initial.clear()
        assert (seen, hosts) == (BOTH, {"original": [NQN], "copy": [NQN]})
        assert kept == [], "it is the initial instance"

    def test_private_it_shows_in_the_mounters_only(
        self, world: Container, initial: Instance, tmp_path: Path
    ) -> None:
        seen, hosts = world.run(self.look, tmp_path, "private", "copy")
        kept = initial.hosts()
        initial.clear()
        assert (seen, hosts, kept) == (COPY, {"copy": [NQN]}, [])

    def test_the_other_namespaces_own_mount_is_another_instance(
        self, world: Container, initial: Instance, tmp_path: Path
    ) -> None:
        def look() -> tuple[list[str], list[str]]:
            pair = Pair(tmp_path, "shared")
            (tmp_path / "own").mkdir()
            pair.mount("copy", "configfs")
            with pair.inside("copy") as below:
                Instance(str(below)).add(NvmetHost(NQN))
            with pair.inside("original") as below:
                syscalls.mount("none", str(tmp_path / "own"), "configfs")
                return Instance(str(below)).hosts(), Instance(str(tmp_path / "own")).hosts()

        found = world.run(look)
        initial.clear()
        assert found == ([NQN], []), "(propagated, own)"

    def test_it_outlives_the_namespace_that_mounted_it_where_it_propagated_to(
        self, world: Container, initial: Instance, tmp_path: Path
    ) -> None:
        def look() -> tuple[list[str], list[str]]:
            pair = Pair(tmp_path, "shared")
            pair.mount("copy", "configfs")
            with pair.inside("copy") as below:
                Instance(str(below)).add(NvmetHost(NQN))
            with pair.inside("original") as below:
                os.close(pair.namespaces.pop("copy"))  # nobody is in there any more
                held = Instance(str(below)).hosts()
                syscalls.umount(str(below))
                syscalls.mount("none", str(below), "configfs")
                return held, Instance(str(below)).hosts()

        found = world.run(look)
        initial.clear()
        assert found == ([NQN], []), "(held, after the last umount)"

    def test_umount_in_one_takes_it_from_both(
        self, world: Container, initial: Instance, tmp_path: Path
    ) -> None:
        def look() -> tuple[set[str], list[str]]:
            pair = Pair(tmp_path, "shared")
            pair.mount("copy", "configfs")
            with pair.inside("copy") as below:
                Instance(str(below)).add(NvmetHost(NQN))
            pair.umount("original")
            seen = pair.seen()
            pair.mount("copy", "configfs")
            with pair.inside("copy") as below:
                return seen, Instance(str(below)).hosts()

        found = world.run(look)
        initial.clear()
        assert found == (set(), []), "(still seen, its content when mounted again)"
