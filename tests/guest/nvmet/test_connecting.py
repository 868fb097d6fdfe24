# SPDX-License-Identifier: GPL-2.0-only
"""Ports that go and come while hosts connect to them."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import suppress

import pytest

from guestlib import nvme
from guestlib.nvmet import Instance, Port, Subsystem
from harness.guestside import needs
from harness.guestside.task import Task

pytestmark = [needs.config("CONFIG_NVME_FABRICS"), pytest.mark.usefixtures("place")]

NQN = "nqn.2026-01.org.example:connecting"
ROUNDS = 6
MOMENTS = (
    60  # turns of the other tasks in which the port goes, of a few hundred that connecting takes
)


def connect(port: Port) -> None:
    with suppress(nvme.NvmeError):  # it came too late, or was thrown out
        nvme.connect(port, NQN, *nvme.giving_up(port)).disconnect()


def discover(port: Port) -> None:
    with suppress(nvme.NvmeError, OSError, AssertionError):  # the same, and at any moment
        nvme.discover(port)


def meanwhile(port: Port, moment: int, change: Callable[[], object]) -> None:
    """Make a change at some moment while two hosts connect, which do not hang for that."""
    hosts = [Task(connect, port), Task(discover, port)]
    try:
        for _ in range(moment):
            os.sched_yield()
        change()
        for host in hosts:
            host.result()
    finally:
        for host in hosts:
            host.kill()


def test_a_port_is_unlinked_and_linked_again(
    instance: Instance, make_port: Callable[..., Port]
) -> None:
    """No host stays on a port that is gone; and at the end the port serves."""
    port, chance = make_port(1, NQN), random.Random(1)

    def come_and_go() -> None:
        instance.unlink(1, NQN)
        instance.link(1, NQN)

    with instance.holding(Subsystem(NQN), port):
        with nvme.impatient(1):
            for _ in range(ROUNDS):
                meanwhile(port, chance.randrange(MOMENTS), come_and_go)
        with nvme.connected(port, NQN, *nvme.giving_up(port)) as controller:
            controller.becomes("live")
            instance.unlink(1, NQN)
            controller.becomes("")


def test_a_port_and_its_subsystem_are_removed_and_made_again(
    instance: Instance, make_port: Callable[..., Port]
) -> None:
    values, chance = (Subsystem(NQN), make_port(1, NQN)), random.Random(2)

    def come_and_go() -> None:
        instance.remove(*values)
        instance.add(*values)

    with instance.holding(*values):
        with nvme.impatient(1):
            for _ in range(ROUNDS):
                meanwhile(values[1], chance.randrange(MOMENTS), come_and_go)
        assert nvme.exported(values[1]) == [NQN]
