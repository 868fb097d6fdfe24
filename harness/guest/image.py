# SPDX-License-Identifier: GPL-2.0-only
"""Tell what a file is before QEMU is given it: QEMU runs anything, and says nothing."""

from __future__ import annotations

import struct
from pathlib import Path

from harness.errors import UsageError

_HEAD = 0x300
# ELF's numbers for machines.
_ELF = {62: "x86_64", 183: "arm64"}
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


def check(image: Path, arch: str) -> None:
    """Raise UsageError when ``image`` is no kernel that a machine of ``arch`` can start."""
    if image.is_dir():
        raise UsageError(f"{image} is a folder, not a kernel image", hint=_WHERE.get(arch, ""))
    try:
        with image.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError:
        raise UsageError(f"{image}: there is no such image", hint=_WHERE.get(arch, "")) from None
    except OSError as error:
        raise UsageError(
            f"cannot read the kernel image {image}: {error.strerror}", hint=_WHERE.get(arch, "")
        ) from None
    found = _arch(head)
    if found is None and arch == "arm64" and head.startswith(_PACKED):
        return  # a packed Image, which QEMU unpacks for this machine
    if found is None:
        raise UsageError(f"{image} is not a kernel image", hint=_WHERE.get(arch, ""))
    if found != arch:
        raise UsageError(f"{image} is a kernel for {found}, not {arch}", hint=f"--arch {found}")


_WHERE = {
    "x86_64": "it is arch/x86/boot/bzImage in the folder where the kernel was built",
    "arm64": "it is arch/arm64/boot/Image in the folder where the kernel was built",
}


def _arch(head: bytes) -> str | None:
    """Give the architecture that the start of a kernel image is for; None if it is none."""
    if head[0x202:0x206] == b"HdrS":  # x86's boot protocol
        return "x86_64"
    if head[56:60] == b"ARM\x64":
        return "arm64"
    if head.startswith(b"\x7fELF") and len(head) >= 20:
        order = "<" if head[5] == 1 else ">"
        number: int = struct.unpack_from(f"{order}H", head, 18)[0]
        return _ELF.get(number, f"another machine (ELF's number {number})")
    return None
