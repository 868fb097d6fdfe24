# SPDX-License-Identifier: GPL-2.0-only
"""Ask QEMU to do something, over its QMP socket."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TextIO

_PATIENCE = 2.0  # seconds for an answer; a QEMU that is stuck is killed anyway


def ask(path: Path, command: str, **arguments: object) -> bool:
    """Run one QMP command; whether QEMU did it.  A QEMU that is gone or silent did not."""
    return query(path, command, arguments) is not None


def monitor(path: Path, line: str) -> str:
    """Give what QEMU's monitor for people says to ``line``; nothing when it does not answer."""
    said = query(path, "human-monitor-command", {"command-line": line})
    return said.replace("\r", "") if isinstance(said, str) else ""


def query(
    path: Path, command: str, arguments: dict[str, object], patience: float = _PATIENCE
) -> object:
    """Run one QMP command and give its answer; None when QEMU is gone, silent or refuses.

    ``patience`` is in seconds between two words of QEMU.
    """
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(patience)
            sock.connect(str(path))
            with sock.makefile("rw", encoding="utf-8") as stream:
                stream.readline()  # the greeting
                if _do(stream, "qmp_capabilities", {}) is None:
                    return None
                return _do(stream, command, arguments)
    except (OSError, ValueError):
        return None


def _do(stream: TextIO, command: str, arguments: dict[str, object]) -> object:
    stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    stream.flush()
    while True:  # events may come before the answer
        answer = json.loads(stream.readline() or "null")
        if answer is None or "error" in answer:
            return None
        if "return" in answer:
            result: object = answer["return"]
            return result
