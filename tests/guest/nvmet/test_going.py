# SPDX-License-Identifier: GPL-2.0-only
"""What patches/nvmet-fixes mends: ports, namespaces and controllers that go while others are busy.

All of it is in the initial instance: these faults are older than instances.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from guestlib import nvme
from guestlib.fuse import StuckFiles, stuck_files, try_to_write
from guestlib.nvmet import Instance, Namespace, Subsystem, loop_port
from guestlib.races import Step, ignoring, race
from harness.guestside import needs, syscalls
from harness.guestside.expect import errno_is
from harness.guestside.task import Task

pytestmark = [
    needs.config("CONFIG_NVME_TARGET_LOOP", "CONFIG_FUSE_FS"),
    needs.config("CONFIG_NVME_FABRICS"),
]

NQN = "nqn.2026-01.org.example:going"
OTHER = "nqn.2026-01.org.example:other"
PORT = loop_port(1, NQN, name="going")
ANY_HOST = f"subsystems/{NQN}/attr_allow_any_host"
ROUNDS = 10
RACES = 300


@pytest.fixture
def stuck(initial: Instance, tmpfs: Path) -> Iterator[StuckFiles]:
    """A file whose writes hang; at the end the initial instance has let go of it."""
    place = tmpfs / "stuck"
    with stuck_files(Task, place) as files, ExitStack() as stack:
        stack.callback(syscalls.umount, str(place), syscalls.MNT_DETACH)
        stack.callback(initial.clear)
        stack.callback(files.close_server)
        yield files


class TestAPortGoes:
    def test_while_its_controller_is_reset(self, initial: Instance) -> None:
        """The reset connects anew, for which it needs what removing the port holds."""
        with initial.holding(Subsystem(NQN), PORT):
            for _ in range(ROUNDS):
                controller = nvme.connect(PORT, NQN)
                reset = Task(ignoring, partial(controller.write, "reset_controller", 1))
                Task(initial.unlink, 1, NQN).result()
                reset.result()
                controller.becomes("")
                initial.link(1, NQN)

    def test_and_takes_discovery_controllers_along(self, initial: Instance) -> None:
        """No port is linked to what they are connected to, so nobody looked for them."""
        with initial.holding(Subsystem(NQN), PORT), nvme.discovery(PORT) as controller:
            initial.unlink(1, NQN)
            controller.becomes("")

    def test_while_the_disk_of_another_does_not_answer(
        self, initial: Instance, stuck: StuckFiles
    ) -> None:
        """Direct, so that the command hangs in a worker of nvmet's own workqueue."""
        values = Subsystem(NQN, (Namespace(stuck.path),)), PORT
        initial.add(*values, Subsystem(OTHER), loop_port(2, OTHER, name="idle"))
        controller = nvme.connect(PORT, NQN)
        writer = Task(try_to_write, controller.device())
        stuck.wait_for_write()
        Task(initial.remove_port, "2").result()
        stuck.close_server()
        writer.result()
        controller.disconnect()

    def test_while_subsystems_tell_their_ports_of_a_change(self, initial: Instance) -> None:
        folder = initial.root / "ports/2"
        steps: list[Step] = [
            lambda _: ignoring(folder.mkdir, folder.rmdir),
            lambda chance: initial.write(ANY_HOST, chance.randrange(2)),
        ]
        with initial.holding(Subsystem(NQN), PORT):
            race(steps, seed=1, rounds=RACES)
            ignoring(folder.rmdir)


class TestANamespaceGoes:
    def test_while_the_disk_of_another_does_not_answer(
        self, initial: Instance, stuck: StuckFiles, file: str
    ) -> None:
        """Both are buffered, and share a workqueue."""
        initial.add(
            Subsystem(NQN, (Namespace(stuck.path, buffered=True),)),
            Subsystem(OTHER, (Namespace(file, buffered=True),)),
            PORT,
        )
        controller = nvme.connect(PORT, NQN)
        writer = Task(try_to_write, controller.device())
        stuck.wait_for_write()
        Task(initial.write, f"{initial.namespace(OTHER)}/enable", 0).result()
        stuck.close_server()
        writer.result()
        controller.disconnect()


class TestAControllerGoes:
    def test_when_its_host_is_refused_on_a_reset(self, initial: Instance) -> None:
        """Loop does not try again: whoever is allowed once more connects once more."""
        with initial.holding(Subsystem(NQN), PORT):
            controller = nvme.connect(PORT, NQN)
            initial.write(ANY_HOST, 0)
            with errno_is(errno.ENETRESET):
                controller.write("reset_controller", 1)
            controller.becomes("")
            initial.write(ANY_HOST, 1)
            with nvme.connected(PORT, NQN) as again:
                assert again.state == "live"


class TestADiscoveryNqn:
    def test_is_never_that_of_a_subsystem(self, initial: Instance) -> None:
        """Of two who want the same name at the same time one is refused."""
        usual = initial.read("discovery_nqn")
        folder = initial.root / "subsystems" / NQN

        def come_and_go(_: random.Random) -> None:
            folder.mkdir()
            taken = initial.read("discovery_nqn") == NQN  # nobody can change it while it is there
            folder.rmdir()
            assert not taken, "one name for both"

        def rename(_: random.Random) -> None:
            initial.write("discovery_nqn", NQN)
            initial.write("discovery_nqn", usual)

        try:
            race([come_and_go, rename], seed=1, rounds=RACES)
        finally:
            ignoring(folder.rmdir)
            initial.write("discovery_nqn", usual)
