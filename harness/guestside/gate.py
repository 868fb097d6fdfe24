# SPDX-License-Identifier: GPL-2.0-only
"""The gate: where a guest that boots from a prepared image waits, to be saved and copied.

The kernel is up and Python has imported what a worker needs; nothing of the host is mounted yet.
A copy that passes the gate mounts the host's files as its root, and has no randomness or time in
common with other copies.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import struct
import time

from harness.guestside import bootstrap

#: The console line of a guest that waits at the gate.
WAITS = "harness: waits at the gate"
#: The file in the prepared image with the search path and the folder of rewritten modules.
SETTINGS = "/harness.json"

_RNDADDENTROPY, _RNDRESEEDCRNG = 0x40085203, 0x5207  # linux/random.h
_READ_ONLY, _MOVE, _DETACH = 0x1, 0x2000, 0x2
_ROOT = "/root"  # exists in every initramfs
_OWN = ("/proc", "/sys", "/dev", "/run")  # mounted before the gate


def wait() -> str:
    """Get ready, wait for the host's order, and obey it; return the path of facts.json."""
    bootstrap.mount_kernel()
    with open(SETTINGS) as file:  # noqa: PTH123
        settings = json.load(file)
    from harness.guestside import gateway, rehearsal

    rehearsal.preload(settings)

    port = bootstrap.port(bootstrap.WATCHER)
    bootstrap.say(WAITS, 1)
    order = json.loads(gateway.first_line(port))
    time.clock_settime(time.CLOCK_REALTIME, order["time"])
    _reseed(bytes.fromhex(order["random"]))
    os.close(port)
    _enter_root(order["root"])
    return str(order["facts"])


def _reseed(seed: bytes) -> None:
    """Give this copy random numbers of its own: the kernel's generator and Python's."""
    with open("/dev/urandom", "wb", buffering=0) as device:  # noqa: PTH123
        words = struct.pack("ii", 8 * len(seed), len(seed)) + seed
        fcntl.ioctl(device, _RNDADDENTROPY, words)
        with contextlib.suppress(OSError):  # kernels before 4.14
            fcntl.ioctl(device, _RNDRESEEDCRNG)
    import random

    random.seed()


def _enter_root(options: str) -> None:
    """Make the host's files the root, as the kernel does when it boots without an image."""
    bootstrap.mount("/dev/root", "9p", _ROOT, options, _READ_ONLY)
    for where in _OWN:
        bootstrap.mount(where, "none", f"{_ROOT}{where}", flags=_MOVE)
    os.chdir(_ROOT)
    if bootstrap.pivot_root():
        bootstrap.unmount(".", _DETACH)
    else:  # kernels before 7.0, where an initramfs is the root that cannot be moved
        bootstrap.mount(".", "none", "/", flags=_MOVE)
        os.chroot(".")
    os.chdir("/")
    importlib.invalidate_caches()
