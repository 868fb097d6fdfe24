# SPDX-License-Identifier: GPL-2.0-only
"""Lost connections: a host that misses its controller, waits, comes back, or gives up.

The other side is a container with a network of its own, at the end of a cable that can be cut.
It configures the initial instance, which it has inherited, or one of its own.
"""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from guestlib import disks, links, nvme
from guestlib.instances import check_own
from guestlib.nvmet import Instance, Namespace, Port, Subsystem, tcp_port
from harness.guestside import needs, wait
from harness.guestside.container import Container
from harness.guestside.expect import errno_is
from harness.guestside.task import Task

pytestmark = [
    needs.config("CONFIG_NVME_TARGET_TCP", "CONFIG_NVME_TCP"),
    needs.config("CONFIG_NVME_FABRICS"),
]
cables = [needs.config("CONFIG_VETH"), needs.program("ip")]

NQN = "nqn.2026-01.org.example:reconnect"
UUID = "99999999-9999-4999-8999-999999999999"
LINK, HERE, THERE = "cut0", "10.79.0.1/24", "10.79.0.2"
PORT = tcp_port(1, NQN, traddr=THERE)
BLOCK = 1 << 16
# A host that notices in a second or two, and tries again every second without end.
PATIENT = ("keep_alive_tmo=1", "reconnect_delay=1", "ctrl_loss_tmo=-1")


@dataclasses.dataclass(frozen=True)
class Far:
    """The far side: a container, and whether it has an instance of its own."""

    container: Container
    own: bool
    file: str

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Export its file over the cable."""
        if self.own:
            check_own(self.container)
        with links.cable(LINK, self.container.pid, HERE):
            self.container.run(self._serve)
            try:
                yield
            finally:
                self.container.run(lambda: Instance().clear())

    def _serve(self) -> None:
        links.set_up("eth0", f"{THERE}/24")
        subsystem = Subsystem(NQN, (Namespace(self.file, uuid=UUID, buffered=True),))
        Instance().add(subsystem, PORT)

    def shown(self, controller: nvme.Controller) -> Path | None:
        """Where debugfs shows the far end of a controller; None if it does not."""
        inside = Path("nvmet-instances", str(self.container.mount_namespace()))
        place = inside if self.own else Path("nvmet")
        folder = Path("/sys/kernel/debug", place, NQN, f"ctrl{controller.read('cntlid')}")
        return folder if folder.is_dir() else None


@pytest.fixture(params=["initial", "container"])
def far(request: pytest.FixtureRequest, make_container: Callable[..., Container], file: str) -> Far:
    own = request.param == "container"
    return Far(make_container(network=True, mounted=own), own, file)


@contextmanager
def cut() -> Iterator[None]:
    """The cable is cut: nothing arrives, and neither side is notified."""
    links.switch(LINK, on=False)
    try:
        yield
    finally:
        links.switch(LINK, on=True)


class TestCut:
    pytestmark = cables

    def test_a_host_comes_back_and_its_io_goes_on(self, far: Far) -> None:
        with far.serving(), nvme.connected(PORT, NQN, *PATIENT) as controller:
            device = controller.device(1, UUID)
            disks.write(device, disks.pattern(BLOCK, 1))
            with cut():
                controller.becomes("connecting")
                writer = Task(disks.write, device, disks.pattern(BLOCK, 2))
                assert disks.held(far.file, BLOCK) == disks.pattern(BLOCK, 1), "arrived anyway"
            controller.becomes("live")
            writer.result()
            assert disks.held(far.file, BLOCK) == disks.pattern(BLOCK, 2)
            assert disks.read(device, BLOCK) == disks.pattern(BLOCK, 2)

    @pytest.mark.parametrize("far", ["initial"], indirect=True)  # it is the host that acts
    def test_io_fails_while_the_host_still_tries_when_it_shall_fail_fast(self, far: Far) -> None:
        with far.serving(), nvme.connected(PORT, NQN, *PATIENT) as controller:
            device = controller.device(1, UUID)
            controller.write("fast_io_fail_tmo", 1)
            controller.becomes("live")  # a loss before this one has no such time
            with cut():
                controller.becomes("connecting")
                with errno_is(errno.EIO):
                    Task(disks.write, device, disks.pattern(BLOCK)).result()
                assert controller.state == "connecting", "the host gave up as well"
                controller.write("fast_io_fail_tmo", -1)  # what follows may be slow
            controller.becomes("live")
            disks.check_data(device, far.file, size=BLOCK)

    @pytest.mark.parametrize("far", ["initial"], indirect=True)  # it is the host that acts
    def test_a_host_gives_up_when_its_time_has_passed(self, far: Far) -> None:
        with far.serving():
            with nvme.connected(PORT, NQN, *PATIENT) as controller:
                controller.device(1, UUID)
                controller.write("ctrl_loss_tmo", 1)
                with cut():
                    controller.becomes("")
            with nvme.connected(PORT, NQN) as controller:
                disks.check_data(controller.device(1, UUID), far.file, size=BLOCK)

    @needs.config("CONFIG_NVME_TARGET_DEBUGFS")
    def test_a_host_that_is_not_heard_of_any_more_is_given_up(self, far: Far) -> None:
        with far.serving(), nvme.connected(PORT, NQN, *PATIENT) as controller:
            # Where the guest is slow such a short time may pass by itself: then it comes back.
            shown = wait.until(lambda: far.shown(controller), f"{NQN} in debugfs")
            with cut():
                wait.until(lambda: not shown.exists(), f"{shown} to be gone")
            controller.becomes("live")


@pytest.mark.usefixtures("place")
class TestPort:
    @pytest.fixture
    def own_network(self) -> bool:
        return False

    def test_a_host_comes_back_when_the_port_does(self, instance: Instance, file: str) -> None:
        port = tcp_port(1, NQN)
        with (
            instance.holding(Subsystem(NQN, (Namespace(file, uuid=UUID, buffered=True),)), port),
            nvme.connected(port, NQN, *PATIENT) as controller,
        ):
            device = controller.device(1, UUID)
            instance.unlink(1, NQN)
            controller.becomes("connecting", "resetting")
            instance.link(1, NQN)
            controller.becomes("live")
            disks.check_data(device, file, size=BLOCK)

    def test_a_host_gives_up_on_a_port_that_stays_away(self, instance: Instance) -> None:
        port = tcp_port(1, NQN)
        with (
            instance.holding(Subsystem(NQN), port),
            nvme.connected(port, NQN, *nvme.giving_up(port)) as controller,
        ):
            instance.unlink(1, NQN)
            controller.becomes("")

    def test_a_reset_keeps_device_and_data(
        self, instance: Instance, make_port: Callable[..., Port], file: str
    ) -> None:
        port = make_port(1, NQN)
        with (
            instance.holding(Subsystem(NQN, (Namespace(file, uuid=UUID, buffered=True),)), port),
            nvme.connected(port, NQN) as controller,
        ):
            device = controller.device(1, UUID)
            disks.write(device, disks.pattern(BLOCK))
            controller.reset()
            assert controller.device(1, UUID) == device
            assert disks.read(device, BLOCK) == disks.pattern(BLOCK)
