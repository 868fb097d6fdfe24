# SPDX-License-Identifier: GPL-2.0-only
"""A process next to the tests that answers the host when a test does not end.

The host writes a line to a separate port (see ``bootstrap.watch``); the answer is a line of JSON
that describes what every task of the tests is doing.  Any answer shows that the kernel is still
running programs.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from typing import Any

_STACKS = "/run/harness.stacks"
_SIGNAL = signal.SIGRTMAX - 3  # otherwise unused; faulthandler writes the stacks when it arrives
_WRITING = 0.3  # seconds that writing the stacks takes
_LONGEST = 4000  # maximum number of characters of a stack


def show_stacks(faulthandler: Any) -> None:
    """Make this process write its Python stacks when the watcher requests them."""
    with contextlib.suppress(OSError):
        file = open(_STACKS, "w")  # noqa: PTH123, SIM115 - stays open
        faulthandler.register(_SIGNAL, file=file, all_threads=True)


def answer(port: int, worker: int) -> None:
    """Write to ``port`` what the process ``worker`` and its descendants are doing."""
    text = json.dumps({"tasks": tasks(worker), "python": _python(worker)}) + "\n"
    os.write(port, text.encode())


def tasks(worker: int) -> list[dict[str, str]]:
    """Return what each task (including threads) of ``worker`` and its descendants is doing."""
    parents = {pid: _parent(pid) for pid in map(int, filter(str.isdigit, os.listdir("/proc")))}  # noqa: PTH208
    family = {worker}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    states = []
    for pid in sorted(family):
        with contextlib.suppress(OSError):
            for thread in sorted(os.listdir(f"/proc/{pid}/task"), key=int):  # noqa: PTH208
                states.append(_task(pid, thread))
    return states


def _task(pid: int, thread: str) -> dict[str, str]:
    place = f"/proc/{pid}/task/{thread}"
    head = _read(f"{place}/stat").rpartition(")")[2].split()
    return {
        "pid": str(pid),
        "thread": thread,
        "comm": _read(f"{place}/comm"),
        "state": head[0] if head else "?",
        "wchan": _read(f"{place}/wchan").strip("0"),
        "syscall": _read(f"{place}/syscall").split(" ", 1)[0],
        "stack": _read(f"{place}/stack")[:_LONGEST],
    }


def _parent(pid: int) -> int:
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def _python(worker: int) -> str:
    with contextlib.suppress(OSError):
        before = os.path.getsize(_STACKS)  # noqa: PTH202
        os.kill(worker, _SIGNAL)
        time.sleep(_WRITING)
        return _read(_STACKS)[before:][:_LONGEST]
    return ""


def _read(path: str) -> str:
    try:
        with open(path, errors="replace") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""
