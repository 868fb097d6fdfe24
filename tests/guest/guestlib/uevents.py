# SPDX-License-Identifier: GPL-2.0-only
"""Receive the kernel's uevents."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

_KOBJECT_UEVENT = 15  # of AF_NETLINK
_KERNEL_GROUP = 1


class Uevents:
    """Collects uevents since its creation, each as a dictionary (ACTION, DEVPATH, ...)."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _KOBJECT_UEVENT)
        self._socket.bind((0, _KERNEL_GROUP))
        self._seen: list[dict[str, str]] = []

    def all(self) -> list[dict[str, str]]:
        """Return all uevents so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                text = self._socket.recv(1 << 16, socket.MSG_DONTWAIT).decode(errors="replace")
                pairs = (line.partition("=") for line in text.split("\0")[1:] if line)
                self._seen.append({key: value for key, _, value in pairs})
        return self._seen

    def of(self, device: str, key: str) -> list[str]:
        """Return the values of a variable in a device's uevents, such as ("nvme0", "NVME_AEN")."""
        return [e[key] for e in self.all() if key in e and os.path.basename(e["DEVPATH"]) == device]  # noqa: PTH119

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def listening() -> Iterator[Uevents]:
    """Receive uevents from now on, in the caller's network namespace."""
    uevents = Uevents()
    try:
        yield uevents
    finally:
        uevents.close()
