# SPDX-License-Identifier: GPL-2.0-only
"""ANA: what a port says of its paths, and where I/O goes under multipath."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from harness.guestside import disks, needs, nvme, wait
from harness.guestside.expect import errno_is
from harness.guestside.nvmet import AnaGroup, Instance, Namespace, Port, Subsystem, loop_port

pytestmark = [
    needs.config("CONFIG_NVME_TARGET_LOOP", "CONFIG_NVME_MULTIPATH"),
    needs.program("nvme"),
]

NQN = "nqn.2026-01.org.example:ana"
UUID = "44444444-4444-4444-8444-444444444444"


def state_is(controller: nvme.Controller, state: str) -> None:
    """The host must learn of a state by itself, from the change event."""
    wait.until(
        lambda: controller.path_attribute("ana_state") == state,
        f"{controller.name} to call its path {state}",
    )


@pytest.mark.parametrize("state", ["optimized", "non-optimized", "inaccessible", "change"])
def test_a_host_learns_the_state_of_a_group(
    initial: Instance, make_file: Callable[..., str], state: str
) -> None:
    namespace = Namespace(make_file(1), uuid=UUID, buffered=True)
    with (
        initial.holding(Subsystem(NQN, (namespace,)), loop_port(1, NQN)),
        nvme.connected(loop_port(1), NQN) as controller,
    ):
        controller.device(1, UUID)
        state_is(controller, "optimized")
        initial.write("ports/1/ana_groups/1/ana_state", state)
        state_is(controller, state)
        initial.write("ports/1/ana_groups/1/ana_state", "optimized")
        state_is(controller, "optimized")


def test_a_group_of_its_own_has_its_own_state(
    initial: Instance, make_file: Callable[..., str]
) -> None:
    namespace = Namespace(make_file(1), uuid=UUID, ana_group=2, buffered=True)
    port = Port(1, "loop", "loop-1", subsystems=(NQN,), ana_groups=(AnaGroup(2, "non-optimized"),))
    with (
        initial.holding(Subsystem(NQN, (namespace,)), port),
        nvme.connected(port, NQN) as controller,
    ):
        controller.device(1, UUID)
        state_is(controller, "non-optimized")
        assert controller.path_attribute("ana_grpid") == "2"


def test_io_goes_on_through_the_path_that_is_left(
    initial: Instance, make_file: Callable[..., str]
) -> None:
    file = make_file(16)
    ports = [loop_port(number, NQN) for number in (1, 2)]
    with (
        initial.holding(Subsystem(NQN, (Namespace(file, uuid=UUID, buffered=True),)), *ports),
        nvme.connected(ports[0], NQN) as one,
        nvme.connected(ports[1], NQN) as two,
    ):
        device = one.device(1, UUID)
        assert two.device(1, UUID) == device, "two paths, but two devices"
        for seed, (lost, kept) in enumerate([(1, two), (2, one)], 1):
            initial.write(f"ports/{lost}/ana_groups/1/ana_state", "inaccessible")
            state_is(one if lost == 1 else two, "inaccessible")
            state_is(kept, "optimized")
            disks.check_data(device, file, size=disks.MEBI, seed=seed)
            initial.write(f"ports/{lost}/ana_groups/1/ana_state", "optimized")
            state_is(one if lost == 1 else two, "optimized")


def test_group_one_is_there_by_default_and_stays(initial: Instance) -> None:
    with initial.holding(loop_port(1)), errno_is(errno.EPERM):
        (initial.root / "ports/1/ana_groups/1").rmdir()


@pytest.mark.parametrize("number", ["0", "1000", "x"])
def test_a_group_number_out_of_range_is_refused(initial: Instance, number: str) -> None:
    with initial.holding(loop_port(1)), errno_is(errno.EINVAL):
        (initial.root / "ports/1/ana_groups" / number).mkdir()


def test_an_unknown_state_is_refused(initial: Instance) -> None:
    with initial.holding(loop_port(1)), errno_is(errno.EINVAL):
        initial.write("ports/1/ana_groups/1/ana_state", "sleepy")
