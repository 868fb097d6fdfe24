# SPDX-License-Identifier: GPL-2.0-only
"""How many queues a host gets, and how deep they are."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Callable

import pytest

from guestlib import disks, nvme
from guestlib.nvmet import Instance, Namespace, Port, Subsystem
from harness.guestside import needs, wait
from harness.guestside.expect import errno_is

pytestmark = [needs.config("CONFIG_NVME_FABRICS"), pytest.mark.usefixtures("place")]

NQN = "nqn.2026-01.org.example:queues"
UUID = "0c7dd3d5-9a0b-4a3c-8a52-35e0cf0c11ab"
PROCESSORS = os.cpu_count() or 1
ADMIN = 1  # the queue that is always there


@pytest.fixture
def own_network() -> bool:
    return False  # hosts reconnect here


def limited(most: int, file: str = "") -> Subsystem:
    """A subsystem that grants at most so many I/O queues."""
    namespaces = (Namespace(file, uuid=UUID, buffered=True),) if file else ()
    return Subsystem(NQN, namespaces, attributes=(("qid_max", str(most)),))


@pytest.mark.parametrize("asked", [1, 2])
def test_a_host_gets_the_io_queues_it_asks_for(
    instance: Instance, make_port: Callable[..., Port], asked: int
) -> None:
    port = make_port(1, NQN)
    with (
        instance.holding(Subsystem(NQN), port),
        nvme.connected(port, NQN, io_queues=asked) as controller,
    ):
        # A host has no use for more than one for each processor.
        assert controller.queues() == ADMIN + min(asked, PROCESSORS)


def test_a_host_that_names_no_number_gets_a_queue_for_each_processor(
    instance: Instance, make_port: Callable[..., Port]
) -> None:
    port = make_port(1, NQN)
    with (
        instance.holding(Subsystem(NQN), port),
        nvme.connected(port, NQN, io_queues=0) as controller,
    ):
        assert controller.queues() == ADMIN + PROCESSORS


def test_a_subsystem_limits_the_number(instance: Instance, make_port: Callable[..., Port]) -> None:
    port = make_port(1, NQN)
    with (
        instance.holding(limited(1), port),
        nvme.connected(port, NQN, io_queues=2) as controller,
    ):
        assert controller.queues() == ADMIN + 1


@pytest.mark.parametrize("number", ["0", "129", "x"])
def test_a_limit_out_of_range_is_refused(instance: Instance, number: str) -> None:
    with instance.holding(limited(1)), errno_is(errno.EINVAL):
        instance.write(f"subsystems/{NQN}/attr_qid_max", number)


@pytest.mark.skipif(PROCESSORS < 2, reason="needs: two processors, or all hosts have one queue")
def test_a_limit_changed_while_connected_has_the_host_come_back_with_that_many(
    instance: Instance, make_port: Callable[..., Port], file: str
) -> None:
    port = make_port(1, NQN)
    options = ["reconnect_delay=1"] if port.trtype == "tcp" else []
    with (
        instance.holding(limited(2, file), port),
        nvme.connected(port, NQN, *options, io_queues=2) as controller,
    ):
        device = controller.device(1, UUID)
        assert controller.queues() == ADMIN + 2
        instance.write(f"subsystems/{NQN}/attr_qid_max", 1)
        if port.trtype == "loop":  # which never reconnects
            controller.becomes("")
            return
        wait.until(
            lambda: controller.state == "live" and controller.queues() == ADMIN + 1,
            f"{controller.name} to be live again with {ADMIN + 1} queues",
        )
        disks.check_data(device, file, size=1 << 16)


def test_a_port_limits_the_length(instance: Instance, make_port: Callable[..., Port]) -> None:
    port = dataclasses.replace(make_port(1, NQN), params=(("max_queue_size", "32"),))
    with (
        instance.holding(Subsystem(NQN), port),
        nvme.connected(port, NQN, "queue_size=128") as controller,
    ):
        assert int(controller.read("sqsize")) + 1 == 32
