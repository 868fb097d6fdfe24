# SPDX-License-Identifier: GPL-2.0-only
"""Which hosts a subsystem lets in."""

from __future__ import annotations

import errno

import pytest

from harness.guestside import needs, nvme
from harness.guestside.expect import errno_is
from harness.guestside.nvmet import Host, Instance, Subsystem, loop_port

pytestmark = [needs.config("CONFIG_NVME_TARGET_LOOP"), needs.program("nvme")]

NQN = "nqn.2026-01.org.example:hosts"
KNOWN = "nqn.2026-01.org.example:known"
STRANGER = "nqn.2026-01.org.example:stranger"
PORT = loop_port(1, NQN)
OPEN = Subsystem(NQN)
RESTRICTED = (Host(KNOWN), Subsystem(NQN, hosts=(KNOWN,)))


def test_any_host_may_connect_to_an_open_subsystem(initial: Instance) -> None:
    with initial.holding(OPEN, PORT), nvme.connected(PORT, NQN, host=STRANGER) as controller:
        assert controller.state == "live"


def test_an_allowed_host_may_connect(initial: Instance) -> None:
    with initial.holding(*RESTRICTED, PORT), nvme.connected(PORT, NQN, host=KNOWN) as controller:
        assert controller.read("hostnqn") == KNOWN


def test_another_host_is_refused(initial: Instance) -> None:
    with initial.holding(*RESTRICTED, PORT), pytest.raises(nvme.NvmeError):
        nvme.connect(PORT, NQN, host=STRANGER)


def test_another_host_does_not_find_the_subsystem_in_the_discovery_log(initial: Instance) -> None:
    with initial.holding(*RESTRICTED, PORT):
        assert nvme.exported(PORT, host=KNOWN) == [NQN]
        assert nvme.exported(PORT, host=STRANGER) == []


def test_a_host_that_is_allowed_later_may_connect_then(initial: Instance) -> None:
    with initial.holding(Host(STRANGER), *RESTRICTED, PORT):
        link = initial.root / f"subsystems/{NQN}/allowed_hosts/{STRANGER}"
        link.symlink_to(initial.root / "hosts" / STRANGER)
        with nvme.connected(PORT, NQN, host=STRANGER) as controller:
            assert controller.state == "live"


def test_an_open_subsystem_takes_no_list_of_hosts(initial: Instance) -> None:
    with initial.holding(OPEN, Host(KNOWN)), errno_is(errno.EINVAL):
        link = initial.root / f"subsystems/{NQN}/allowed_hosts/{KNOWN}"
        link.symlink_to(initial.root / "hosts" / KNOWN)


def test_a_subsystem_with_a_list_of_hosts_cannot_be_opened(initial: Instance) -> None:
    with initial.holding(*RESTRICTED), errno_is(errno.EINVAL):
        initial.write(f"subsystems/{NQN}/attr_allow_any_host", 1)
