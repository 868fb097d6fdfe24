# SPDX-License-Identifier: GPL-2.0-only
"""The table of architectures: all differences between them, for builds and guests.

A new architecture needs an entry here, and its compiler and QEMU in doctor/needs.py.
"""

from __future__ import annotations

import dataclasses
import platform

from harness.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Architecture:
    """An architecture; ``name`` is its value of ARCH= in kernel builds."""

    name: str
    aliases: tuple[str, ...]  # other names, as used by `uname -m` and distributions
    proven: bool  # whether a kernel has been booted with this entry

    # Builds.
    folder: str  # below the kernel's arch/
    goal: str  # the make target for the image
    image: str  # path of the image in the build folder
    cross: str  # prefix of cross compilers
    unpacked: str  # Kconfig option with which QEMU can boot vmlinux, "" if there is none
    narrow: str  # make's argument for a 32-bit build, "" if not supported

    # Guests.
    qemu: str
    elf_machine: int  # e_machine of its ELF files
    magic: tuple[int, bytes]  # offset and bytes that identify an image
    packed: bool = False  # whether QEMU decompresses a compressed image
    console: str = "ttyS0"
    earlycon: str = "earlycon"  # kernel command line argument
    emulated: tuple[str, ...] = ()  # additional kernel command line arguments under TCG
    emulated_cpu: str = ""  # QEMU's -cpu under TCG


ARCHITECTURES = (
    Architecture(
        name="x86_64",
        aliases=("amd64", "x86-64"),
        proven=True,
        folder="x86",
        goal="bzImage",
        image="arch/x86/boot/bzImage",
        cross="x86_64-linux-gnu-",
        unpacked="PVH",
        narrow="ARCH=i386",
        qemu="qemu-system-x86_64",
        elf_machine=62,
        magic=(0x202, b"HdrS"),
        earlycon="earlycon=uart8250,io,0x3f8",
        # The emulated TSC is the host's: checking it against other clocks costs time, and if the
        # check fails on a busy host, the guest stays slow.  Four-level page tables are faster; with
        # five levels, KASAN kernels sometimes die at boot.
        emulated=("tsc=reliable", "no_timer_check", "no5lvl"),
        # Four-level page tables again, in case of an interrupt during the kernel's CPU detection.
        emulated_cpu="max,la57=off",
    ),
    Architecture(
        name="arm64",
        aliases=("aarch64",),
        proven=False,
        folder="arm64",
        goal="Image",
        image="arch/arm64/boot/Image",
        cross="aarch64-linux-gnu-",
        unpacked="",
        narrow="",
        qemu="qemu-system-aarch64",
        elf_machine=183,
        magic=(56, b"ARM\x64"),
        packed=True,
        console="ttyAMA0",
    ),
)


def named(name: str) -> Architecture:
    """Return the entry for a name as in ``uname -m`` or the kernel.  Raises UsageError."""
    for entry in ARCHITECTURES:
        if name.lower() in (entry.name, *entry.aliases):
            return entry
    known = ", ".join(entry.name for entry in ARCHITECTURES)
    raise UsageError(f"unknown architecture {name}", hint=f"choose one of {known}")


def is_native(entry: Architecture) -> bool:
    """Return whether this machine has that architecture, so that no cross compiler is needed."""
    return platform.machine().lower() in (entry.name, *entry.aliases)
