# SPDX-License-Identifier: GPL-2.0-only
"""Run the commands of a document in order, like a reader would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from doccommands import ROOT, Block, blocks
from patience import PATIENCE

_NEEDED = ("pyproject.toml", "kconfigs", "patches", "docs", "tests/guest", "tests/data/splats")


def workspace(place: Path) -> Path:
    """Copy what a clone has into a writable folder."""
    for name in _NEEDED:
        to = place / name
        to.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, to)
    return place


def follow(file: Path, kinds: tuple[str, ...], place: Path, env: dict[str, str]) -> list[Block]:
    """Run the blocks of these kinds.  Raises AssertionError with the output of one that fails."""
    folder = workspace(place)
    chosen = [block for block in blocks(file) if block.how in kinds]
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for block in chosen:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=folder,
            env={**os.environ, "PATH": programs, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        output = (
            f"{file.name}:{block.line} ends with {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        assert done.returncode == 0, output
    return chosen
