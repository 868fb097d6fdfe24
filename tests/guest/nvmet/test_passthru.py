# SPDX-License-Identifier: GPL-2.0-only
"""Passthru: a controller exported as it is.

The guest has no NVMe hardware; the kernel hands through a controller of loop as well.  So one
instance exports a file over loop, and another subsystem hands that controller on.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from guestlib import disks, nvme
from guestlib.instances import check_own
from guestlib.nvmet import Instance, Namespace, Port, Subsystem, loop_port
from harness.guestside import needs
from harness.guestside.container import Container
from harness.guestside.expect import errno_is

pytestmark = [
    needs.config("CONFIG_NVME_TARGET_PASSTHRU", "CONFIG_NVME_TARGET_LOOP"),
    needs.config("CONFIG_NVME_FABRICS"),
]

INNER = "nqn.2026-01.org.example:passthru-inner"
OUTER = "nqn.2026-01.org.example:passthru-outer"
UUID = "88888888-8888-4888-8888-888888888888"
HOST = "nqn.2026-01.org.example:passthru-host"


@contextmanager
def handed_through(file: str) -> Iterator[nvme.Controller]:
    """A controller to export, over loop from the caller's instance."""
    port = loop_port(9, INNER)
    with (
        Instance().holding(Subsystem(INNER, (Namespace(file, uuid=UUID, buffered=True),)), port),
        nvme.connected(port, INNER) as controller,
    ):
        controller.device(1, UUID)
        yield controller


@pytest.mark.usefixtures("place")
class TestPassthru:
    def test_data_goes_through_to_what_the_inner_controller_serves(
        self, instance: Instance, make_port: Callable[..., Port], file: str
    ) -> None:
        port = make_port(1, OUTER)
        with handed_through(file) as inner:
            outer = Subsystem(OUTER, passthru=f"/dev/{inner.name}")
            with instance.holding(outer):
                # The host is this machine, too, and takes no two disks with one identity.
                instance.write(f"subsystems/{OUTER}/passthru/clear_ids", 1)
                with (
                    instance.holding(port),
                    nvme.connected(port, OUTER, host=HOST) as controller,
                ):
                    disks.check_data(controller.device(1), file, size=1 << 18)

    def test_a_subsystem_has_either_namespaces_or_a_controller(
        self, instance: Instance, file: str
    ) -> None:
        with handed_through(file) as inner:
            outer = Subsystem(OUTER, (Namespace(file, enabled=False, buffered=True),))
            with instance.holding(outer):
                folder = f"subsystems/{OUTER}"
                instance.write(f"{folder}/passthru/device_path", f"/dev/{inner.name}")
                instance.write(f"{instance.namespace(OUTER)}/enable", 1)
                with errno_is(errno.EINVAL):
                    instance.write(f"{folder}/passthru/enable", 1)
                instance.write(f"{instance.namespace(OUTER)}/enable", 0)

    def test_what_is_no_controller_is_refused(self, instance: Instance) -> None:
        with errno_is(errno.EINVAL):
            instance.add(Subsystem(OUTER, passthru="/dev/null"))
        assert instance.subsystems() == []


class TestPoint7OneController:
    def test_a_controller_is_handed_through_once_on_the_whole_machine(
        self, container: Container, initial: Instance, file: str
    ) -> None:
        check_own(container)
        with handed_through(file) as inner:
            outer = Subsystem(OUTER, passthru=f"/dev/{inner.name}")

            def add() -> None:
                Instance().add(outer)

            with initial.holding(outer), errno_is(errno.EINVAL):
                container.run(add)
            container.run(add)  # the initial instance has given it back
            with errno_is(errno.EINVAL):
                initial.add(outer)
            container.destroy()
            initial.add(outer)
            initial.remove(outer)
            assert Path(f"/dev/{inner.name}").exists()
