# SPDX-License-Identifier: GPL-2.0-only
"""Properties of the machine itself.  Each look gives (what was found, a note)."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable

from harness import paths, process
from harness.errors import HostFault

KVM = "/dev/kvm"

Found = tuple[str, str]


def python() -> Found:
    """Give the interpreter's version."""
    return platform.python_version(), sys.executable


def disk() -> Found:
    """Give the free space where the cache is."""
    try:
        folder = paths.cache()
        free = shutil.disk_usage(folder).free
    except (HostFault, OSError) as error:
        return "", str(error)
    return f"{free / 1e9:.0f} GB", f"in {folder}"


def memory() -> Found:
    """Give the machine's memory."""
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{size / 1e9:.1f} GB", ""


def kvm() -> Found:
    """Say whether KVM can be opened.  Only a guest proves that it works."""
    if os.access(KVM, os.R_OK | os.W_OK):
        return "device", "whether it works, a probe tells at the first run"
    if os.path.exists(KVM):  # noqa: PTH110 - a device, asked for its rights in the same breath
        return "", "no right to use it: join the group kvm; until then guests are emulated (slow)"
    return "", "guests are emulated (slow)"


def locale() -> Found:
    """Say whether the C library knows C.UTF-8, which every program is started with."""
    try:
        names = process.run(["locale", "-a"], timeout=30, check=False).stdout.lower().split()
    except HostFault:
        return "", "no `locale` program"
    return ("yes", "") if {"c.utf8", "c.utf-8"} & set(names) else ("", "C.UTF-8 is not there")


LOOKS: dict[str, Callable[[], Found]] = {
    "python": python,
    "disk": disk,
    "memory": memory,
    "kvm": kvm,
    "locale": locale,
}
