# SPDX-License-Identifier: GPL-2.0-only
"""nvmet's configuration: frozen values, and the configfs instance they are written to.

Items are removed in the order the kernel wants: ports first, so that no controller remains, then
subsystems.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
from collections.abc import Iterator
from pathlib import Path

from harness.guestside import kernelfiles
from harness.guestside.kernelfiles import CONFIGFS

DISCOVERY_NQN = "nqn.2014-08.org.nvmexpress.discovery"


@dataclasses.dataclass(frozen=True)
class NvmetHost:
    """A host that subsystems may allow, by its NQN."""

    nqn: str


@dataclasses.dataclass(frozen=True)
class Namespace:
    """A block device or file exported under a number.

    ``buffered`` goes through the page cache, which works for a file on any file system.
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
    """A subsystem, its namespaces and the hosts it allows (if empty: any host).

    ``attributes`` are (name without "attr_", value), such as ("serial", "1234").  ``passthru`` is
    the device of a controller ("/dev/nvme0") to pass through.
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
    """A referral in a port's discovery log to another discovery service."""

    name: str
    trtype: str
    traddr: str
    trsvcid: str = ""
    adrfam: str = ""


@dataclasses.dataclass(frozen=True)
class Port:
    """Where hosts connect; enabled by the first of ``subsystems`` (their NQNs).

    ``params`` are (name without "param_", value), such as ("inline_data_size", "0").
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


NvmetValue = NvmetHost | Subsystem | Port


def loop_port(number: int, *subsystems: str, name: str = "") -> Port:
    """Return a loop port inside the machine; a host connects to it by ``name``."""
    return Port(number, "loop", name or f"loop-{number}", subsystems=subsystems)


def tcp_port(
    number: int, *subsystems: str, traddr: str = "127.0.0.1", trsvcid: str = "4420"
) -> Port:
    """Return a TCP port; it listens in the network namespace of the task that writes it."""
    adrfam = "ipv6" if ":" in traddr else "ipv4"
    return Port(number, "tcp", traddr, trsvcid, adrfam, subsystems=subsystems)


@dataclasses.dataclass(frozen=True)
class Instance:
    """The nvmet folder of the configfs that is mounted at ``mounted``."""

    mounted: str = CONFIGFS

    @property
    def root(self) -> Path:
        """The nvmet folder."""
        return Path(self.mounted, "nvmet")

    def hosts(self) -> list[str]:
        """Return the NQNs of its hosts, sorted."""
        return _names(self.root / "hosts")

    def subsystems(self) -> list[str]:
        """Return the NQNs of its subsystems, sorted."""
        return _names(self.root / "subsystems")

    def ports(self) -> list[str]:
        """Return the ids of its ports, sorted."""
        return _names(self.root / "ports")

    def read(self, attribute: str) -> str:
        """Read an attribute, by its path below ``root``."""
        return (self.root / attribute).read_text().strip()

    def write(self, attribute: str, value: str | int) -> None:
        """Set an attribute.  Raises the kernel's OSError, with the path."""
        _write(self.root / attribute, value)

    def namespace(self, nqn: str, nsid: int = 1) -> str:
        """Return the path of a subsystem's namespace below ``root``."""
        return f"subsystems/{nqn}/namespaces/{nsid}"

    def add(self, *values: NvmetValue) -> None:
        """Write values in the given order; if a value fails half-way, remove it again."""
        for value in values:
            folder = self._folder(value)
            folder.mkdir()  # outside the try: an existing item must not be removed
            try:
                if isinstance(value, Port):
                    _fill_port(self.root, folder, value)
                elif isinstance(value, Subsystem):
                    _fill_subsystem(self.root, folder, value)
            except BaseException:
                self.remove(value)
                raise

    def remove(self, *values: NvmetValue) -> None:
        """Remove values in reverse order; those that do not exist are skipped."""
        for value in reversed(values):
            if isinstance(value, Port):
                self.remove_port(str(value.id))
            elif isinstance(value, Subsystem):
                self.remove_subsystem(value.nqn)
            else:
                _remove(self._folder(value))

    @contextlib.contextmanager
    def holding(self, *values: NvmetValue) -> Iterator[Instance]:
        """Write values, and always remove them at the end."""
        with contextlib.ExitStack() as stack:
            for value in values:
                self.add(value)
                stack.callback(self.remove, value)
            yield self

    def clear(self) -> None:
        """Remove every item in the tree that a user can create."""
        for port in self.ports():
            self.remove_port(port)
        for nqn in self.subsystems():
            self.remove_subsystem(nqn)
        for nqn in self.hosts():
            _remove(self.root / "hosts" / nqn)

    def link(self, port: int | str, nqn: str) -> None:
        """Export a subsystem on a port; the first subsystem enables the port."""
        link = self.root / "ports" / str(port) / "subsystems" / nqn
        link.symlink_to(self.root / "subsystems" / nqn)

    def unlink(self, port: int | str, nqn: str) -> None:
        """Stop exporting a subsystem on a port."""
        (self.root / "ports" / str(port) / "subsystems" / nqn).unlink()

    def allow(self, nqn: str, host: str) -> None:
        """Add a host to those that a subsystem allows."""
        link = self.root / "subsystems" / nqn / "allowed_hosts" / host
        link.symlink_to(self.root / "hosts" / host)

    def refuse(self, nqn: str, host: str) -> None:
        """Remove a host from those that a subsystem allows."""
        (self.root / "subsystems" / nqn / "allowed_hosts" / host).unlink()

    def add_namespace(self, nqn: str, value: Namespace) -> None:
        """Add a namespace to an existing subsystem."""
        _fill_namespace(self.root / self.namespace(nqn, value.nsid), value)

    def add_referral(self, port: int | str, value: Referral) -> None:
        """Add a referral to an existing port."""
        _fill_referral(self.root / "ports" / str(port) / "referrals" / value.name, value)

    def set_ana_state(self, port: int | str, state: str, group: int = 1) -> None:
        """Set the state of an ANA group on a port."""
        self.write(f"ports/{port}/ana_groups/{group}/ana_state", state)

    def remove_port(self, port: str) -> None:
        """Disable and remove a port with everything in it."""
        folder = self.root / "ports" / port
        for nqn in _names(folder / "subsystems"):
            (folder / "subsystems" / nqn).unlink(missing_ok=True)
        for name in _names(folder / "referrals"):
            _remove(folder / "referrals" / name)
        for group in _names(folder / "ana_groups"):
            if group != "1":  # the default group, which is removed with its port
                _remove(folder / "ana_groups" / group)
        _remove(folder)

    def remove_subsystem(self, nqn: str) -> None:
        """Remove a subsystem with its namespaces, and from the ports that export it."""
        for port in self.ports():
            (self.root / "ports" / port / "subsystems" / nqn).unlink(missing_ok=True)
        folder = self.root / "subsystems" / nqn
        for host in _names(folder / "allowed_hosts"):
            (folder / "allowed_hosts" / host).unlink(missing_ok=True)
        for nsid in _names(folder / "namespaces"):
            _remove(folder / "namespaces" / nsid)
        _remove(folder)

    def _folder(self, value: NvmetValue) -> Path:
        if isinstance(value, Port):
            return self.root / "ports" / str(value.id)
        kind = "subsystems" if isinstance(value, Subsystem) else "hosts"
        return self.root / kind / value.nqn


def _names(folder: Path) -> list[str]:
    """Return the names of items and links in a folder, sorted; none if it does not exist."""
    try:
        return sorted(e.name for e in folder.iterdir() if e.is_symlink() or e.is_dir())
    except FileNotFoundError:
        return []


def _remove(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()


def _write(path: Path, value: str | int) -> None:
    """Write an attribute.  Raises the kernel's OSError, with value and path in its message."""
    try:
        # No newline: discovery_nqn does not strip it.
        kernelfiles.store(path, value)
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "?")
        raise OSError(error.errno, f"writing {value!r}: {name}", str(path)) from error


def _fill_subsystem(root: Path, folder: Path, value: Subsystem) -> None:
    """Write a subsystem into its folder; ``root`` is the instance's."""
    _write(folder / "attr_allow_any_host", int(not value.hosts))
    for name, text in value.attributes:
        _write(folder / f"attr_{name}", text)
    for nqn in value.hosts:
        (folder / "allowed_hosts" / nqn).symlink_to(root / "hosts" / nqn)
    if value.passthru:
        _write(folder / "passthru/device_path", value.passthru)
        _write(folder / "passthru/enable", 1)
    for namespace in value.namespaces:
        _fill_namespace(folder / "namespaces" / str(namespace.nsid), namespace)


def _fill_namespace(folder: Path, value: Namespace) -> None:
    folder.mkdir()
    _write(folder / "device_path", value.device)
    if value.uuid:
        _write(folder / "device_uuid", value.uuid)
    if value.nguid:
        _write(folder / "device_nguid", value.nguid)
    if value.ana_group != 1:
        _write(folder / "ana_grpid", value.ana_group)
    if value.buffered:
        _write(folder / "buffered_io", 1)
    if value.enabled:
        _write(folder / "enable", 1)


def _fill_port(root: Path, folder: Path, value: Port) -> None:
    """Write a port into its folder; its first subsystem enables it, so subsystems come last."""
    _write_address(folder, value)
    for name, text in value.params:
        _write(folder / f"param_{name}", text)
    for group in value.ana_groups:
        place = folder / "ana_groups" / str(group.id)
        place.mkdir(exist_ok=True)
        _write(place / "ana_state", group.state)
    for referral in value.referrals:
        _fill_referral(folder / "referrals" / referral.name, referral)
    for nqn in value.subsystems:
        (folder / "subsystems" / nqn).symlink_to(root / "subsystems" / nqn)


def _fill_referral(folder: Path, value: Referral) -> None:
    folder.mkdir()
    _write_address(folder, value)
    _write(folder / "enable", 1)


def _write_address(folder: Path, value: Port | Referral) -> None:
    """Write the address of a port or a referral."""
    _write(folder / "addr_trtype", value.trtype)
    _write(folder / "addr_traddr", value.traddr)
    if value.adrfam:
        _write(folder / "addr_adrfam", value.adrfam)
    if value.trsvcid:
        _write(folder / "addr_trsvcid", value.trsvcid)
