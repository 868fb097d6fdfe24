# SPDX-License-Identifier: GPL-2.0-only
"""The nvmet part of one mounted configfs.

It takes values in and removes them in the order the kernel wants: ports first, so that no
controller is left, then subsystems.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from harness.guestside.nvmet import folders
from harness.guestside.nvmet.values import CONFIGFS, Namespace, Port, Referral, Subsystem, Value


@dataclasses.dataclass(frozen=True)
class Instance:
    """The nvmet part of the configfs that is mounted at ``mounted``."""

    mounted: str = CONFIGFS

    @property
    def root(self) -> Path:
        """Its folder."""
        return Path(self.mounted, "nvmet")

    def hosts(self) -> list[str]:
        """NQNs of its hosts, sorted."""
        return folders.names(self.root / "hosts")

    def subsystems(self) -> list[str]:
        """NQNs of its subsystems, sorted."""
        return folders.names(self.root / "subsystems")

    def ports(self) -> list[str]:
        """Ids of its ports, sorted."""
        return folders.names(self.root / "ports")

    def read(self, attribute: str) -> str:
        """The value of an attribute, by its path below ``root``."""
        return (self.root / attribute).read_text().strip()

    def write(self, attribute: str, value: str | int) -> None:
        """Set an attribute; OSError as the kernel gives it, with the path."""
        folders.write(self.root / attribute, value)

    def namespace(self, nqn: str, nsid: int = 1) -> str:
        """Path of a subsystem's namespace below ``root``."""
        return f"subsystems/{nqn}/namespaces/{nsid}"

    def add(self, *values: Value) -> None:
        """Write values, in the order given; what fails half-way is removed again."""
        for value in values:
            folder = self._folder(value)
            folder.mkdir()  # what is there already is not ours to remove
            try:
                if isinstance(value, Port):
                    folders.fill_port(self.root, folder, value)
                elif isinstance(value, Subsystem):
                    folders.fill_subsystem(self.root, folder, value)
            except BaseException:
                self.remove(value)
                raise

    def remove(self, *values: Value) -> None:
        """Remove values in reverse order; what is not there (any more) is no error."""
        for value in reversed(values):
            if isinstance(value, Port):
                self.remove_port(str(value.id))
            elif isinstance(value, Subsystem):
                self.remove_subsystem(value.nqn)
            else:
                folders.remove(self._folder(value))

    @contextlib.contextmanager
    def holding(self, *values: Value) -> Iterator[Instance]:
        """Values written, and removed at the end whatever happens."""
        with contextlib.ExitStack() as stack:
            for value in values:
                self.add(value)
                stack.callback(self.remove, value)
            yield self

    def clear(self) -> None:
        """Remove everything a user can make, as found in the tree."""
        for port in self.ports():
            self.remove_port(port)
        for nqn in self.subsystems():
            self.remove_subsystem(nqn)
        for nqn in self.hosts():
            folders.remove(self.root / "hosts" / nqn)

    def link(self, port: int | str, nqn: str) -> None:
        """Export a subsystem on a port; the first one enables the port."""
        link = self.root / "ports" / str(port) / "subsystems" / nqn
        link.symlink_to(self.root / "subsystems" / nqn)

    def unlink(self, port: int | str, nqn: str) -> None:
        """Stop exporting a subsystem on a port."""
        (self.root / "ports" / str(port) / "subsystems" / nqn).unlink()

    def allow(self, nqn: str, host: str) -> None:
        """Put a host on the list of those a subsystem lets in."""
        link = self.root / "subsystems" / nqn / "allowed_hosts" / host
        link.symlink_to(self.root / "hosts" / host)

    def refuse(self, nqn: str, host: str) -> None:
        """Take a host off that list."""
        (self.root / "subsystems" / nqn / "allowed_hosts" / host).unlink()

    def add_namespace(self, nqn: str, value: Namespace) -> None:
        """Add a namespace to a subsystem that is there."""
        folders.fill_namespace(self.root / self.namespace(nqn, value.nsid), value)

    def add_referral(self, port: int | str, value: Referral) -> None:
        """Add a referral to a port that is there."""
        folders.fill_referral(self.root / "ports" / str(port) / "referrals" / value.name, value)

    def set_ana_state(self, port: int | str, state: str, group: int = 1) -> None:
        """Say of an ANA group how it is reached through a port."""
        self.write(f"ports/{port}/ana_groups/{group}/ana_state", state)

    def remove_port(self, port: str) -> None:
        """Disable and remove a port with all it holds."""
        folder = self.root / "ports" / port
        for nqn in folders.names(folder / "subsystems"):
            (folder / "subsystems" / nqn).unlink(missing_ok=True)
        for name in folders.names(folder / "referrals"):
            folders.remove(folder / "referrals" / name)
        for group in folders.names(folder / "ana_groups"):
            if group != "1":  # a default group, which goes with its port
                folders.remove(folder / "ana_groups" / group)
        folders.remove(folder)

    def remove_subsystem(self, nqn: str) -> None:
        """Remove a subsystem with its namespaces, wherever it is still exported."""
        for port in self.ports():
            (self.root / "ports" / port / "subsystems" / nqn).unlink(missing_ok=True)
        folder = self.root / "subsystems" / nqn
        for host in folders.names(folder / "allowed_hosts"):
            (folder / "allowed_hosts" / host).unlink(missing_ok=True)
        for nsid in folders.names(folder / "namespaces"):
            folders.remove(folder / "namespaces" / nsid)
        folders.remove(folder)

    def _folder(self, value: Value) -> Path:
        if isinstance(value, Port):
            return self.root / "ports" / str(value.id)
        kind = "subsystems" if isinstance(value, Subsystem) else "hosts"
        return self.root / kind / value.nqn
