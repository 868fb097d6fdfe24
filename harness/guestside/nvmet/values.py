# SPDX-License-Identifier: GPL-2.0-only
"""What nvmet exports and where, as frozen values that know nothing of any kernel."""

from __future__ import annotations

import dataclasses

CONFIGFS = "/sys/kernel/config"
DISCOVERY_NQN = "nqn.2014-08.org.nvmexpress.discovery"


@dataclasses.dataclass(frozen=True)
class Host:
    """A host that subsystems may allow, by its NQN."""

    nqn: str


@dataclasses.dataclass(frozen=True)
class Namespace:
    """A block device or file exported under a number.

    ``buffered`` goes through the page cache, which a file on any filesystem can do.
    """

    device: str
    nsid: int = 1
    uuid: str = ""
    nguid: str = ""
    ana_group: int = 1
    buffered: bool = False
    enabled: bool = True


@dataclasses.dataclass(frozen=True)
class Subsystem:
    """A subsystem, its namespaces and the hosts it allows (none named: any host).

    ``attributes`` are (name without "attr_", value), as ("serial", "1234").  ``passthru`` is the
    device of a controller ("/dev/nvme0") that is handed through as it is.
    """

    nqn: str
    namespaces: tuple[Namespace, ...] = ()
    hosts: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    passthru: str = ""


@dataclasses.dataclass(frozen=True)
class AnaGroup:
    """The state a port gives to an ANA group: "optimized", "inaccessible" and so on."""

    id: int
    state: str = "optimized"


@dataclasses.dataclass(frozen=True)
class Referral:
    """Another discovery service that a port's discovery log names."""

    name: str
    trtype: str
    traddr: str
    trsvcid: str = ""
    adrfam: str = ""


@dataclasses.dataclass(frozen=True)
class Port:
    """Where hosts connect; enabled by the first of ``subsystems`` (their NQNs).

    ``params`` are (name without "param_", value), as ("inline_data_size", "0").
    """

    id: int
    trtype: str
    traddr: str
    trsvcid: str = ""
    adrfam: str = ""
    subsystems: tuple[str, ...] = ()
    referrals: tuple[Referral, ...] = ()
    ana_groups: tuple[AnaGroup, ...] = ()
    params: tuple[tuple[str, str], ...] = ()


Value = Host | Subsystem | Port


def loop_port(number: int, *subsystems: str, name: str = "") -> Port:
    """A port inside the machine; a host finds it by ``name``."""
    return Port(number, "loop", name or f"loop-{number}", subsystems=subsystems)


def tcp_port(
    number: int, *subsystems: str, traddr: str = "127.0.0.1", trsvcid: str = "4420"
) -> Port:
    """A TCP port; it listens in the network namespace of the task that writes it."""
    adrfam = "ipv6" if ":" in traddr else "ipv4"
    return Port(number, "tcp", traddr, trsvcid, adrfam, subsystems=subsystems)
