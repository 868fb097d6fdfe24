# SPDX-License-Identifier: GPL-2.0-only
"""Points 5 and 6: subsystems that know nothing of namespaces, and when they register."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.guestside import disks, needs
from harness.guestside.container import Container
from harness.guestside.expect import errno_is
from harness.guestside.nvmet import CONFIGFS

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET")


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
    """With the kernel's own sample module, whose subsystems know nothing of namespaces."""

    GROUP = "02-simple-children"

    @pytest.fixture(autouse=True)
    def _unloaded_at_the_end(self) -> object:
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

    def test_unloaded_in_a_container_it_is_gone(self, container: Container) -> None:
        modprobe()
        container.run(modprobe, "--remove")
        assert self.GROUP not in listing()


def modprobe(*options: str) -> None:
    done = subprocess.run(["modprobe", *options, "configfs_sample"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
