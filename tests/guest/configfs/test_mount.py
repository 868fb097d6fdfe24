# SPDX-License-Identifier: GPL-2.0-only
"""configfs as it always was: one tree for the machine, whatever a series does to it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from guestlib.nvmet import Instance, NvmetHost, Subsystem
from harness.guestside import needs, syscalls
from harness.guestside.expect import errno_is

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET")

NQN = "nqn.2026-01.org.example:mount"


def test_tests_run_in_the_initial_mount_namespace() -> None:
    assert Path("/proc/self/ns/mnt").stat().st_ino == 0xEFFFFFF8


def test_configfs_is_a_known_filesystem_without_device() -> None:
    assert "nodev\tconfigfs\n" in Path("/proc/filesystems").read_text()


class TestInitialMount:
    def test_nvmet_has_its_default_groups(self, initial: Instance) -> None:
        found = {entry.name for entry in initial.root.iterdir()}
        assert found == {"discovery_nqn", "hosts", "ports", "subsystems"}

    def test_nothing_is_configured_at_first(self, initial: Instance) -> None:
        assert (initial.hosts(), initial.subsystems(), initial.ports()) == ([], [], [])

    def test_only_groups_of_subsystems_lie_in_the_root(self, configfs: str) -> None:
        with errno_is(errno.EPERM):
            Path(configfs, "made-by-hand").mkdir()

    def test_a_default_group_cannot_be_removed(self, initial: Instance) -> None:
        with errno_is(errno.EPERM):
            (initial.root / "hosts").rmdir()


class TestItems:
    def test_what_is_made_is_there_until_removed(self, initial: Instance) -> None:
        with initial.holding(NvmetHost(NQN)):
            assert initial.hosts() == [NQN]
        assert initial.hosts() == []

    def test_the_same_name_twice_is_refused(self, initial: Instance) -> None:
        with initial.holding(NvmetHost(NQN)):
            with pytest.raises(FileExistsError):
                initial.add(NvmetHost(NQN))
            assert initial.hosts() == [NQN]

    def test_an_attribute_reads_back_what_was_written(self, initial: Instance) -> None:
        with initial.holding(Subsystem(NQN, attributes=(("serial", "harness1"),))):
            assert initial.read(f"subsystems/{NQN}/attr_serial") == "harness1"

    def test_a_value_the_attribute_does_not_know_is_refused(self, initial: Instance) -> None:
        with initial.holding(Subsystem(NQN)), pytest.raises(OSError, match="EINVAL"):
            initial.write(f"subsystems/{NQN}/attr_allow_any_host", "perhaps")

    def test_an_item_that_is_linked_to_cannot_be_removed(self, initial: Instance) -> None:
        linked = (NvmetHost(NQN), Subsystem(NQN, hosts=(NQN,)))
        with initial.holding(*linked), errno_is(errno.EBUSY):
            (initial.root / "hosts" / NQN).rmdir()

    def test_a_link_points_to_its_item(self, initial: Instance) -> None:
        with initial.holding(NvmetHost(NQN), Subsystem(NQN, hosts=(NQN,))):
            link = initial.root / "subsystems" / NQN / "allowed_hosts" / NQN
            assert link.resolve() == initial.root / "hosts" / NQN

    def test_renaming_an_item_is_refused(self, initial: Instance) -> None:
        with initial.holding(NvmetHost(NQN)), errno_is(errno.EPERM):
            (initial.root / "hosts" / NQN).rename(initial.root / "hosts" / "other")


class TestMountedTwice:
    def test_both_places_show_the_same_items(self, initial: Instance, tmp_path: Path) -> None:
        syscalls.mount("none", str(tmp_path), "configfs")
        try:
            with Instance(str(tmp_path)).holding(NvmetHost(NQN)):
                assert initial.hosts() == [NQN]
        finally:
            syscalls.umount(str(tmp_path))

    def test_both_places_are_one_superblock(self, configfs: str, tmp_path: Path) -> None:
        syscalls.mount("none", str(tmp_path), "configfs")
        try:
            assert tmp_path.stat().st_dev == Path(configfs).stat().st_dev
        finally:
            syscalls.umount(str(tmp_path))


def test_configuration_is_kept_across_umount_and_mount(initial: Instance, configfs: str) -> None:
    initial.add(NvmetHost(NQN))
    syscalls.umount(configfs)
    try:
        assert initial.hosts() == []
    finally:
        syscalls.mount("none", configfs, "configfs")
    kept = initial.hosts()
    initial.clear()
    assert kept == [NQN]
