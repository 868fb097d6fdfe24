# SPDX-License-Identifier: GPL-2.0-only
"""ANA: what a port reports about its paths, and where I/O goes with multipath."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from guestlib import disks, fio, logs, nvme
from guestlib.nvmet import AnaGroup, Instance, Namespace, Port, Subsystem, loop_port
from guestlib.states import waits
from harness.guestside import needs, wait
from harness.guestside.expect import errno_is
from harness.guestside.task import Task

pytestmark = [
    needs.config("CONFIG_NVME_TARGET_LOOP", "CONFIG_NVME_MULTIPATH"),
    needs.config("CONFIG_NVME_FABRICS"),
    pytest.mark.usefixtures("place"),
]

NQN = "nqn.2026-01.org.example:ana"
UUID = "44444444-4444-4444-8444-444444444444"
STATES = ["optimized", "non-optimized", "inaccessible", "change"]


def state_is(controller: nvme.Controller, state: str) -> None:
    """The host must learn of a state by itself, from the change event."""
    wait.until(
        lambda: controller.path_attribute("ana_state") == state,
        f"{controller.name} to call its path {state}",
    )


@contextmanager
def two_paths(
    instance: Instance, namespace: Namespace, *ports: Port
) -> Iterator[tuple[str, tuple[nvme.Controller, nvme.Controller]]]:
    """A device of a host that reaches it through two ports, and the controller of each."""
    with (
        instance.holding(Subsystem(NQN, (namespace,)), *ports),
        nvme.connected(ports[0], NQN) as one,
        nvme.connected(ports[1], NQN) as two,
    ):
        device = one.device(1, UUID)
        assert two.device(1, UUID) == device, "two paths, but two devices"
        yield device, (one, two)


@pytest.mark.parametrize("state", STATES)
def test_a_host_learns_the_state_of_a_group(instance: Instance, file: str, state: str) -> None:
    namespace = Namespace(file, uuid=UUID, buffered=True)
    with (
        instance.holding(Subsystem(NQN, (namespace,)), loop_port(1, NQN)),
        nvme.connected(loop_port(1), NQN) as controller,
    ):
        controller.device(1, UUID)
        state_is(controller, "optimized")
        instance.set_ana_state(1, state)
        state_is(controller, state)
        instance.set_ana_state(1, "optimized")
        state_is(controller, "optimized")


def test_a_group_of_its_own_has_its_own_state(instance: Instance, file: str) -> None:
    namespace = Namespace(file, uuid=UUID, ana_group=2, buffered=True)
    port = Port(1, "loop", "loop-1", subsystems=(NQN,), ana_groups=(AnaGroup(2, "non-optimized"),))
    with (
        instance.holding(Subsystem(NQN, (namespace,)), port),
        nvme.connected(port, NQN) as controller,
    ):
        controller.device(1, UUID)
        state_is(controller, "non-optimized")
        assert controller.path_attribute("ana_grpid") == "2"
        instance.write(f"{instance.namespace(NQN)}/ana_grpid", 1)  # moved to the default group
        state_is(controller, "optimized")


def test_io_goes_on_through_the_path_that_is_left(
    instance: Instance, make_port: Callable[..., Port], file: str
) -> None:
    ports = ports_of(make_port)
    namespace = Namespace(file, uuid=UUID, buffered=True)
    with two_paths(instance, namespace, *ports) as (device, paths):
        for seed, lost in enumerate((0, 1), 1):
            instance.set_ana_state(ports[lost].id, "inaccessible")
            state_is(paths[lost], "inaccessible")
            state_is(paths[1 - lost], "optimized")
            disks.check_data(device, file, size=1 << 18, seed=seed)
            instance.set_ana_state(ports[lost].id, "optimized")
            state_is(paths[lost], "optimized")


@needs.program("fio")
@needs.config("CONFIG_BLK_DEV_NULL_BLK")
def test_verified_io_survives_every_change_of_state(
    instance: Instance, make_port: Callable[..., Port], disk: str
) -> None:
    ports = ports_of(make_port)
    with (
        two_paths(instance, Namespace(disk, uuid=UUID), *ports) as (device, paths),
        fio.begun(device) as load,
    ):
        done = partial(disks.done, disk)
        load.goes_on(done)
        for number, state in enumerate(["inaccessible", "non-optimized", "change", "optimized"]):
            moved, other = number % 2, 1 - number % 2
            instance.set_ana_state(ports[other].id, "optimized")
            state_is(paths[other], "optimized")
            instance.set_ana_state(ports[moved].id, state)
            state_is(paths[moved], state)
            load.goes_on(done)
        load.stop()


def test_io_waits_while_no_path_is_accessible(
    instance: Instance, make_port: Callable[..., Port], file: str
) -> None:
    ports = ports_of(make_port)
    namespace = Namespace(file, uuid=UUID, buffered=True)
    with two_paths(instance, namespace, *ports) as (device, paths):
        for port, path in zip(ports, paths, strict=True):
            instance.set_ana_state(port.id, "inaccessible")
            state_is(path, "inaccessible")
        writer = Task(disks.write, device, disks.pattern(4096))
        try:
            wait.until(lambda: waits(writer.pid), "the writer to wait for a path")
            instance.set_ana_state(ports[1].id, "optimized")
            writer.result()
        finally:
            writer.kill()
        assert disks.held(file, 4096) == disks.pattern(4096)


def ports_of(make_port: Callable[..., Port]) -> tuple[Port, Port]:
    """Two ports of one transport that export the subsystem."""
    one, two = make_port(1, NQN), make_port(2, NQN)
    return one, (dataclasses.replace(two, trsvcid="4421") if two.trsvcid else two)


@pytest.fixture
def disk(make_null_block: Callable[..., str]) -> str:
    """A device that counts its I/O."""
    return make_null_block(16)


def test_group_one_is_there_by_default_and_stays(instance: Instance) -> None:
    with instance.holding(loop_port(1)), errno_is(errno.EPERM):
        (instance.root / "ports/1/ana_groups/1").rmdir()


@pytest.mark.parametrize("number", ["0", "1000", "x"])
def test_a_group_number_out_of_range_is_refused(instance: Instance, number: str) -> None:
    with instance.holding(loop_port(1)), errno_is(errno.EINVAL):
        (instance.root / "ports/1/ana_groups" / number).mkdir()


def test_an_unknown_state_is_refused(instance: Instance) -> None:
    with instance.holding(loop_port(1)), errno_is(errno.EINVAL):
        instance.write("ports/1/ana_groups/1/ana_state", "sleepy")


def test_a_log_read_in_part_tells_how_many_groups_there_are(instance: Instance, file: str) -> None:
    """So that the host asks for more; the groups that fit are in there."""
    groups = tuple(AnaGroup(number) for number in (2, 3, 9))
    port = Port(1, "loop", "loop-1", subsystems=(NQN,), ana_groups=groups)
    namespace = Namespace(file, uuid=UUID, buffered=True)
    with (
        instance.holding(Subsystem(NQN, (namespace,)), port),
        nvme.connected(port, NQN) as controller,
    ):
        whole = logs.ana(controller.device_file)
        assert sorted(whole.groups) == [1, 2, 3, 9]
        for size in logs.ANA_HEADER, logs.ANA_HEADER + 36, logs.ANA_HEADER + 36 + 32:
            assert logs.ana_header(controller.device_file, size) == (whole.changes, 4)
