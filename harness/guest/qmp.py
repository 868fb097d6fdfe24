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
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(_PATIENCE)
            sock.connect(str(path))
            with sock.makefile("rw", encoding="utf-8") as stream:
                stream.readline()  # the greeting
                return _do(stream, "qmp_capabilities", {}) and _do(stream, command, arguments)
    except (OSError, ValueError):
        return False


def _do(stream: TextIO, command: str, arguments: dict[str, object]) -> bool:
    stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    stream.flush()
    while True:  # events may come before the answer
        answer = json.loads(stream.readline() or "null")
        if answer is None or "error" in answer:
            return False
        if "return" in answer:
            return True
