# SPDX-License-Identifier: GPL-2.0-only
"""The modules of a kernel, laid out as /lib/modules is: a folder for its release."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from harness import kbuild, process
from harness.errors import NotBuilt
from harness.model import Checkout, Toolchain

#: What make is asked for besides the image.
GOAL = "modules"
_FOLDER = ".harness-modules"
_LIMIT = 600.0  # seconds; copying hundreds of modules and running depmod takes a minute at most


def install(checkout: Checkout, out: Path, toolchain: Toolchain, jobs: int) -> Path:
    """Install what was built into a folder below ``out`` and give it.

    The modules keep their symbols: a splat in one is decoded with them.  Raises NotBuilt with
    make's own words.
    """
    root = out / _FOLDER
    shutil.rmtree(root, ignore_errors=True)  # another release's would stay
    argv = [*kbuild.command(checkout.path, out, toolchain), f"-j{jobs}", "modules_install"]
    argv.append(f"INSTALL_MOD_PATH={root}")
    done = process.run(argv, env=kbuild.environment(), timeout=_LIMIT, check=False)
    if not done.ok:
        raise NotBuilt(
            "the modules cannot be installed",
            hint=shlex.join(argv),
            details=done.stderr or done.stdout,
        )
    folder = root / "lib/modules"
    for link in folder.glob("*/build"):
        link.unlink()  # leads back to where it was built, which the next build changes
    return folder
