# SPDX-License-Identifier: GPL-2.0-only
"""A module that the host sends to a new guest to identify it and to check its kernel's config.

Its source code runs standalone in the guest, so it imports only the standard library.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any


def missing(options: dict[str, str], config: bytes) -> list[str]:
    """Compare options with /proc/config.gz; return lines such as "X: expected y, is n"."""
    text = zlib.decompress(config, 31).decode()
    running = dict(line.split("=", 1) for line in text.splitlines() if line.startswith("CONFIG_"))
    return [
        f"{name}: expected {value}, is {running.get(name, 'n')}"
        for name, value in options.items()
        if running.get(name, "n") != value
    ]


def answer(options: dict[str, str]) -> dict[str, Any]:
    """Return the guest's name, its kernel release, and which of ``options`` that kernel lacks.

    HARNESS_CONFIG_GZ is the path of a fake guest's config.gz.
    """
    config = Path(os.environ.get("HARNESS_CONFIG_GZ", "/proc/config.gz"))
    return {
        "guest": os.environ.get("HARNESS_GUEST", ""),
        "release": os.uname().release,
        "missing": missing(options, config.read_bytes()) if options and config.exists() else [],
    }


if __name__ == "__channelexec__":
    channel: Any = globals()["channel"]
    channel.send(answer(channel.receive()))
