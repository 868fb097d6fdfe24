# SPDX-License-Identifier: GPL-2.0-only
"""Discovery change events: a host that stays connected to discovery is notified of every change."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from guestlib import nvme, uevents
from guestlib.nvmet import (
    DISCOVERY_NQN,
    Instance,
    NvmetHost,
    Port,
    Referral,
    Subsystem,
    loop_port,
    tcp_port,
)
from harness.guestside import needs, wait
from harness.guestside.container import Container

pytestmark = needs.config("CONFIG_NVME_FABRICS")

NQN = "nqn.2026-01.org.example:events"
OTHER = "nqn.2026-01.org.example:events-other"
KEPT = "nqn.2026-01.org.example:events-kept"  # keeps the port enabled, and its controllers
CHANGED = "0x70f002"  # a notice: the discovery log page has changed; read it
SOMEWHERE = Referral("next", "tcp", "192.0.2.7", "8009", "ipv4")
BOTH = (Subsystem(NQN), Subsystem(OTHER))


def told(heard: uevents.Uevents, controller: nvme.Controller) -> list[str]:
    """The events that a discovery controller has received."""
    return heard.of(controller.name, "NVME_AEN")


def hears(heard: uevents.Uevents, controller: nvme.Controller, count: int = 1) -> None:
    """Wait until a controller has received so many events, all of them changes of the log."""
    wait.until(
        lambda: len(told(heard, controller)) >= count,
        f"discovery change event {count} at {controller.name}",
    )
    assert told(heard, controller) == [CHANGED] * count


def export(instance: Instance) -> None:
    instance.link(1, OTHER)


def stop_exporting(instance: Instance) -> None:
    instance.unlink(1, NQN)


def refer(instance: Instance) -> None:
    instance.add_referral(1, SOMEWHERE)


def close(instance: Instance) -> None:
    instance.write(f"subsystems/{NQN}/attr_allow_any_host", 0)


@pytest.mark.usefixtures("place")
class TestChange:
    @pytest.mark.parametrize(
        ("change", "named"),
        [
            pytest.param(export, {NQN, OTHER}, id="subsystem exported"),
            pytest.param(stop_exporting, set(), id="subsystem not exported any more"),
            pytest.param(refer, {NQN, "192.0.2.7"}, id="referral added"),
            pytest.param(close, set(), id="subsystem closed to hosts not listed"),
        ],
    )
    def test_the_host_is_told_and_reads_the_new_log(
        self,
        instance: Instance,
        make_port: Callable[..., Port],
        change: Callable[[Instance], None],
        named: set[str],
    ) -> None:
        port = make_port(1, KEPT, NQN)
        with (
            instance.holding(Subsystem(KEPT), *BOTH, port),
            uevents.listening() as heard,
            nvme.discovery(port) as controller,
        ):
            before, _ = nvme.discover(port, through=controller)
            change(instance)
            hears(heard, controller)
            after, log = nvme.discover(port, through=controller)
            assert after > before, "the generation of the log did not grow"
            found = {e.nqn if e.kind == "nvme subsystem" else e.traddr for e in log[1:]}
            assert found == {KEPT, *named}

    def test_a_host_that_read_the_log_is_told_of_the_next_change(
        self, instance: Instance, make_port: Callable[..., Port]
    ) -> None:
        port = make_port(1, NQN)
        with (
            instance.holding(*BOTH, port),
            uevents.listening() as heard,
            nvme.discovery(port) as controller,
        ):
            for count in (1, 2, 3):
                nvme.discover(port, through=controller)
                (instance.link if count % 2 else instance.unlink)(1, OTHER)
                hears(heard, controller, count)

    def test_a_host_hears_of_a_subsystem_that_lets_it_in_now(
        self, instance: Instance, make_port: Callable[..., Port]
    ) -> None:
        port = make_port(1, NQN)
        stranger = NvmetHost("nqn.2026-01.org.example:stranger")
        closed = Subsystem(NQN, hosts=(stranger.nqn,))
        with (
            instance.holding(stranger, NvmetHost(nvme.HOST_NQN), closed, port),
            uevents.listening() as heard,
            nvme.discovery(port) as controller,
        ):
            assert [e.nqn for e in nvme.discover(port, through=controller)[1][1:]] == []
            instance.allow(NQN, nvme.HOST_NQN)
            hears(heard, controller)
            assert [e.nqn for e in nvme.discover(port, through=controller)[1][1:]] == [NQN]

    @needs.config("CONFIG_NVME_TARGET_LOOP")
    def test_what_changes_at_another_port_is_not_told(self, instance: Instance) -> None:
        one, two = loop_port(1, NQN), loop_port(2, NQN)
        with (
            instance.holding(*BOTH, one, two),
            uevents.listening() as heard,
            nvme.discovery(one) as first,
            nvme.discovery(two) as second,
        ):
            instance.link(2, OTHER)
            hears(heard, second)
            # Had it been told too, reading the log would make room for a second event below.
            nvme.discover(one, through=first)
            instance.link(1, OTHER)
            hears(heard, first, 1)


class TestPoint7Events:
    @needs.config("CONFIG_NVME_TARGET_TCP", "CONFIG_NVME_TCP")
    def test_a_change_in_one_container_is_told_to_its_own_hosts_only(
        self, make_container: Callable[..., Container]
    ) -> None:
        one, two = (make_container(network=True) for _ in range(2))
        # At two addresses: a host connects to each once, whatever the network.
        port, other = tcp_port(1, NQN), tcp_port(1, NQN, traddr="127.0.0.2")
        assert one.run(add, *BOTH, port) == "made"
        assert two.run(add, *BOTH, other) == "made"
        with uevents.listening() as heard:
            first, second = one.run(stay, port), two.run(stay, other)
            try:
                before = one.run(nvme.discover, port)[0]
                two.run(lambda: Instance().link(1, OTHER))
                hears(heard, second)
                assert one.run(nvme.discover, port)[0] == before, "another's change was counted"
                assert told(heard, first) == [], "another's change was told"
                one.run(lambda: Instance().link(1, OTHER))
                hears(heard, first, 1)
                assert told(heard, second) == [CHANGED], "another's change was told"
            finally:
                first.disconnect()
                second.disconnect()


def add(*values: Subsystem | Port) -> str:
    """Write values to the caller's instance; return "made" or why that failed."""
    try:
        Instance().add(*values)
    except OSError as error:
        return str(error)
    return "made"


def stay(port: Port) -> nvme.Controller:
    """Connect to discovery and stay connected."""
    return nvme.connect(port, DISCOVERY_NQN, nvme.KEEP_ALIVE, io_queues=0)
