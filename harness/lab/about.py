# SPDX-License-Identifier: GPL-2.0-only
"""What a run was done with: the machine, and the programs that its results may depend on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator

import harness
from harness.errors import HarnessError
from harness.guest import accel

_PACKAGES = ("virtme-ng", "pytest", "pytest-xdist")


def machine(arch: str) -> tuple[tuple[str, str], ...]:
    """Give (what, its version or size); ``arch`` is the guests', for which QEMU is asked."""
    return tuple(_lines(arch))


def _lines(arch: str) -> Iterator[tuple[str, str]]:
    yield "harness", harness.__version__
    yield "QEMU", _qemu(arch)
    yield "Python", platform.python_version()
    for name in _PACKAGES:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield name, "not installed"
    yield "host", _system()
    yield "host kernel", f"{platform.system()} {platform.release()} {platform.machine()}"
    yield "processors", str(os.cpu_count() or 0)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield "memory", f"{pages / (1 << 30):.1f} GiB"


def _qemu(arch: str) -> str:
    try:
        return accel.find_qemu(arch)[1]
    except HarnessError as error:
        return error.what


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return platform.system()
