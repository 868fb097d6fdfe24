# SPDX-License-Identifier: GPL-2.0-only
"""Tell whether QEMU can start an uncompressed kernel: one that has a PVH entry (CONFIG_PVH)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_HEADER = struct.Struct("<16sHHIQQQIHHH")  # up to the number of program headers
_PROGRAM = struct.Struct("<IIQQQQQQ")
_NOTE = struct.Struct("<III")
_PT_NOTE = 4
_ENTRY = (b"Xen\0", 18)  # XEN_ELFNOTE_PHYS32_ENTRY


def startable(vmlinux: Path) -> bool:
    """Whether ``vmlinux`` is an x86-64 ELF file with a PVH entry; anything else is not."""
    try:
        with vmlinux.open("rb") as file:
            return any(_has_entry(notes) for notes in _notes(file))
    except (OSError, struct.error):
        return False


def _notes(file: BinaryIO) -> list[bytes]:
    fields = _HEADER.unpack(file.read(_HEADER.size))
    ident, machine, offset, size, count = fields[0], fields[2], fields[5], fields[9], fields[10]
    if not ident.startswith(b"\x7fELF\x02\x01") or machine != 62:
        return []
    found = []
    for number in range(count):
        file.seek(offset + number * size)
        kind, _, start, _, _, length, _, _ = _PROGRAM.unpack(file.read(_PROGRAM.size))
        if kind == _PT_NOTE:
            file.seek(start)
            found.append(file.read(length))
    return found


def _has_entry(notes: bytes) -> bool:
    place = 0
    while place + _NOTE.size <= len(notes):
        name, value, kind = _NOTE.unpack_from(notes, place)
        place += _NOTE.size
        if (notes[place : place + name], kind) == _ENTRY:
            return True
        place += (name + 3) // 4 * 4 + (value + 3) // 4 * 4
    return False
