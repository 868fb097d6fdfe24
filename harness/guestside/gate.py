# SPDX-License-Identifier: GPL-2.0-only
"""The gate: where a guest that boots from a prepared image waits, to be saved and copied.

The kernel is up and Python has imported what a worker needs; nothing of the host is mounted yet.
A copy that passes the gate mounts the host's files as its root, and has no randomness or time in
common with other copies.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import gc
import importlib
import importlib.metadata
import inspect
import json
import marshal
import os
import platform
import struct
import sys
import time
from collections.abc import Iterable
from importlib.metadata import Distribution
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.guestside import bootstrap

#: The console line of a guest that waits at the gate.
WAITS = "harness: waits at the gate"
#: The file in the prepared image with the search path and the folder of rewritten modules.
SETTINGS = "/harness.json"

_RNDADDENTROPY, _RNDRESEEDCRNG = 0x40085203, 0x5207  # linux/random.h
_READ_ONLY, _MOVE, _DETACH = 0x1, 0x2000, 0x2
_ROOT = "/root"  # exists in every initramfs
_OWN = ("/proc", "/sys", "/dev")


def wait() -> str:
    """Get ready, wait for the host's order, and obey it; return the path of facts.json."""
    for kind, where in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")):
        os.makedirs(where, exist_ok=True)  # noqa: PTH103
        bootstrap.mount(kind, kind, where)
    with open(SETTINGS) as file:  # noqa: PTH123
        settings = json.load(file)
    preload(settings)
    from harness.guestside import gateway

    port = bootstrap.port(bootstrap.WATCHER)
    bootstrap.say(WAITS, 1)
    order = json.loads(gateway.first_line(port))
    time.clock_settime(time.CLOCK_REALTIME, order["time"])
    _reseed(bytes.fromhex(order["random"]))
    os.close(port)
    _enter_root(order["root"])
    return str(order["facts"])


def preload(settings: dict[str, Any]) -> None:
    """Import the modules of the bundle, as a worker would find them."""
    sys.path[:] = settings["sys_path"]
    sys.dont_write_bytecode = True
    from harness.guestside import gateway

    gateway.warm_up(settings["rewritten"])
    gc.disable()
    for finder in list(sys.meta_path):
        for name in getattr(finder, "index", ()):
            with contextlib.suppress(Exception):  # some modules can only be imported by others
                importlib.import_module(name)
    keep_metadata(settings.get("packages", []))
    with contextlib.suppress(Exception):  # then a worker does all of it later
        rehearse(settings["late"])
    gc.collect()
    gc.freeze()
    gc.enable()


def keep_metadata(packages: list[str]) -> None:
    """Remember what the installed packages say about themselves: pytest reads it at each start.

    ``packages`` are their folders in the host's order, in which pytest takes plugins.  The bundle
    is made anew when a package comes or goes.
    """
    original = importlib.metadata.distributions
    order = {folder: number for number, folder in enumerate(packages)}

    @functools.cache
    def kept(folder: str) -> list[Distribution]:
        found = list(original(path=[folder]))
        found.sort(key=lambda one: order.get(str(vars(one)["_path"]), len(order)))
        for distribution in found:
            vars(distribution)["read_text"] = functools.cache(distribution.read_text)
        return found

    def distributions(**which: Any) -> Iterable[Distribution]:
        if which:
            return original(**which)
        every = (
            kept(folder) if folder.endswith("/site-packages") else original(path=[folder])
            for folder in sys.path
        )
        return [distribution for some in every for distribution in some]

    vars(importlib.metadata)["distributions"] = distributions


def rehearse(late: list[str]) -> None:
    """Configure pytest once: the installed plugins are then imported, with rewritten assertions.

    ``late`` are modules that a worker imports only when it knows that it is one.  The
    configuration itself depends on the host's files, and is thrown away.
    """
    from _pytest import config as configuration
    from _pytest.assertion import rewrite

    from harness.guestside import gateway, probe

    def ours() -> dict[str, ModuleType]:
        every = list(sys.modules.items())
        return {name: module for name, module in every if name.partition(".")[0] == "harness"}

    plain = ours()
    for name in plain:
        del sys.modules[name]  # pytest must import a plugin's package itself
    original = vars(rewrite)["_read_pyc"]

    def unchecked(source: Path, compiled: Path, *_more: Any) -> Any:
        # An initramfs does not keep the modification times of its files.
        return marshal.loads(compiled.read_bytes()[16:]) if compiled.exists() else None

    vars(rewrite)["_read_pyc"] = unchecked
    try:
        config = configuration._prepareconfig(["-c", os.devnull, "--rootdir", "/"])
        try:
            for name in late:
                importlib.import_module(name)
            platform.platform()  # reads the whole interpreter to find its C library
            vars(platform)["_uname_cache"] = None  # it has the host's name in it
            for module in (importlib.import_module("xdist.remote"), probe):
                source, path = inspect.getsource(module), inspect.getsourcefile(module)
                gateway.compiled(f"{source}\n", path or "", "exec")
        finally:
            config._ensure_unconfigure()
        gateway.rehearsed.update(ours())
    finally:
        vars(rewrite)["_read_pyc"] = original
        for name, module in plain.items():
            sys.modules.setdefault(name, module)


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
        bootstrap.unmount(where, _DETACH)
    os.chdir(_ROOT)
    if bootstrap.pivot_root():
        bootstrap.unmount(".", _DETACH)
    else:  # kernels before 7.0, where an initramfs is the root that cannot be moved
        bootstrap.mount(".", "none", "/", flags=_MOVE)
        os.chroot(".")
    os.chdir("/")
    importlib.invalidate_caches()
