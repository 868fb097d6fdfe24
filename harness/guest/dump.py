# SPDX-License-Identifier: GPL-2.0-only
"""Write a guest's memory to a file, as QEMU sees it: the kernel need not do anything for it."""

from __future__ import annotations

from pathlib import Path

from harness.guest import qmp

_PATIENCE = 300.0  # seconds for QEMU to write it
# What QEMU 7.2 compresses comes in a stream that drgn does not take.
_FORMAT = "elf"


def take(socket: Path, path: Path) -> bool:
    """Stop the guest behind QMP ``socket`` and write its memory to ``path``; whether that worked.

    Half a dump (QEMU was killed, the disk is full) does not stay.
    """
    part = path.with_name(f"{path.name}.part")
    arguments = {"paging": False, "protocol": f"file:{part}", "format": _FORMAT}
    qmp.ask(socket, "stop")
    done = qmp.query(socket, "dump-guest-memory", arguments, _PATIENCE) is not None
    if done and part.is_file():
        part.replace(path)
        return True
    part.unlink(missing_ok=True)
    return False
