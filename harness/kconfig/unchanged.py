# SPDX-License-Identifier: GPL-2.0-only
"""Tell whether a .config made before is still the one that would be made now.

Making it takes seconds, which a bisection pays per step.  After a build the folder knows every
Kconfig file it depends on; when none of them, nor what was wished for, has changed, neither has
the .config.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from harness.model import Toolchain

_STAMP = ".harness-configured"
_READ = re.compile(r"^\t(\S+) \\$", re.MULTILINE)


def unchanged(source: Path, out: Path, wish: str, toolchain: Toolchain) -> bool:
    """Whether ``out``/.config needs no new making."""
    try:
        stamp = out / _STAMP
        if stamp.read_text() != _inputs(source, out, wish, toolchain):
            return False
        made = stamp.stat().st_mtime_ns
        record = out / "include/config/auto.conf.cmd"
        # The list is whole while no file in it has changed since make wrote it, and the .config
        # is current while none has changed since it was made.
        since = min(made, record.stat().st_mtime_ns)
        read = _READ.findall(record.read_text())
        if not read or any((source / name).stat().st_mtime_ns >= since for name in read):
            return False
        # The version in the Makefile stands in each .config's first lines.
        return (source / "Makefile").stat().st_mtime_ns < made
    except OSError:
        return False


def remember(source: Path, out: Path, wish: str, toolchain: Toolchain) -> None:
    """Note what ``out``/.config was made from."""
    (out / _STAMP).write_text(_inputs(source, out, wish, toolchain))


def _inputs(source: Path, out: Path, wish: str, toolchain: Toolchain) -> str:
    landed = hashlib.sha256((out / ".config").read_bytes()).hexdigest()
    return f"{source}\n{toolchain}\n{landed}\n{wish}"
