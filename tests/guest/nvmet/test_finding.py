# SPDX-License-Identifier: GPL-2.0-only
"""In which instance a host's connection over loop finds its port."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from guestlib import nvme
from guestlib.instances import check_own
from guestlib.nvmet import Instance, Subsystem, loop_port
from harness.guestside import needs, syscalls
from harness.guestside.container import Container
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = [
    needs.config("CONFIG_NVME_FABRICS"),
    needs.config("CONFIG_NVME_TARGET_LOOP", "CONFIG_FUSE_FS"),
]

NQN = "nqn.2026-01.org.example:finding"
OTHER = "nqn.2026-01.org.example:finding-other"
PORT = loop_port(1, NQN, name="finding")


def connects() -> None:
    with nvme.connected(PORT, NQN) as controller:
        controller.becomes("live")


@pytest.fixture
def outer(initial: Instance) -> Iterator[Instance]:
    """The initial instance, which serves the port."""
    with initial.holding(Subsystem(NQN), PORT):
        yield initial


class TestPoint7Finding:
    @pytest.mark.usefixtures("outer")
    def test_an_inherited_port_although_a_context_is_open(
        self, make_container: Callable[..., Container]
    ) -> None:
        """Nothing is mounted yet, so there is no other instance to look in."""

        def connect_beside_it() -> None:
            fd = syscalls.fsopen("configfs")
            try:
                connects()
            finally:
                os.close(fd)

        make_container(mounted=False).run(connect_beside_it)

    def test_not_an_inherited_port_once_there_is_an_own_instance(
        self, make_container: Callable[..., Container], outer: Instance
    ) -> None:
        container = make_container()
        check_own(container)
        assert outer.ports() == ["1"]
        with pytest.raises(nvme.NvmeError):
            container.run(connects)

    def test_a_port_of_the_container_that_the_mounts_come_from(self, container: Container) -> None:
        """A copy of its mounts shows its instance on top of the initial one."""
        check_own(container)

        def connect_in_a_copy() -> None:
            syscalls.unshare(syscalls.CLONE_NEWNS)
            connects()

        container.run(lambda: Instance().add(Subsystem(NQN), PORT))
        container.run(connect_in_a_copy)

    @pytest.mark.usefixtures("outer")
    def test_no_path_is_walked(self, make_container: Callable[..., Container]) -> None:
        """Whoever does not answer in there would have every host of the machine wait."""

        def connect_below_a_dead_server() -> None:
            fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
            options = f"fd={fd},rootmode=40000,user_id=0,group_id=0"
            syscalls.mount("none", "/sys/kernel", "fuse", 0, options)
            connects()

        make_container(mounted=False).run(connect_below_a_dead_server)

    @pytest.mark.usefixtures("outer")
    def test_a_port_of_an_own_instance_that_no_path_leads_to(
        self, make_container: Callable[..., Container]
    ) -> None:
        """It has the names of the inherited one, which is still in sight, but another subsystem."""

        def connect_to_it() -> None:
            context = syscalls.fsopen("configfs")
            syscalls.fsconfig(context, syscalls.FSCONFIG_CMD_CREATE)
            mount = syscalls.fsmount(context)
            os.close(context)
            own = Instance(f"/proc/self/fd/{mount}")
            with own.holding(Subsystem(OTHER), loop_port(1, OTHER, name="finding")):
                nvme.connect(PORT, OTHER).disconnect()
                with pytest.raises(nvme.NvmeError):
                    connects()
            os.close(mount)

        make_container(mounted=False).run(connect_to_it)

    @pytest.mark.usefixtures("outer")
    def test_an_inherited_port_once_the_own_instance_is_gone(self, container: Container) -> None:
        """Also if a context still refers to what was the instance."""
        check_own(container)

        def leave_and_connect() -> None:
            context = syscalls.fsopen("configfs")
            syscalls.umount(CONFIGFS)
            connects()
            os.close(context)

        container.run(leave_and_connect)

    @pytest.mark.usefixtures("outer")
    def test_the_initial_one_where_nothing_is_mounted(
        self, make_container: Callable[..., Container]
    ) -> None:
        """It needs no mount."""

        def connect_without() -> None:
            syscalls.umount(CONFIGFS, syscalls.MNT_DETACH)
            connects()

        make_container(mounted=False).run(connect_without)
