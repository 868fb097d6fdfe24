# SPDX-License-Identifier: GPL-2.0-only
"""What `harness` prints without arguments: the first steps."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness import errors, settings


def text() -> str:
    """Return the first steps."""
    needed = ("qemu-system-x86_64", "make", "gcc", "flex", "bison")
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        steps = [("harness setup", f"start here: this machine lacks {', '.join(missing)}")]
    else:
        steps = [("harness doctor", "show what this machine has, and what it lacks")]
    steps += [
        _first_run(),
        ("harness check MBOX", "check each patch: mail, scripts, builds, boots"),
        ("harness shell", "open a shell in the kernel that `harness run` tests"),
        ("harness --help", "list all verbs; harness VERB --help has examples"),
    ]
    lines = "".join(f"  {command:<28} {what}\n" for command, what in steps)
    return f"harness tests what a patch series does to the kernel.\n\n{lines}"


def _first_run() -> tuple[str, str]:
    """Return the command for a first run: the project's own, or one that specifies everything."""
    here = Path.cwd()
    try:
        project = settings.load(here)
    except errors.HarnessError as error:
        return "harness run", f"but first: {error.what}"
    if project.series:
        kernel = f" on Linux {project.kernel}" if project.kernel else ""
        return "harness run", f"test {project.series}{kernel}"
    if (here / "MAINTAINERS").is_file() and (here / "Kbuild").is_file():
        return "harness run v7.2..HEAD --tree .", "test commits of this tree (v7.2: their base)"
    return "harness run MBOX --kernel 7.2", "test a series on the newest Linux 7.2.x"
