# SPDX-License-Identifier: GPL-2.0-only
"""Point 7 under load: several containers with the same names serve at the same time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import pytest

from guestlib import disks, fio, nvme
from guestlib.instances import check_own
from guestlib.nvmet import Instance, Namespace, Port, Subsystem, loop_port, tcp_port
from harness.guestside import needs
from harness.guestside.container import Container

pytestmark = [needs.program("fio"), needs.config("CONFIG_NVME_FABRICS")]

NQN = "nqn.2026-01.org.example:together"
COUNT = 3


def own_tcp_port(number: int) -> Port:
    # A host connects to each TCP address once, whatever the network.
    return tcp_port(1, NQN, traddr=f"127.0.0.{number}")


def own_loop_port(number: int) -> Port:
    return loop_port(1, NQN, name=f"own-{number}")


def serve_and_connect(subsystem: Subsystem, port: Port) -> nvme.Controller:
    """Export a subsystem from the caller's instance, and connect to it."""
    Instance().add(subsystem, port)
    return nvme.connect(port, NQN)


@pytest.mark.parametrize(
    "own_port",
    [
        pytest.param(own_loop_port, marks=needs.config("CONFIG_NVME_TARGET_LOOP"), id="loop"),
        pytest.param(
            own_tcp_port,
            marks=needs.config("CONFIG_NVME_TARGET_TCP", "CONFIG_NVME_TCP"),
            id="tcp",
        ),
    ],
)
class TestPoint7AtOnce:
    def test_each_container_keeps_its_own_data_under_load(
        self,
        make_container: Callable[..., Container],
        make_file: Callable[..., str],
        own_port: Callable[[int], Port],
    ) -> None:
        # One host takes them for one subsystem, so each has a namespace number of its own.
        files = {number: make_file(8) for number in range(1, COUNT + 1)}
        with ExitStack() as stack:
            devices = {}
            for number, file in files.items():
                container = make_container(network=True)
                check_own(container)
                subsystem = Subsystem(NQN, (Namespace(file, nsid=number, buffered=True),))
                controller = container.run(serve_and_connect, subsystem, own_port(number))
                stack.callback(controller.disconnect)
                devices[number] = controller.device(number)
            loads = [stack.enter_context(fio.begun(device)) for device in devices.values()]
            for load, device in zip(loads, devices.values(), strict=True):
                load.goes_on(partial(disks.done, device))  # while the others go on as well
            for load in loads:
                load.stop()
            for number, device in devices.items():
                disks.check_data(device, files[number], size=1 << 18, seed=number)
            for number, device in devices.items():
                found = disks.read(device, 1 << 18)
                assert found == disks.pattern(1 << 18, number), f"container {number}: other data"

    def test_one_that_dies_leaves_the_others_serving(
        self,
        make_container: Callable[..., Container],
        make_null_block: Callable[..., str],
        own_port: Callable[[int], Port],
    ) -> None:
        containers = [make_container(network=True) for _ in range(2)]
        backing = [make_null_block(16) for _ in containers]
        controllers = []
        with ExitStack() as stack:
            for number, (container, device) in enumerate(zip(containers, backing, strict=True), 1):
                check_own(container)
                subsystem = Subsystem(NQN, (Namespace(device, nsid=number),))
                controller = container.run(serve_and_connect, subsystem, own_port(number))
                stack.callback(controller.disconnect)
                controllers.append(controller)
            controllers[0].device(1)
            load = stack.enter_context(fio.begun(controllers[1].device(2)))
            load.goes_on(lambda: disks.done(backing[1]))
            containers[0].destroy()
            load.goes_on(lambda: disks.done(backing[1]))
            load.stop()
            assert controllers[1].state == "live", "the other container's controller suffered"
