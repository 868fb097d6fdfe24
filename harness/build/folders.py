# SPDX-License-Identifier: GPL-2.0-only
"""Build folders: one per worktree, config and toolchain, so that make's work is never lost."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from harness import paths
from harness.build import store
from harness.model import Checkout, Request, Toolchain

_ABOUT = ".harness-about.json"


def folder(checkout: Checkout, request: Request, toolchain: Toolchain) -> Path:
    """Give the build folder of these inputs, made if missing; marks it as used now."""
    compiler = (toolchain.arch, toolchain.cross, toolchain.compiler, toolchain.version)
    words = (str(checkout.path), request.digest, *compiler, *toolchain.words)
    digest = hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]
    found = paths.cache("builds", digest)
    about = found / _ABOUT
    with paths.writing(found):
        if not about.exists():
            said = {"worktree": str(checkout.path), "arch": toolchain.arch}
            about.write_text(json.dumps(said))
        os.utime(found)
    return found


def builds() -> list[store.Kept]:
    """List the build folders, oldest use first."""
    found = []
    for path in paths.cache("builds").iterdir():
        if not path.is_dir():
            continue
        what = "unknown"
        with contextlib.suppress(OSError, ValueError, KeyError):
            about = json.loads((path / _ABOUT).read_text())
            what = f"{about['arch']} build of {about['worktree']}"
        with contextlib.suppress(OSError):  # another run's, gone meanwhile
            found.append(store.Kept(path, store.size(path), path.stat().st_mtime, what))
    return sorted(found, key=lambda each: each.used)
