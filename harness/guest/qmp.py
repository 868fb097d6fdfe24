# SPDX-License-Identifier: GPL-2.0-only
"""Commands for QEMU, over its QMP socket.  They have no effect if QEMU is stuck or has exited."""

from __future__ import annotations

import json
import shlex
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

_TICK = 0.005  # seconds between questions about a state that is being written or read
_PATIENCE = 2.0  # seconds to wait for an answer; a stuck QEMU is killed anyway
_STATE_PATIENCE = 60.0  # the same while a guest is saved or restored: a busy QEMU is not stuck
_DUMP_PATIENCE = 300.0  # seconds to write a guest's memory
# drgn cannot read the compressed formats that QEMU 7.2 writes to a stream.
_DUMP_FORMAT = "elf"


def ask(path: Path, command: str, **arguments: object) -> bool:
    """Run a QMP command; return whether QEMU executed it."""
    return query(path, command, arguments) is not None


def monitor(path: Path, line: str) -> str:
    """Run a command of QEMU's human monitor; return its output; empty without an answer."""
    output = query(path, "human-monitor-command", {"command-line": line})
    return output.replace("\r", "") if isinstance(output, str) else ""


def dump_memory(path: Path, file: Path) -> bool:
    """Stop the guest and write its memory to ``file``; return whether that worked.

    The guest's kernel is not involved.  A partial dump (QEMU was killed, the disk is full) is
    removed.
    """
    part = file.with_name(f"{file.name}.part")
    arguments = {"paging": False, "protocol": f"file:{part}", "format": _DUMP_FORMAT}
    ask(path, "stop")
    done = query(path, "dump-guest-memory", arguments, _DUMP_PATIENCE) is not None
    if done and part.is_file():
        part.replace(file)
        return True
    part.unlink(missing_ok=True)
    return False


def save(path: Path, state: Path, given_up: Callable[[], bool]) -> bool:
    """Stop the guest and write the state of its devices to ``state``; return whether that worked.

    Its memory is in a file already (``memory-backend-file``, shared).
    """
    query(path, "stop", {}, _STATE_PATIENCE)
    return _migrates(path, "migrate", f"cat > {shlex.quote(str(state))}", "completed", given_up)


def load(path: Path, state: Path, given_up: Callable[[], bool]) -> bool:
    """Load what ``save`` wrote into a QEMU that waits for it; return whether that worked.

    The guest is stopped until ``resume``.
    """
    return _migrates(path, "migrate-incoming", f"cat {shlex.quote(str(state))}", "paused", given_up)


def resume(path: Path) -> bool:
    """Start a guest that was loaded; return whether QEMU did."""
    return query(path, "cont", {}, _STATE_PATIENCE) is not None


def _migrates(
    path: Path, command: str, program: str, end: str, given_up: Callable[[], bool]
) -> bool:
    """Write or read a guest's state through ``program``; return whether status ``end`` came."""
    own_memory = [{"capability": "x-ignore-shared", "state": True}]
    capabilities: dict[str, object] = {"capabilities": own_memory}
    while query(path, "migrate-set-capabilities", capabilities, _STATE_PATIENCE) is None:
        if given_up():
            return False
        time.sleep(_TICK)
    if query(path, command, {"uri": f"exec:{program}"}, _STATE_PATIENCE) is None:
        return False
    about = "query-migrate" if command == "migrate" else "query-status"
    while not given_up():
        answer = query(path, about, {}, _STATE_PATIENCE)
        status = answer.get("status") if isinstance(answer, dict) else "failed"
        if status in (end, "failed"):
            return status == end
        time.sleep(_TICK)
    return False


def query(
    path: Path, command: str, arguments: dict[str, object], patience: float = _PATIENCE
) -> object:
    """Run a QMP command; return the answer, or None if QEMU has exited, is silent or refuses.

    ``patience`` is the time limit in seconds for each message from QEMU.
    """
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(patience)
            sock.connect(str(path))
            with sock.makefile("rw", encoding="utf-8") as stream:
                stream.readline()  # the greeting
                if _execute(stream, "qmp_capabilities", {}) is None:
                    return None
                return _execute(stream, command, arguments)
    except (OSError, ValueError):
        return None


def _execute(stream: TextIO, command: str, arguments: dict[str, object]) -> object:
    stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    stream.flush()
    while True:  # events may come before the answer
        answer = json.loads(stream.readline() or "null")
        if answer is None or "error" in answer:
            return None
        if "return" in answer:
            result: object = answer["return"]
            return result
