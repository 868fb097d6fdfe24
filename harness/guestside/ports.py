# SPDX-License-Identifier: GPL-2.0-only
"""The guest's virtio-serial ports, found by their names without udev."""

from __future__ import annotations

import os
import time

_PORTS = "/sys/class/virtio-ports"
_WAIT = 10.0  # seconds for the port to be announced; its name comes a little after the device


def port(name: str) -> int:
    """Open the virtio-serial port called ``name``.  Raises OSError when it never appears."""
    end = time.monotonic() + _WAIT
    while True:
        for entry in os.listdir(_PORTS) if os.path.isdir(_PORTS) else ():  # noqa: PTH112, PTH208
            try:
                with open(f"{_PORTS}/{entry}/name") as file:  # noqa: PTH123
                    if file.read().strip() == name:
                        return os.open(f"/dev/{entry}", os.O_RDWR)
            except OSError:
                continue
        if time.monotonic() > end:
            raise OSError(f"no virtio-serial port {name}")
        time.sleep(0.005)
