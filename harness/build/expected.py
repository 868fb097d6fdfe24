# SPDX-License-Identifier: GPL-2.0-only
"""How much a build will be: objects to compile, and space on the disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from harness import paths
from harness.build import output

# Measured on 7.2: 1364 objects for 670 options (base, nvmet), 1418 for 736 (and debug).  Only
# for the first build of a config; afterwards its real count is known.
_OBJECTS_PER_OPTION = 2.0

_GIGA = 10**9
_INCREMENTAL = _GIGA // 5


class Objects:
    """Counts compiled objects against the number a whole build of this config has."""

    def __init__(self, out: Path, config: str, options_on: int) -> None:
        self.out = out
        self.fresh = not (out / "vmlinux").exists()
        self._record = paths.cache("builds") / f"objects-{config}"
        self.done = 0
        self.total: int | None = None
        if self.fresh:  # an incremental build compiles what it must, nobody knows how much
            whole = self._known() or round(options_on * _OBJECTS_PER_OPTION)
            self.total = max(whole - _objects(out), 1)

    def count(self, kind: str, file: str) -> tuple[int, int | None]:
        """Count a step of make; give (done, expected), where expected may be None."""
        if output.is_object(kind, file):
            self.done += 1
        if self.total is not None:
            self.total = max(self.total, self.done)
        return self.done, self.total

    def save(self) -> None:
        """Remember how many objects this config has, if this build tells."""
        if self.fresh:
            with contextlib.suppress(OSError):
                self._record.write_text(str(_objects(self.out)))

    def _known(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            return int(self._record.read_text())
        return 0


def space(on: Mapping[str, str], *, fresh: bool) -> int:
    """Give the bytes a build of these options may need, generously."""
    if not fresh:
        return _INCREMENTAL
    if "DEBUG_INFO" in on:
        return 8 * _GIGA
    return (3 if "KASAN" in on else 1) * _GIGA


def _objects(out: Path) -> int:
    """Count the objects that are there; make keeps a .cmd file for each."""
    return sum(name.endswith(".o.cmd") for _, _, files in os.walk(out) for name in files)
