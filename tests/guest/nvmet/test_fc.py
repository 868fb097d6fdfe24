# SPDX-License-Identifier: GPL-2.0-only
"""Point 7: an FC target port is one nvmet port, in whatever instance.

    harness run --patched-only CONFIG_NVME_FC=y CONFIG_NVME_TARGET_FC=y \
        CONFIG_NVME_TARGET_FCLOOP=y --suite tests/guest/nvmet/test_fc.py
"""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guestlib.nvmet import Instance, Port, Subsystem
from harness.guestside import needs, wait
from harness.guestside.container import Container
from harness.guestside.expect import errno_is

pytestmark = needs.config("CONFIG_NVME_TARGET_FCLOOP")

NQN = "nqn.2026-01.org.example:fc"
NODE, NAME = "0x10000000c0a80101", "0x20000000c0a80101"
CONTROL = Path("/sys/class/fcloop/ctl")


@pytest.fixture
def port() -> Iterator[Port]:
    """An FC target port of the kernel's own loop device, as nvmet knows it."""
    names = f"wwnn={NODE},wwpn={NAME}"
    (CONTROL / "add_target_port").write_text(names)
    yield Port(1, "fc", f"nn-{NODE}:pn-{NAME}", adrfam="fc")
    (CONTROL / "del_target_port").write_text(names)


def enable() -> None:
    Instance().link(1, NQN)


def add_and_enable(port: Port) -> None:
    Instance().add(Subsystem(NQN), port)
    enable()


def enabled() -> bool:
    """Enable the port, unless its FC target port still serves another."""
    try:
        enable()
    except OSError as error:
        if error.errno != errno.EALREADY:
            raise
        return False
    return True


class TestPoint7FibreChannel:
    def test_a_second_instance_is_refused(
        self, port: Port, make_container: Callable[..., Container]
    ) -> None:
        one, other = make_container(), make_container()
        one.run(add_and_enable, port)
        with errno_is(errno.EALREADY):
            other.run(add_and_enable, port)

    def test_so_is_a_second_port_of_the_same_instance(self, port: Port, initial: Instance) -> None:
        with initial.holding(Subsystem(NQN), port, dataclasses.replace(port, id=2)):
            enable()
            with errno_is(errno.EALREADY):
                initial.link(2, NQN)

    def test_an_instance_that_ends_gives_it_back(
        self, port: Port, make_container: Callable[..., Container], initial: Instance
    ) -> None:
        container = make_container()
        container.run(add_and_enable, port)
        container.destroy()
        with initial.holding(Subsystem(NQN), port):
            wait.until(enabled, "the FC target port free again")
