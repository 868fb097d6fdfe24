# SPDX-License-Identifier: GPL-2.0-only
"""Commands for QEMU, over its QMP socket.  They have no effect if QEMU is stuck or has exited."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TextIO

_PATIENCE = 2.0  # seconds to wait for an answer; a stuck QEMU is killed anyway
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
