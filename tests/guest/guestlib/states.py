# SPDX-License-Identifier: GPL-2.0-only
"""What a task of the machine is doing."""

from __future__ import annotations

from pathlib import Path

from harness.guestside import wait
from harness.guestside.task import stack


def waits(pid: int) -> bool:
    """Return whether a task sleeps uninterruptibly, like one that waits for a disk."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "D"


def wait_until_in(pid: int, function: str) -> None:
    """Wait until a task sleeps in a function of the kernel whose name contains this."""
    wait.until(lambda: waits(pid) and function in stack(pid), f"task {pid} to wait in {function}")
