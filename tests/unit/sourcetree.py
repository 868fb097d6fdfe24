# SPDX-License-Identifier: GPL-2.0-only
"""Small trees of kernel sources."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from harness.adaptors import Sources
from harness.model import Toolchain


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files, by their path below ``folder``."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def commit(folder: Path, files: Mapping[str, str]) -> Sources:
    """Make a git tree of the files in ``folder``, with one commit."""
    write(folder, files)
    own = ("git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@localhost")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "x")):
        subprocess.run([*own, *words], check=True)
    return Sources(folder, "HEAD", Toolchain("x86_64", "gcc", "12"))
