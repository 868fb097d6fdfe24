# SPDX-License-Identifier: GPL-2.0-only
"""The discovery log: what a host learns before it connects."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from guestlib import logs, nvme
from guestlib.nvmet import DISCOVERY_NQN, Instance, Port, Referral, Subsystem, loop_port
from harness.guestside import needs
from harness.guestside.expect import errno_is

pytestmark = [
    needs.config("CONFIG_NVME_TARGET_LOOP"),
    needs.config("CONFIG_NVME_FABRICS"),
    pytest.mark.usefixtures("place"),
]

NQN = "nqn.2026-01.org.example:discovery-a"
OTHER = "nqn.2026-01.org.example:discovery-b"
TIMES = 5


def test_the_log_names_the_subsystems_of_the_port(instance: Instance) -> None:
    port = loop_port(3, NQN, OTHER)
    with instance.holding(Subsystem(NQN), Subsystem(OTHER), port):
        assert sorted(nvme.exported(port)) == [NQN, OTHER]


def test_an_entry_tells_how_to_connect(instance: Instance) -> None:
    port = loop_port(3, NQN)
    with instance.holding(Subsystem(NQN), port):
        _, log = nvme.discover(port)
        entry = next(entry for entry in log if entry.nqn == NQN)
        assert (entry.trtype, entry.traddr, entry.port) == ("loop", "loop-3", 3)


def test_what_another_port_exports_is_not_named(instance: Instance) -> None:
    one, two = loop_port(1, NQN), loop_port(2, OTHER)
    with instance.holding(Subsystem(NQN), Subsystem(OTHER), one, two):
        assert nvme.exported(one) == [NQN]
        assert nvme.exported(two) == [OTHER]


def test_a_referral_names_another_discovery_service(instance: Instance) -> None:
    referral = Referral("next", "tcp", "192.0.2.7", "8009", "ipv4")
    port = Port(1, "loop", "loop-1", subsystems=(NQN,), referrals=(referral,))
    with instance.holding(Subsystem(NQN), port):
        _, log = nvme.discover(port)
        found = [(e.kind, e.nqn) for e in log if e.traddr == "192.0.2.7"]
        assert found == [("discovery subsystem referral", DISCOVERY_NQN)]


def test_a_disabled_referral_is_not_named(instance: Instance) -> None:
    referral = Referral("next", "tcp", "192.0.2.7", "8009", "ipv4")
    port = Port(1, "loop", "loop-1", subsystems=(NQN,), referrals=(referral,))
    with instance.holding(Subsystem(NQN), port):
        instance.write("ports/1/referrals/next/enable", 0)
        assert [e for e in nvme.discover(port)[1] if e.traddr == "192.0.2.7"] == []


def test_a_referral_removed_is_not_named_any_more(instance: Instance) -> None:
    port = loop_port(1, NQN)
    with instance.holding(Subsystem(NQN), port):
        instance.add_referral(1, Referral("next", "tcp", "192.0.2.7", "8009", "ipv4"))
        before, log = nvme.discover(port)
        assert "192.0.2.7" in {entry.traddr for entry in log}
        (instance.root / "ports/1/referrals/next").rmdir()
        after, log = nvme.discover(port)
        assert "192.0.2.7" not in {entry.traddr for entry in log}
        assert after > before, "the generation of the log did not grow"


def test_a_referral_cannot_move_while_enabled(instance: Instance) -> None:
    referral = Referral("next", "tcp", "192.0.2.7", "8009", "ipv4")
    port = Port(1, "loop", "loop-1", referrals=(referral,))
    with instance.holding(port), errno_is(errno.EACCES):
        instance.write("ports/1/referrals/next/addr_traddr", "192.0.2.8")


def test_the_generation_grows_with_every_change(instance: Instance) -> None:
    port = loop_port(1, NQN)
    with instance.holding(Subsystem(NQN), Subsystem(OTHER), port):
        before = nvme.discover(port)[0]
        instance.link(1, OTHER)
        between = nvme.discover(port)[0]
        instance.unlink(1, OTHER)
        after = nvme.discover(port)[0]
    assert before < between < after


def ask(port: Port, nqn: str) -> list[logs.LogEntry]:
    """Return what a host finds in the log that asks for discovery under a name of its own."""
    with nvme.connected(port, nqn, "discovery", nvme.KEEP_ALIVE, io_queues=0) as controller:
        return logs.discovery(controller.device_file)[1]


class TestDiscoveryNqn:
    OWN = "nqn.2026-01.org.example:own-discovery"

    @pytest.fixture(autouse=True)
    def _well_known_again(self, initial: Instance) -> Iterator[None]:
        yield
        initial.write("discovery_nqn", DISCOVERY_NQN)

    def test_it_is_the_well_known_one_at_first(self, instance: Instance) -> None:
        assert instance.read("discovery_nqn") == DISCOVERY_NQN

    def test_it_can_be_changed(self, instance: Instance) -> None:
        instance.write("discovery_nqn", self.OWN)
        assert instance.read("discovery_nqn") == self.OWN

    def test_the_log_names_the_changed_one(self, instance: Instance) -> None:
        instance.write("discovery_nqn", self.OWN)
        port = loop_port(1, NQN)
        with instance.holding(Subsystem(NQN), port):
            assert {entry.nqn for entry in nvme.discover(port)[1]} == {self.OWN, NQN}

    def test_a_host_may_ask_under_either_name(self, instance: Instance) -> None:
        port = loop_port(1, NQN)
        with instance.holding(Subsystem(NQN), port):
            before = nvme.discover(port)
            instance.write("discovery_nqn", self.OWN)
            for _ in range(TIMES):  # a reference too few would be missing in the end
                assert [e.nqn for e in ask(port, self.OWN)] == [self.OWN, NQN]
                assert nvme.exported(port) == [NQN]
            instance.write("discovery_nqn", DISCOVERY_NQN)
            assert nvme.discover(port) == before
            with pytest.raises(nvme.NvmeError):
                ask(port, self.OWN)

    def test_no_subsystem_may_take_its_name(self, instance: Instance) -> None:
        instance.write("discovery_nqn", self.OWN)
        with errno_is(errno.EINVAL):
            instance.add(Subsystem(self.OWN))

    def test_it_may_not_take_a_subsystems_name(self, instance: Instance) -> None:
        with instance.holding(Subsystem(NQN)), errno_is(errno.EINVAL):
            instance.write("discovery_nqn", NQN)
