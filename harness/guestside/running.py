# SPDX-License-Identifier: GPL-2.0-only
"""What the running kernel says of itself."""

from __future__ import annotations

import functools
import zlib
from pathlib import Path


@functools.cache
def options() -> dict[str, str]:
    """Its configuration, as {"CONFIG_X": "y"}; empty when it does not tell."""
    file = Path("/proc/config.gz")
    if not file.exists():
        return {}
    lines = zlib.decompress(file.read_bytes(), 31).decode().splitlines()
    return dict(line.split("=", 1) for line in lines if line.startswith("CONFIG_"))
