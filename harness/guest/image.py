# SPDX-License-Identifier: GPL-2.0-only
"""Check that a file is a kernel image, because QEMU boots any file without an error.

ELF headers are parsed by hand: this happens before each boot, and importing pyelftools would take
longer than the check.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from harness import architectures
from harness.errors import UsageError

_HEAD = 0x300
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")

_HEADER = struct.Struct("<16sHHIQQQIHHH")  # up to the number of program headers
_PROGRAM = struct.Struct("<IIQQQQQQ")
_NOTE = struct.Struct("<III")
_PT_NOTE = 4
_PVH_ENTRY = (b"Xen\0", 18)  # XEN_ELFNOTE_PHYS32_ENTRY


def check(image: Path, arch: str) -> None:
    """Raise UsageError if ``image`` is not a kernel that a machine of ``arch`` can boot."""
    architecture = architectures.named(arch)
    hint = f"the image is {architecture.image} in the kernel's build folder"
    if image.is_dir():
        raise UsageError(f"{image} is a folder, not a kernel image", hint=hint)
    try:
        with image.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError:
        raise UsageError(f"the kernel image {image} does not exist", hint=hint) from None
    except OSError as error:
        what = f"cannot read the kernel image {image}: {error.strerror}"
        raise UsageError(what, hint=hint) from None
    image_arch = _arch(head)
    if image_arch is None and architecture.packed and head.startswith(_PACKED):
        return  # on this architecture QEMU decompresses the image
    if image_arch is None:
        raise UsageError(f"{image} is not a kernel image", hint=hint)
    if image_arch != architecture.name:
        what = f"{image} is a kernel for {image_arch}, not {arch}"
        known = any(image_arch == other.name for other in architectures.ARCHITECTURES)
        raise UsageError(what, hint=f"--arch {image_arch}" if known else hint)


def _arch(head: bytes) -> str | None:
    """Return a kernel image's architecture, from its first bytes; None for other files."""
    for architecture in architectures.ARCHITECTURES:
        offset, magic = architecture.magic
        if head.startswith(magic, offset):
            return architecture.name
    if head.startswith(b"\x7fELF") and len(head) >= 20:
        order = "<" if head[5] == 1 else ">"
        number: int = struct.unpack_from(f"{order}H", head, 18)[0]
        names = (a.name for a in architectures.ARCHITECTURES if a.elf_machine == number)
        return next(names, f"an unknown machine (ELF machine number {number})")
    return None


def uncompressed(image: Path) -> Path | None:
    """Return the uncompressed kernel, if it is next to a kept kernel or in a build folder."""
    kept = image.with_name("vmlinux")
    if kept.is_file():
        return kept
    # In a build folder the image is built from vmlinux; a newer vmlinux is from another build.
    for folder in image.parents[3:4]:
        built = folder / "vmlinux"
        if built.is_file() and built.stat().st_mtime <= image.stat().st_mtime:
            return built
    return None


def has_pvh_entry(vmlinux: Path) -> bool:
    """Return whether QEMU can boot ``vmlinux`` directly: x86-64 with CONFIG_PVH."""
    try:
        with vmlinux.open("rb") as file:
            return any(_PVH_ENTRY in _notes(segment) for segment in _note_segments(file))
    except (OSError, struct.error):
        return False


def _note_segments(file: BinaryIO) -> list[bytes]:
    fields = _HEADER.unpack(file.read(_HEADER.size))
    ident, machine, offset, size, count = fields[0], fields[2], fields[5], fields[9], fields[10]
    if (
        not ident.startswith(b"\x7fELF\x02\x01")
        or machine != architectures.named("x86_64").elf_machine
    ):
        return []
    segments = []
    for number in range(count):
        file.seek(offset + number * size)
        kind, _, start, _, _, length, _, _ = _PROGRAM.unpack(file.read(_PROGRAM.size))
        if kind == _PT_NOTE:
            file.seek(start)
            segments.append(file.read(length))
    return segments


def _notes(segment: bytes) -> list[tuple[bytes, int]]:
    """Return (name, type) for each note in a segment."""
    notes, place = [], 0
    while place + _NOTE.size <= len(segment):
        name_size, value_size, kind = _NOTE.unpack_from(segment, place)
        place += _NOTE.size
        notes.append((segment[place : place + name_size], kind))
        place += (name_size + 3) // 4 * 4 + (value_size + 3) // 4 * 4
    return notes
