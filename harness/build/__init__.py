# SPDX-License-Identifier: GPL-2.0-only
"""The stage that builds a kernel: one build folder per config, one kept kernel per key.

``find`` returns a kernel built earlier; ``build`` builds one in a ``folder`` and keeps it.
"""

from __future__ import annotations

from harness.build.changed import MOST_OBJECTS, ChangedBuilds, ChangedObjects, restore
from harness.build.compiled import series_lines
from harness.build.counters import counted_objects
from harness.build.kernel_store import find, folder, key, lean, loaded_digest
from harness.build.line_kinds import error_paths, leaving, statements, without_code
from harness.build.make import build, can_be_lean
from harness.build.make_records import may_use
from harness.build.nearest import pervasive
from harness.build.skip import affected
from harness.build.tools import ccache, toolchain

__all__ = [
    "MOST_OBJECTS",
    "ChangedBuilds",
    "ChangedObjects",
    "affected",
    "build",
    "can_be_lean",
    "ccache",
    "counted_objects",
    "error_paths",
    "find",
    "folder",
    "key",
    "lean",
    "leaving",
    "loaded_digest",
    "may_use",
    "pervasive",
    "restore",
    "series_lines",
    "statements",
    "toolchain",
    "without_code",
]
