# SPDX-License-Identifier: GPL-2.0-only
"""What the benchmarks share: CPU time of a command, and rows in docs/measurements.md."""

from __future__ import annotations

import dataclasses
import datetime
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

TOP = Path(__file__).parents[2]
PAGE = TOP / "docs" / "measurements.md"


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a command took: wall and CPU (user and system, with all it started), in seconds."""

    wall: float
    cpu: float
    status: int


def cost(argv: Sequence[str], cwd: Path, env: dict[str, str] | None = None) -> Cost:
    """Run a command to its end; what it prints goes to standard error."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        argv, cwd=cwd, env={**os.environ, **(env or {})}, stdout=sys.stderr, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Cost(time.monotonic() - begin, cpu, done.returncode)


def row(heading: str, *cells: str) -> None:
    """Print a row, and put it, dated, on top of the table under ``heading`` of the page."""
    line = " | ".join(("", f"{datetime.date.today()} {commit()}", *cells, "")).strip()
    print(f"{heading}: {line}")
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(n for n, text in enumerate(lines) if text.startswith(f"## {heading}"))
    rule = next(n for n, text in enumerate(lines) if n > start and text.startswith("|---"))
    PAGE.write_text("\n".join([*lines[: rule + 1], line, *lines[rule + 1 :]]) + "\n", "utf-8")


def commit() -> str:
    """Name the commit that is measured."""
    words = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(words, cwd=TOP, text=True, capture_output=True, check=True).stdout.strip()


def machine() -> str:
    """Name the machine by what matters here."""
    return f"{len(os.sched_getaffinity(0))} x {platform.machine()}, Linux {platform.release()}"
