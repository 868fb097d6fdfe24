# SPDX-License-Identifier: GPL-2.0-only
"""CPU time of a clean build: our config against `vng --build` with its own, same tree, no ccache.

Run as a script; takes an hour of CPU.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import figures

from harness import build, kconfig, source, tree
from harness.progress import Progress

PROMISE = 0.40


def main() -> int:
    """Build both, print and record the ratio."""
    progress = Progress()
    toolchain = build.toolchain()
    request = kconfig.request(["base", "nvmet"], [], [])
    jobs = f"-j{len(os.sched_getaffinity(0))}"
    clean = {"CCACHE_DISABLE": "1"}
    start = source.release("7.2", progress)
    with (
        tree.slot(start, progress) as slot,
        tempfile.TemporaryDirectory(dir=slot.path.parent) as own,
    ):
        slot.check_out(slot.base())
        out = Path(own) / "out"
        kconfig.configure(slot.path, out, request, toolchain, progress)
        ours = figures.cost(["make", f"O={out}", jobs, "bzImage"], slot.path, clean)
        # vng builds in the tree, so it gets one to itself.
        theirs_tree = Path(own) / "linux"
        shutil.copytree(
            slot.path, theirs_tree, symlinks=True, ignore=shutil.ignore_patterns(".git")
        )
        fragment = figures.TOP / "kconfigs" / "nvmet.config"
        programs = Path(sys.executable).parent
        vng = [str(programs / "vng"), "--build", "--config", str(fragment)]
        # vng looks for its own other programs in PATH.
        path = {"PATH": f"{programs}:{os.environ['PATH']}"}
        theirs = figures.cost(vng, theirs_tree, {**clean, **path})
    if ours.status or theirs.status:
        print(f"a build failed: ours {ours.status}, vng's {theirs.status}")
        return 1
    ratio = ours.cpu / theirs.cpu
    figures.row("Build", f"{ours.cpu:.0f}", f"{theirs.cpu:.0f}", f"{ratio:.0%}", f"{PROMISE:.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
