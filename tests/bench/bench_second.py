# SPDX-License-Identifier: GPL-2.0-only
"""A second `harness run` with nothing changed: what it takes but for boot and tests, and our CPU.

Run as a script, after a run has filled the cache (or it fills it first).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from typing import Any

import figures

SUITE = "tests/guest/configfs/test_mount.py"


def run(out: str) -> dict[str, Any]:
    """Run the main job with a small suite; give its JSON."""
    argv = [sys.executable, "-m", "harness", "run", "--json", "--suite", SUITE, "--out", out]
    done = subprocess.run(argv, cwd=figures.TOP, text=True, stdout=subprocess.PIPE, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> int:
    """Measure the second of two runs, print and record it."""
    with tempfile.TemporaryDirectory() as folder:
        run(f"{folder}/first")
        second = run(f"{folder}/second")
    tests = sum(seconds for name, seconds in second["stages"] if name == "test")
    makes = sum(name in ("configure", "build") for name, _ in second["stages"])
    rest = second["seconds"] - tests
    cpu = second["cpu_seconds"]
    figures.row("Second run", f"{rest:.2f}", str(makes), "< 2, 0")
    figures.row("Our own CPU", f"{cpu['own']:.2f}", f"{cpu['children']:.2f}", "< 2")
    return 0


if __name__ == "__main__":
    sys.exit(main())
