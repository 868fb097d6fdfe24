# SPDX-License-Identifier: GPL-2.0-only
"""What the harness needs of a machine: a table of frozen values, and nothing that acts on it.

Minimum versions of the build's programs are those of Linux 7.2 (Documentation/process/changes.rst).
"""

from __future__ import annotations

import dataclasses
import enum


class Level(enum.StrEnum):
    """How much a need matters."""

    REQUIRED = "required"  # the main job fails without it
    RECOMMENDED = "recommended"  # something is slower or left out; `harness setup` installs it too
    EXTRA = "extra"  # for one option or kind of kernel; installed when asked for by name


@dataclasses.dataclass(frozen=True)
class Packages:
    """The package that brings a thing, by package manager.  Empty: always there, or not packaged.

    Several packages are separated by spaces.
    """

    apt: str = ""
    dnf: str = ""
    zypper: str = ""
    pacman: str = ""

    def of(self, installer: str) -> tuple[str, ...]:
        """Give the packages' names for a manager named as the fields are."""
        return tuple(getattr(self, installer).split())


@dataclasses.dataclass(frozen=True)
class Program:
    """A program, found along PATH (or in the sbin folders a user's PATH lacks).

    ``version`` are the words that make it print its version; none: being there is enough.
    """

    name: str
    version: tuple[str, ...] = ("--version",)


@dataclasses.dataclass(frozen=True)
class Header:
    """A C header and its library, found by compiling and linking one line with them."""

    name: str
    flags: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Library:
    """A Python distribution in the environment the harness runs in."""

    name: str


@dataclasses.dataclass(frozen=True)
class Machine:
    """A property of the machine; the name picks the look in harness.doctor.machine."""

    name: str


@dataclasses.dataclass(frozen=True)
class Need:
    """One thing the harness needs, for which stage, and where it comes from."""

    what: str
    stage: str
    why: str
    look: Program | Header | Library | Machine
    packages: Packages = Packages()
    minimum: str = ""
    level: Level = Level.REQUIRED


def _same(name: str) -> Packages:
    """Give a package that has one name everywhere."""
    return Packages(name, name, name, name)


def _program(name: str, stage: str, why: str, minimum: str = "") -> Need:
    """Give a program that prints its version in the common way and is packaged by its name."""
    return Need(name, stage, why, Program(name), _same(name), minimum)


def _at(level: Level, need: Need) -> Need:
    return dataclasses.replace(need, level=level)


SOURCES = (
    _program("git", "tree", "worktrees, am, bisect", "2.32"),
    _program("tar", "source", "unpacks kernel releases", "1.28"),
    Need(
        "xz",
        "source",
        "unpacks kernel releases",
        Program("xz"),
        Packages("xz-utils", "xz", "xz", "xz"),
    ),
)

BUILD = (
    _program("make", "build", "runs the kernel's build", "4.0"),
    _program("gcc", "build", "compiles the kernel", "8.1"),
    Need(
        "libc headers",
        "build",
        "the kernel's host programs",
        Header("stdio.h"),
        Packages("libc6-dev", "glibc-devel", "glibc-devel", "glibc"),
    ),
    Need("ld", "build", "links the kernel", Program("ld"), _same("binutils"), "2.30"),
    _program("flex", "build", "kconfig's and dtc's scanners", "2.5.35"),
    _program("bison", "build", "kconfig's and dtc's parsers", "2.0"),
    _program("bc", "build", "timeconst.h", "1.06.95"),
    Need("awk", "build", "the build's scripts", Program("awk", ()), _same("gawk")),
    Need("find", "build", "the build's scripts", Program("find"), _same("findutils")),
    Need("cmp", "build", "leaves unchanged files alone", Program("cmp"), _same("diffutils")),
    _program("gzip", "build", "compresses the image and /proc/config.gz"),
    Need(
        "libelf headers",
        "build",
        "objtool",
        Header("libelf.h", ("-lelf",)),
        Packages("libelf-dev", "elfutils-libelf-devel", "libelf-devel", "libelf"),
    ),
    _at(
        Level.RECOMMENDED,
        Need(
            "openssl headers",
            "build",
            "kernels with signed modules or trusted keys",
            Header("openssl/opensslv.h", ("-lcrypto",)),
            Packages("libssl-dev", "openssl-devel", "libopenssl-devel", "openssl"),
        ),
    ),
    _at(Level.RECOMMENDED, _program("ccache", "build", "compiles what it has seen in no time")),
    _at(Level.RECOMMENDED, _program("cpio", "build", "kernels with an initramfs or IKHEADERS")),
    _at(Level.RECOMMENDED, _program("kmod", "build", "kernels with modules", "13")),
    _at(
        Level.EXTRA,
        Need(
            "pahole",
            "build",
            "kernels with BTF; structures in harness check",
            Program("pahole"),
            Packages("pahole", "dwarves", "dwarves", "pahole"),
            "1.26",
        ),
    ),
    _at(Level.EXTRA, _program("clang", "build", "--llvm", "17.0.1")),
    _at(
        Level.EXTRA,
        Need("lld", "build", "--llvm", Program("ld.lld"), _same("lld"), "17.0.1"),
    ),
    _at(
        Level.EXTRA,
        Need(
            "arm64 gcc",
            "build",
            "--arch arm64",
            Program("aarch64-linux-gnu-gcc"),
            Packages(
                "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
                "gcc-aarch64-linux-gnu",
                "cross-aarch64-gcc14",
                "aarch64-linux-gnu-gcc",
            ),
            "8.1",
        ),
    ),
)

CHECK = (
    Need(
        "perl",
        "check",
        "checkpatch.pl and get_maintainer.pl",
        # perl-base alone has the program but not the modules that checkpatch.pl loads.
        Program("perl", ("-MTerm::ANSIColor", "-MPOSIX", "-e", "printf 'version %vd', $^V")),
        _same("perl"),
        "5.14",
        Level.RECOMMENDED,
    ),
    _at(Level.RECOMMENDED, _program("sparse", "check", "endian, lock and address space checks")),
    Need(
        "coccinelle",
        "check",
        "the tree's semantic patches: harness check --coccinelle",
        Program("spatch"),
        _same("coccinelle"),
        level=Level.EXTRA,
    ),
)

GUEST = (
    Need(
        "qemu",
        "guest",
        "runs the guest",
        Program("qemu-system-x86_64"),
        Packages("qemu-system-x86", "qemu-system-x86-core", "qemu-x86", "qemu-system-x86"),
        # virtme-ng itself is content with 4.2; 6.2 is the oldest a supported distribution has.
        "6.2",
    ),
    Need("virtme-ng", "guest", "boots the kernel", Library("virtme-ng"), minimum="1.40"),
    _program("file", "guest", "virtme-ng reads the image's release with it"),
    Need(
        "ip",
        "guest",
        "virtme-ng brings the guest's loopback device up with it",
        Program("ip", ("-V",)),
        Packages("iproute2", "iproute", "iproute2", "iproute2"),
    ),
    Need("KVM", "guest", "runs guest code at full speed", Machine("kvm"), level=Level.EXTRA),
    _at(
        Level.EXTRA,
        Need(
            "qemu for arm64",
            "guest",
            "--arch arm64",
            Program("qemu-system-aarch64"),
            Packages(
                "qemu-system-arm", "qemu-system-aarch64-core", "qemu-arm", "qemu-system-aarch64"
            ),
            "6.2",
        ),
    ),
)

SUITES = (
    Need("nvme", "suites", "connects to nvmet", Program("nvme", ("version",)), _same("nvme-cli")),
    _at(Level.RECOMMENDED, _program("fio", "suites", "writes and verifies data under load")),
)

MACHINE = (
    Need("Python", "host", "the harness itself", Machine("python"), minimum="3.11"),
    Need("free disk", "host", "sources, trees and builds", Machine("disk"), minimum="12 GB"),
    Need("memory", "host", "a build, guests", Machine("memory"), minimum="3 GB", level=Level.EXTRA),
    Need(
        "UTF-8 locale",
        "host",
        "names and mails with any letter",
        Machine("locale"),
        Packages("libc-bin", "glibc-minimal-langpack", "glibc-locale-base", "glibc"),
    ),
)

NEEDS = MACHINE + SOURCES + BUILD + GUEST + SUITES + CHECK
