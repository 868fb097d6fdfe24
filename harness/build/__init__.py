# SPDX-License-Identifier: GPL-2.0-only
"""The stage that makes a kernel: one build folder per config, one kept kernel per key.

``find`` gives a kernel that was built before; ``build`` makes one in a ``folder`` and keeps it.
"""

from __future__ import annotations

from harness.build.folders import builds, folder
from harness.build.make import build, can_be_lean
from harness.build.store import Kept, find, kernels, key, lean
from harness.build.tools import ccache, toolchain

__all__ = [
    "Kept",
    "build",
    "builds",
    "can_be_lean",
    "ccache",
    "find",
    "folder",
    "kernels",
    "key",
    "lean",
    "toolchain",
]
