# SPDX-License-Identifier: GPL-2.0-only
"""Files through which the kernel is configured and describes itself."""

from __future__ import annotations

import functools
import os
import zlib
from pathlib import Path

#: The usual mount point of configfs.
CONFIGFS = "/sys/kernel/config"


def store(path: Path, value: str | int) -> None:
    """Write an attribute of sysfs or configfs with a single write(2).  Raises the kernel's OSError.

    When closed after an error or a partial write, Python's file objects write again, and the caller
    would only see the second error.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)


@functools.cache
def options() -> dict[str, str]:
    """Return the running kernel's config as {"CONFIG_X": "y"}; empty without /proc/config.gz."""
    file = Path("/proc/config.gz")
    if not file.exists():
        return {}
    lines = zlib.decompress(file.read_bytes(), 31).decode().splitlines()
    return dict(line.split("=", 1) for line in lines if line.startswith("CONFIG_"))
