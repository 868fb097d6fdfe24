# SPDX-License-Identifier: GPL-2.0-only
"""Point 7 where something stays global: Fibre Channel, over the kernel's own loopback of it.

Needs a kernel that has it:

    harness run --patched-only CONFIG_NVME_FC=y CONFIG_NVME_TARGET_FC=y \\
        CONFIG_NVME_TARGET_FCLOOP=y --suite tests/guest/nvmet/test_fc.py
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guestlib import disks, nvme
from guestlib.instances import check_own
from guestlib.nvmet import Instance, Namespace, Port, Subsystem
from harness.guestside import kernelfiles, needs, syscalls, wait
from harness.guestside.container import Container, mount_configfs
from harness.guestside.expect import errno_is
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = needs.config(
    "CONFIG_NVME_FC", "CONFIG_NVME_TARGET_FCLOOP", "CONFIG_NVME_TARGET_DEBUGFS"
)

NQN = "nqn.2026-01.org.example:fc"
UUID = "66666666-6666-4666-8666-666666666666"
INSTANCES = Path("/sys/kernel/debug/nvmet-instances")
FCLOOP = Path("/sys/class/fcloop/ctl")
# Node and port names of the host's adapter and of the target's.
HOST = ("0x10001100ab000001", "0x20001100ab000001")
TARGET = ("0x10001100aa000002", "0x20001100aa000002")
ROUNDS = 5


def address(names: tuple[str, str]) -> str:
    return "nn-{}:pn-{}".format(*names)


def names(prefix: str, of: tuple[str, str]) -> str:
    return f"{prefix}wwnn={of[0]},{prefix}wwpn={of[1]}"


PORT = Port(1, "fc", address(TARGET), adrfam="fc", subsystems=(NQN,))
VIA = f"host_traddr={address(HOST)}"


@pytest.fixture(autouse=True)
def _fabric(configfs: str) -> Iterator[None]:
    """A target port of the machine, and a host that sees it."""
    local, target = names("", HOST), names("", TARGET)
    kernelfiles.store(FCLOOP / "add_local_port", local)
    kernelfiles.store(FCLOOP / "add_target_port", target)
    remote = f"{target},{names('lp', HOST)},roles=0x60"
    kernelfiles.store(FCLOOP / "add_remote_port", remote)
    yield
    kernelfiles.store(FCLOOP / "del_remote_port", target)
    kernelfiles.store(FCLOOP / "del_target_port", target)
    kernelfiles.store(FCLOOP / "del_local_port", local)


def test_a_container_serves_a_host(container: Container, make_file: Callable[..., str]) -> None:
    check_own(container)
    file = make_file(4)
    namespace = Namespace(file, uuid=UUID, buffered=True)
    container.run(lambda: Instance().add(Subsystem(NQN, (namespace,)), PORT))
    with nvme.connected(PORT, NQN, VIA, "ctrl_loss_tmo=0") as controller:
        disks.check_data(controller.device(1, UUID), file, size=disks.MEBI)
        folder = INSTANCES / str(container.mount_namespace()) / NQN
        assert (folder / f"ctrl{controller.read('cntlid')}").is_dir()


def test_a_target_port_is_a_port_of_one_instance(
    make_container: Callable[..., Container],
) -> None:
    """Of whichever comes first, until that lets go of it."""
    one, other = make_container(), make_container()
    check_own(one)
    one.run(lambda: Instance().add(Subsystem(NQN), PORT))
    with errno_is(errno.EALREADY):
        other.run(lambda: Instance().add(Subsystem(NQN), PORT))
    one.run(syscalls.umount, CONFIGFS)
    other.run(lambda: Instance().add(Subsystem(NQN), PORT))


def test_each_instance_is_shown_though_controllers_of_the_last_one_linger(
    container: Container, make_file: Callable[..., str]
) -> None:
    """FC waits for nobody when a port goes, so the folder of the last one may still be there."""
    check_own(container)
    namespace = Namespace(make_file(1), uuid=UUID, buffered=True)
    number = str(container.mount_namespace())

    def shown() -> bool:
        return any((f / NQN).is_dir() for f in INSTANCES.glob(f"{number}*"))

    def come_again() -> None:
        syscalls.umount(CONFIGFS)
        mount_configfs()

    for _ in range(ROUNDS):
        wait.until(lambda: not shown(), "the last one to be gone")
        container.run(lambda: Instance().add(Subsystem(NQN, (namespace,)), PORT))
        assert shown()
        controller = nvme.connect(PORT, NQN, VIA, "ctrl_loss_tmo=0")
        container.run(come_again)
        assert list(INSTANCES.glob(f"{number}*")), "the new one is not shown"
        controller.disconnect()
    container.run(syscalls.umount, CONFIGFS)
    wait.until(lambda: not list(INSTANCES.glob(f"{number}*")), "all to be gone")
