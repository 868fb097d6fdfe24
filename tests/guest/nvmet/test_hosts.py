# SPDX-License-Identifier: GPL-2.0-only
"""Which hosts a subsystem allows."""

from __future__ import annotations

import errno

import pytest

from guestlib import nvme
from guestlib.nvmet import Instance, NvmetHost, Subsystem, loop_port
from harness.guestside import needs
from harness.guestside.expect import errno_is

pytestmark = [
    needs.config("CONFIG_NVME_TARGET_LOOP"),
    needs.config("CONFIG_NVME_FABRICS"),
    pytest.mark.usefixtures("place"),
]

NQN = "nqn.2026-01.org.example:hosts"
KNOWN = "nqn.2026-01.org.example:known"
STRANGER = "nqn.2026-01.org.example:stranger"
PORT = loop_port(1, NQN)
OPEN = Subsystem(NQN)
RESTRICTED = (NvmetHost(KNOWN), Subsystem(NQN, hosts=(KNOWN,)))


def test_any_host_may_connect_to_an_open_subsystem(instance: Instance) -> None:
    with instance.holding(OPEN, PORT), nvme.connected(PORT, NQN, host=STRANGER) as controller:
        assert controller.state == "live"


def test_an_allowed_host_may_connect(instance: Instance) -> None:
    with instance.holding(*RESTRICTED, PORT), nvme.connected(PORT, NQN, host=KNOWN) as controller:
        assert controller.read("hostnqn") == KNOWN


def test_another_host_is_refused(instance: Instance) -> None:
    with instance.holding(*RESTRICTED, PORT), pytest.raises(nvme.NvmeError):
        nvme.connect(PORT, NQN, host=STRANGER)


def test_another_host_does_not_find_the_subsystem_in_the_discovery_log(instance: Instance) -> None:
    with instance.holding(*RESTRICTED, PORT):
        assert nvme.exported(PORT, host=KNOWN) == [NQN]
        assert nvme.exported(PORT, host=STRANGER) == []


def test_a_host_that_is_allowed_later_may_connect_then(instance: Instance) -> None:
    with instance.holding(NvmetHost(STRANGER), *RESTRICTED, PORT):
        instance.allow(NQN, STRANGER)
        with nvme.connected(PORT, NQN, host=STRANGER) as controller:
            assert controller.state == "live"


def test_a_host_that_is_refused_later_stays_but_cannot_come_again(instance: Instance) -> None:
    second = loop_port(2, NQN)  # to come by again: nvme-cli connects to each address once
    with (
        instance.holding(*RESTRICTED, PORT, second),
        nvme.connected(PORT, NQN, host=KNOWN) as controller,
    ):
        instance.refuse(NQN, KNOWN)
        assert controller.state == "live", "the list says who may connect, not who may stay"
        with pytest.raises(nvme.NvmeError):
            nvme.connect(second, NQN, host=KNOWN)
        instance.allow(NQN, KNOWN)
        nvme.connect(second, NQN, host=KNOWN).disconnect()


def test_closing_a_subsystem_refuses_those_who_come_later(instance: Instance) -> None:
    with instance.holding(NvmetHost(KNOWN), OPEN, PORT):
        instance.write(f"subsystems/{NQN}/attr_allow_any_host", 0)
        with pytest.raises(nvme.NvmeError):
            nvme.connect(PORT, NQN, host=KNOWN)
        instance.allow(NQN, KNOWN)
        nvme.connect(PORT, NQN, host=KNOWN).disconnect()


def test_a_host_that_is_allowed_somewhere_cannot_be_removed(instance: Instance) -> None:
    with instance.holding(*RESTRICTED), errno_is(errno.EBUSY):
        (instance.root / "hosts" / KNOWN).rmdir()


def test_an_open_subsystem_takes_no_list_of_hosts(instance: Instance) -> None:
    with instance.holding(OPEN, NvmetHost(KNOWN)), errno_is(errno.EINVAL):
        instance.allow(NQN, KNOWN)


def test_a_subsystem_with_a_list_of_hosts_cannot_be_opened(instance: Instance) -> None:
    with instance.holding(*RESTRICTED), errno_is(errno.EINVAL):
        instance.write(f"subsystems/{NQN}/attr_allow_any_host", 1)
