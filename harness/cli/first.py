# SPDX-License-Identifier: GPL-2.0-only
"""What ``harness`` alone says: what to do first, here."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness import settings
from harness.errors import HarnessError

_HEAD = "harness tests what a patch series does to the kernel.\n"
_MORE = """
  harness check MBOX           each patch: mail, scripts, builds, boots
  harness shell                a shell in the kernel that `harness run` tests
  harness --help               all verbs; harness VERB --help has examples
"""
_NEEDED = ("qemu-system-x86_64", "make", "gcc", "flex", "bison")


def words() -> str:
    """Say which command comes first: what is missing here, or the run that this place is for."""
    lacking = [name for name in _NEEDED if shutil.which(name) is None]
    steps = []
    if lacking:
        steps.append(("harness setup", f"first: this machine lacks {', '.join(lacking)}"))
    else:
        steps.append(("harness doctor", "what this machine has, and what it lacks"))
    steps.append(_run())
    lines = "".join(f"  {command:<28} {why}\n" for command, why in steps)
    return f"{_HEAD}\n{lines}{_MORE}"


def _run() -> tuple[str, str]:
    """Give the run to begin with: the project's, or one that names all it needs."""
    try:
        there = settings.load(Path.cwd())
    except HarnessError as error:
        return "harness run", f"but first: {error.what}"
    if there.series:
        return "harness run", f"test {there.series} on Linux {there.kernel or 'as named'}"
    if (Path.cwd() / "MAINTAINERS").is_file() and (Path.cwd() / "Kbuild").is_file():
        return "harness run v7.2..HEAD --tree .", "test commits of this tree (name their base)"
    return "harness run MBOX --kernel 7.2", "test a series on the newest Linux 7.2.x"
