# SPDX-License-Identifier: GPL-2.0-only
"""Items of configfs, in the initial instance and in another one: attributes, names, permissions."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guestlib.nvmet import Instance, Namespace, NvmetHost, Subsystem, loop_port
from harness.guestside import needs, syscalls
from harness.guestside.expect import errno_is
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET")

NQN = "nqn.2026-01.org.example:items"
ROOT = Instance().root
HOSTS, SUBSYSTEMS, PORTS = ROOT / "hosts", ROOT / "subsystems", ROOT / "ports"
Inside = Callable[..., Any]
NOBODY = 65534


def with_subsystem(function: Callable[[Path], Any]) -> Callable[[], Any]:
    """Call the function with the folder of a subsystem that exists meanwhile."""

    def run() -> Any:
        with Instance().holding(Subsystem(NQN)):
            return function(SUBSYSTEMS / NQN)

    return run


class TestAttributes:
    def test_they_are_files_of_one_page(self, inside: Inside) -> None:
        def look(folder: Path) -> tuple[bool, int]:
            found = (folder / "attr_serial").stat()
            return stat.S_ISREG(found.st_mode), found.st_size

        assert inside(with_subsystem(look)) == (True, os.sysconf("SC_PAGESIZE"))

    def test_one_reads_the_same_in_small_pieces(self, inside: Inside) -> None:
        def read(folder: Path) -> tuple[bytes, bytes]:
            (folder / "attr_serial").write_text("0123456789abcdef")
            whole = (folder / "attr_serial").read_bytes()
            with (folder / "attr_serial").open("rb", buffering=0) as file:
                return whole, b"".join(iter(lambda: file.read(3), b""))

        whole, pieces = inside(with_subsystem(read))
        assert whole == pieces
        assert whole.startswith(b"0123456789abcdef")

    def test_an_open_one_keeps_showing_what_it_read_first(self, inside: Inside) -> None:
        def read(folder: Path) -> tuple[bytes, bytes]:
            with (folder / "attr_allow_any_host").open("rb", buffering=0) as file:
                before = file.read(10)
                (folder / "attr_allow_any_host").write_text("1")
                file.seek(0)
                return before, file.read(10)

        assert inside(with_subsystem(read)) == (b"1\n", b"1\n")

    def test_a_new_value_is_there_for_who_opens_next(self, inside: Inside) -> None:
        def change(folder: Path) -> list[str]:
            found = []
            for value in ("0", "1", "0"):
                (folder / "attr_allow_any_host").write_text(value)
                found.append((folder / "attr_allow_any_host").read_text())
            return found

        assert inside(with_subsystem(change)) == ["0\n", "1\n", "0\n"]

    def test_more_than_a_page_is_never_stored_whole(self, inside: Inside) -> None:
        def write(folder: Path) -> int:
            fd = os.open(folder / "attr_allow_any_host", os.O_WRONLY)
            try:
                return os.write(fd, b"1" + b"\n" * (os.sysconf("SC_PAGESIZE") + 10))
            except OSError:
                return -1  # refused altogether
            finally:
                os.close(fd)

        assert inside(with_subsystem(write)) < os.sysconf("SC_PAGESIZE")

    def test_one_without_a_way_to_read_refuses_it_even_to_root(self, inside: Inside) -> None:
        def read() -> None:
            with Instance().holding(Subsystem(NQN, (Namespace("/dev/null", enabled=False),))):
                os.close(os.open(SUBSYSTEMS / NQN / "namespaces/1/revalidate_size", os.O_RDONLY))

        with errno_is(errno.EACCES):
            inside(read)

    def test_a_refused_value_changes_nothing(self, inside: Inside) -> None:
        def write(folder: Path) -> tuple[str, str]:
            before = (folder / "attr_allow_any_host").read_text()
            with errno_is(errno.EINVAL):
                (folder / "attr_allow_any_host").write_text("maybe")
            return before, (folder / "attr_allow_any_host").read_text()

        before, after = inside(with_subsystem(write))
        assert before == after

    def test_none_can_be_removed_or_made(self, inside: Inside) -> None:
        def try_all(folder: Path) -> list[str]:
            found = []
            tries: list[Callable[[], object]] = [
                (folder / "attr_serial").unlink,
                lambda: (folder / "attr_mine").touch(),
                lambda: os.mkfifo(folder / "fifo"),
                lambda: os.link(folder / "attr_serial", folder / "attr_copy"),
                lambda: (folder / "attr_serial").rename(folder / "attr_other"),
            ]
            for call in tries:
                try:
                    call()
                    found.append("done")
                except PermissionError:
                    found.append("refused")
            return found

        assert inside(with_subsystem(try_all)) == ["refused"] * 5

    def test_an_open_one_outlives_its_item_without_harm(self, inside: Inside) -> None:
        def read() -> bool:
            Instance().add(Subsystem(NQN))
            fd = os.open(SUBSYSTEMS / NQN / "attr_serial", os.O_RDONLY)
            try:
                Instance().remove(Subsystem(NQN))
                try:
                    os.read(fd, 100)
                except OSError as error:
                    return error.errno in (errno.ENOENT, errno.ENODEV)
                return True
            finally:
                os.close(fd)

        assert inside(read)


class TestPermissions:
    def test_a_new_item_belongs_to_its_maker_and_only_he_writes(self, inside: Inside) -> None:
        def look(folder: Path) -> list[tuple[int, int, str]]:
            paths = (folder, folder / "attr_serial", folder / "namespaces")
            return [(s.st_uid, s.st_gid, stat.filemode(s.st_mode)) for s in map(Path.stat, paths)]

        assert inside(with_subsystem(look)) == [
            (0, 0, "drwxr-xr-x"),
            (0, 0, "-rw-r--r--"),
            (0, 0, "drwxr-xr-x"),
        ]

    def test_a_user_without_privilege_may_read_but_not_make(self, inside: Inside) -> None:
        def as_nobody() -> list[str]:
            os.setresuid(-1, NOBODY, -1)
            try:
                with errno_is(errno.EACCES):
                    (HOSTS / NQN).mkdir()
                return sorted(entry.name for entry in ROOT.iterdir())
            finally:
                os.setresuid(-1, 0, -1)

        assert inside(as_nobody) == ["discovery_nqn", "hosts", "ports", "subsystems"]

    def test_a_folder_given_to_a_user_is_his_to_make_items_in(self, inside: Inside) -> None:
        def give() -> list[str]:
            os.chown(HOSTS, NOBODY, NOBODY)
            os.setresuid(-1, NOBODY, -1)
            try:
                (HOSTS / NQN).mkdir()
                found = Instance().hosts()
                (HOSTS / NQN).rmdir()
                return found
            finally:
                os.setresuid(-1, 0, -1)
                os.chown(HOSTS, 0, 0)

        assert inside(give) == [NQN]

    def test_a_changed_mode_stays_while_the_item_does(self, inside: Inside) -> None:
        def change(folder: Path) -> tuple[int, int]:
            (folder / "attr_serial").chmod(0o600)
            drop_caches()
            kept = stat.S_IMODE((folder / "attr_serial").stat().st_mode)
            Instance().remove(Subsystem(NQN))
            Instance().add(Subsystem(NQN))
            return kept, stat.S_IMODE((folder / "attr_serial").stat().st_mode)

        assert inside(with_subsystem(change)) == (0o600, 0o644)

    def test_a_mode_changed_in_one_instance_is_unchanged_in_another(
        self, make_container: Callable[..., Any]
    ) -> None:
        one, other = make_container(), make_container()
        one.run(HOSTS.chmod, 0o700)
        try:
            assert stat.S_IMODE(other.run(HOSTS.stat).st_mode) == 0o755
            assert stat.S_IMODE(HOSTS.stat().st_mode) == 0o755
        finally:
            HOSTS.chmod(0o755)


def drop_caches() -> None:
    """Make the kernel drop unused dentries and inodes."""
    Path("/proc/sys/vm/drop_caches").write_text("2")


class TestNames:
    @pytest.mark.parametrize("name", ["a", "with space", "nqn.x:%s", "ümlaut", "x" * 200])
    def test_any_name_that_nvmet_takes_is_given_back(self, inside: Inside, name: str) -> None:
        def make() -> list[str]:
            with Instance().holding(NvmetHost(name)):
                return Instance().hosts()

        assert inside(make) == [name]

    def test_a_name_of_more_than_255_bytes_is_refused(self, inside: Inside) -> None:
        with errno_is(errno.ENAMETOOLONG):
            inside((HOSTS / ("x" * 256)).mkdir)

    def test_a_name_that_the_driver_does_not_take_leaves_nothing(self, inside: Inside) -> None:
        def make() -> list[str]:
            with errno_is(errno.EINVAL):
                (PORTS / "no-number").mkdir()
            return Instance().ports()

        assert inside(make) == []

    def test_the_same_name_again_after_removal(self, inside: Inside) -> None:
        def make_often() -> int:
            for _ in range(20):
                with Instance().holding(NvmetHost(NQN), Subsystem(NQN), loop_port(1)):
                    pass
            return len(Instance().hosts())

        assert inside(make_often) == 0


class TestMany:
    COUNT = 300

    def test_a_folder_lists_each_of_many_once(self, inside: Inside) -> None:
        names = [f"{NQN}:{number}" for number in range(self.COUNT)]

        def make() -> list[str]:
            with Instance().holding(*map(NvmetHost, names)):
                return Instance().hosts()

        assert inside(make) == sorted(names)

    def test_reading_a_folder_that_changes_shows_what_stays(self, inside: Inside) -> None:
        stays = [f"{NQN}:stays{number}" for number in range(20)]

        def change_while_reading() -> set[str]:
            with Instance().holding(*map(NvmetHost, stays)):
                seen = set()
                with os.scandir(HOSTS) as entries:
                    for number, entry in enumerate(entries):
                        seen.add(entry.name)
                        passing = HOSTS / f"{NQN}:passing{number}"
                        passing.mkdir()
                        passing.rmdir()
                return {name for name in seen if "stays" in name}

        assert inside(change_while_reading) == set(stays)

    def test_the_number_of_links_counts_the_folders(self, inside: Inside) -> None:
        def look() -> list[int]:
            found = [HOSTS.stat().st_nlink]
            with Instance().holding(NvmetHost(NQN)):
                found.append(HOSTS.stat().st_nlink)
            found.append(HOSTS.stat().st_nlink)
            return found

        before, while_there, after = inside(look)
        assert (while_there - before, after - before) == (1, 0)


def test_it_is_a_file_system_without_room(inside: Inside) -> None:
    def look() -> tuple[int, int]:
        found = os.statvfs(CONFIGFS)
        return found.f_bsize, found.f_blocks

    assert inside(look) == (os.sysconf("SC_PAGESIZE"), 0)


def test_a_container_cannot_remount_it_read_only_for_all(
    make_container: Callable[..., Any], initial: Instance
) -> None:
    container = make_container()
    with errno_is(errno.EROFS):
        container.run(remount_and_make)
    with initial.holding(NvmetHost(NQN)):
        assert initial.hosts() == [NQN]


def remount_and_make() -> None:
    flags = syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY
    syscalls.mount("none", CONFIGFS, "", flags)
    Instance().add(NvmetHost(NQN))
