# SPDX-License-Identifier: GPL-2.0-only
"""The NVMe host side: controllers connected through /dev/nvme-fabrics, and their block devices.

This is what nvme-cli does; starting a program for it takes longer than the rest under emulation.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from guestlib import logs
from guestlib.logs import LogEntry
from guestlib.nvmet import DISCOVERY_NQN, Port
from harness.guestside import kernelfiles, wait

HOST_NQN = "nqn.2026-01.org.example:host"
CLASS = Path("/sys/class/nvme")
FABRICS = "/dev/nvme-fabrics"
KEEP_ALIVE = "keep_alive_tmo=30"  # what a discovery controller needs to stay
# Seconds until a host is told to rescan: nvmet_ns_enable() (7.2) announces a namespace before it
# marks it as enabled, so a host on another CPU that scans at once finds nothing, and gets no
# second announcement.
MISSED = 3


class NvmeError(Exception):
    """The kernel refused a connection; the message says which, and why."""


def host_id(nqn: str) -> str:
    """Return the host id of an NQN: the kernel requires that an NQN always has the same id."""
    digits = hashlib.sha256(nqn.encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"


@dataclasses.dataclass(frozen=True)
class Controller:
    """A connected controller, by its name ("nvme0")."""

    name: str

    @property
    def folder(self) -> Path:
        """The controller's folder in sysfs."""
        return CLASS / self.name

    def read(self, name: str) -> str:
        """Read a sysfs attribute."""
        return (self.folder / name).read_text().strip()

    def write(self, name: str, value: str | int) -> None:
        """Set a sysfs attribute.  Raises the kernel's OSError."""
        kernelfiles.store(self.folder / name, value)

    @property
    def device_file(self) -> str:
        """The controller's device, for admin commands."""
        return f"/dev/{self.name}"

    @property
    def state(self) -> str:
        """Such as "live" or "connecting"; "" if the controller no longer exists."""
        try:
            return self.read("state")
        except OSError:
            return ""

    def devices(self) -> dict[int, str]:
        """Return the present block devices of its namespaces, by nsid."""
        devices = {}
        for entry in self._paths():
            with contextlib.suppress(OSError):
                devices[int((entry / "nsid").read_text())] = f"/dev/{_head(entry.name)}"
        return devices

    def device(self, nsid: int = 1, uuid: str = "") -> str:
        """Wait for the block device of a namespace, and check its ``uuid`` unless that is empty."""

        def ready() -> str:
            path = self.devices().get(nsid, "")
            # With multipath the head appears when its first path is live.
            return path if path and Path(path).is_block_device() else ""

        what = f"nsid {nsid} of {self.name}"
        try:
            path = wait.until(ready, what, seconds=MISSED)
        except AssertionError:
            self.rescan()
            path = wait.until(ready, what)
        if uuid:
            actual = (Path("/sys/block") / Path(path).name / "uuid").read_text().strip()
            assert actual == uuid, f"{path}, nsid {nsid} of {self.name}, has uuid {actual}"
        return path

    def becomes(self, *states: str) -> None:
        """Wait until the controller is in one of these states; "" means that it is gone."""
        words = f"{self.name} to become {' or '.join(s or 'gone' for s in states)}"
        try:
            wait.until(lambda: self.state in states, words)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.state or 'gone'}") from None

    def queues(self) -> int:
        """Return the number of queues, including the admin queue."""
        return int(self.read("queue_count"))

    def path_attribute(self, name: str, nsid: int = 1) -> str:
        """Return an attribute of this controller's path to a namespace, such as "ana_state"."""
        for entry in self._paths():
            with contextlib.suppress(OSError):
                if int((entry / "nsid").read_text()) == nsid:
                    return (entry / name).read_text().strip()
        return ""

    def rescan(self) -> None:
        """Tell the host to scan the controller's namespaces."""
        self.write("rescan_controller", 1)

    def reset(self) -> None:
        """Reset the controller, and wait until it is live again."""
        self.write("reset_controller", 1)
        self.becomes("live")

    def disconnect(self) -> None:
        """Delete the controller, if it still exists, and wait until it is gone."""

        def gone() -> bool:
            # Repeatedly, because a controller that is being created refuses, and may come up later.
            with contextlib.suppress(OSError):
                self.write("delete_controller", 1)
            return not self.folder.exists()

        wait.until(gone, f"{self.name} to be gone")

    def _paths(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [e for e in self.folder.iterdir() if (e / "nsid").exists()]


def _head(path: str) -> str:
    """Return the multipath device (nvme0n2) of a path (nvme0c1n2), or the device itself."""
    controller, _, namespace = path.rpartition("n")
    instance = controller.partition("c")[0]
    return f"{instance}n{namespace}"


@contextlib.contextmanager
def impatient(seconds: int) -> Iterator[None]:
    """Have hosts give up an admin command after ``seconds`` instead of a minute.

    One that is just being connected, or deleted, when its target goes does not start over: what it
    has sent is waited for until then (7.2).
    """
    timeout = Path("/sys/module/nvme_core/parameters/admin_timeout")
    usual = timeout.read_text().strip()
    kernelfiles.store(timeout, seconds)
    try:
        yield
    finally:
        kernelfiles.store(timeout, usual)


def controllers() -> list[Controller]:
    """Return all NVMe controllers of this machine."""
    if not CLASS.is_dir():
        return []
    return [Controller(entry.name) for entry in sorted(CLASS.iterdir())]


def _where(port: Port, host: str) -> dict[str, str]:
    where = {"transport": port.trtype, "traddr": port.traddr}
    if port.trsvcid:
        where["trsvcid"] = port.trsvcid
    return where | {"hostnqn": host, "hostid": host_id(host)}


def giving_up(port: Port) -> tuple[str, ...]:
    """Return the option with which a host gives up at once when its controller is gone.

    Over loop it always does, and does not know the option.
    """
    return () if port.trtype == "loop" else ("ctrl_loss_tmo=0",)


def connect(
    port: Port, nqn: str, *options: str, host: str = HOST_NQN, io_queues: int = 1
) -> Controller:
    """Connect to a subsystem; ``options`` are the kernel's, such as "reconnect_delay=1".

    The default is a single I/O queue, because each costs time under emulation; 0 leaves the number
    to the kernel.  Raises NvmeError.
    """
    words = [f"nqn={nqn}", *(f"{name}={text}" for name, text in _where(port, host).items())]
    if io_queues:
        words.append(f"nr_io_queues={io_queues}")
    request = ",".join([*words, *options])
    fabrics = os.open(FABRICS, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.write(fabrics, request.encode())
        answer = os.read(fabrics, 256).decode()
    except OSError as error:
        raise NvmeError(f"{request}: {error.strerror}") from None
    finally:
        os.close(fabrics)
    number = dict(word.split("=") for word in answer.strip().split(","))["instance"]
    return Controller(f"nvme{number}")


@contextlib.contextmanager
def connected(
    port: Port, nqn: str, *options: str, host: str = HOST_NQN, io_queues: int = 1
) -> Iterator[Controller]:
    """Connect a controller, and disconnect it at the end."""
    controller = connect(port, nqn, *options, host=host, io_queues=io_queues)
    try:
        yield controller
    finally:
        controller.disconnect()


@contextlib.contextmanager
def discovery(port: Port, host: str = HOST_NQN) -> Iterator[Controller]:
    """Connect a persistent discovery controller, which is notified when the port's log changes."""
    with connected(port, DISCOVERY_NQN, KEEP_ALIVE, host=host, io_queues=0) as controller:
        yield controller


def discover(
    port: Port, *, host: str = HOST_NQN, through: Controller | None = None
) -> tuple[int, list[LogEntry]]:
    """Return the discovery log of a port: its generation counter and its records.

    ``through`` is a persistent discovery controller; without it the host connects for this call.
    """
    if through:
        return logs.discovery(through.device_file)
    with discovery(port, host) as controller:
        return logs.discovery(controller.device_file)


def exported(port: Port, *, host: str = HOST_NQN) -> list[str]:
    """Return the NQNs of subsystems in a port's discovery log, without the discovery service."""
    return [e.nqn for e in discover(port, host=host)[1] if e.kind == "nvme subsystem"]
