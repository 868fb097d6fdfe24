# SPDX-License-Identifier: GPL-2.0-only
"""The table of architectures: everything in which one differs from another, for builds and guests.

A new architecture is one entry here, and its compiler and QEMU in doctor/needs.py.
"""

from __future__ import annotations

import dataclasses
import platform

from harness.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What differs between architectures; ``name`` is the ARCH of the kernel's make."""

    name: str
    aliases: tuple[str, ...]  # other names, as `uname -m` and distributions have them
    proven: bool  # whether anybody has booted a kernel with what this entry says

    # Builds.
    folder: str  # below the kernel's arch/
    goal: str  # what make is asked for
    image: str  # where that is in the build folder
    cross: str  # prefix of compilers that run on another machine
    unpacked: str  # option with which QEMU starts vmlinux itself, "" without one
    narrow: str  # what make is told to build for 32 bits, "" where it cannot

    # Guests.
    qemu: str
    elf_machine: int  # in the header of its ELF files
    magic: tuple[int, bytes]  # offset and bytes that mark an image
    packed: bool = False  # whether QEMU unpacks a compressed image
    console: str = "ttyS0"
    earlycon: str = "earlycon"  # the kernel's command line has this
    emulated: tuple[str, ...] = ()  # and this under TCG
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
        # The emulated clock is the host's: checking it against others costs time, and if the check
        # fails on a busy host, the guest stays slow.  Four-level page tables are walked faster;
        # with five, KASAN kernels sometimes die at boot.
        emulated=("tsc=reliable", "no_timer_check", "no5lvl"),
        # The same, for an interrupt while the kernel reads its processor's features.
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
    """Return the entry of this name, as ``uname -m`` or the kernel spells it, or UsageError."""
    for entry in ARCHITECTURES:
        if name.lower() in (entry.name, *entry.aliases):
            return entry
    known = ", ".join(entry.name for entry in ARCHITECTURES)
    raise UsageError(f"unknown architecture {name}", hint=f"choose one of {known}")


def is_native(entry: Architecture) -> bool:
    """Whether this machine is of that architecture: no cross compiler is needed."""
    return platform.machine().lower() in (entry.name, *entry.aliases)
