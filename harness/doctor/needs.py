# SPDX-License-Identifier: GPL-2.0-only
"""What the harness needs on a machine: a table of frozen dataclasses, without code that acts on it.

The minimum versions of build programs are those of Linux 7.2 (Documentation/process/changes.rst).
"""

from __future__ import annotations

import dataclasses
import enum


class NeedLevel(enum.StrEnum):
    REQUIRED = "required"  # `harness run` fails without it
    RECOMMENDED = "recommended"  # `harness setup` installs it; without it something is slower
    EXTRA = "extra"  # for one option or kind of kernel; installed only when named


@dataclasses.dataclass(frozen=True)
class Packages:
    """Package names by package manager, separated by spaces.

    Empty: always installed, or not packaged.
    """

    apt: str = ""
    dnf: str = ""
    zypper: str = ""
    pacman: str = ""

    def of(self, installer: str) -> tuple[str, ...]:
        """Return the names for one of the fields: apt, dnf, zypper, pacman."""
        return tuple(getattr(self, installer).split())


@dataclasses.dataclass(frozen=True)
class Program:
    """A program on PATH, or in an sbin folder that is missing from a user's PATH.

    ``version`` are the arguments that print its version; if empty, its presence is enough.
    """

    name: str
    version: tuple[str, ...] = ("--version",)


@dataclasses.dataclass(frozen=True)
class CHeader:
    """A C header and its library, checked by compiling and linking a program with them."""

    name: str
    flags: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Library:
    """A Python distribution in the harness's environment."""

    name: str


@dataclasses.dataclass(frozen=True)
class MachineProperty:
    """A property of the machine, one of ``machine.PROPERTIES``."""

    name: str


@dataclasses.dataclass(frozen=True)
class Need:
    """One thing the harness needs: for which stage, how to detect it, how to install it."""

    what: str
    stage: str
    why: str
    look: Program | CHeader | Library | MachineProperty
    packages: Packages = Packages()
    minimum: str = ""
    level: NeedLevel = NeedLevel.REQUIRED


def _same(name: str) -> Packages:
    return Packages(name, name, name, name)


def _program(
    name: str, stage: str, why: str, minimum: str = "", level: NeedLevel = NeedLevel.REQUIRED
) -> Need:
    """Return a need for a program that supports --version and has a package of the same name."""
    return Need(name, stage, why, Program(name), _same(name), minimum, level)


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
        CHeader("stdio.h"),
        Packages("libc6-dev", "glibc-devel", "glibc-devel", "glibc"),
    ),
    Need("ld", "build", "links the kernel", Program("ld"), _same("binutils"), "2.30"),
    _program("flex", "build", "kconfig's and dtc's scanners", "2.5.35"),
    _program("bison", "build", "kconfig's and dtc's parsers", "2.0"),
    _program("bc", "build", "timeconst.h", "1.06.95"),
    Need("awk", "build", "the build's scripts", Program("awk", ()), _same("gawk")),
    Need("find", "build", "the build's scripts", Program("find"), _same("findutils")),
    Need(
        "cmp",
        "build",
        "keeps generated files that did not change",
        Program("cmp"),
        _same("diffutils"),
    ),
    _program("gzip", "build", "compresses the image and /proc/config.gz"),
    Need(
        "libelf headers",
        "build",
        "objtool",
        CHeader("libelf.h", ("-lelf",)),
        Packages("libelf-dev", "elfutils-libelf-devel", "libelf-devel", "libelf"),
    ),
    Need(
        "openssl headers",
        "build",
        "kernels with signed modules or trusted keys",
        CHeader("openssl/opensslv.h", ("-lcrypto",)),
        Packages("libssl-dev", "openssl-devel", "libopenssl-devel", "openssl"),
        level=NeedLevel.RECOMMENDED,
    ),
    _program("ccache", "build", "reuses objects from earlier builds", level=NeedLevel.RECOMMENDED),
    _program(
        "cpio", "build", "kernels with an initramfs or IKHEADERS", level=NeedLevel.RECOMMENDED
    ),
    _program("kmod", "build", "kernels with modules", "13", level=NeedLevel.RECOMMENDED),
    Need(
        "pahole",
        "build",
        "kernels with BTF; structure layouts in harness check",
        Program("pahole"),
        Packages("pahole", "dwarves", "dwarves", "pahole"),
        "1.26",
        level=NeedLevel.EXTRA,
    ),
    _program("clang", "build", "--llvm", "17.0.1", level=NeedLevel.EXTRA),
    Need(
        "lld", "build", "--llvm", Program("ld.lld"), _same("lld"), "17.0.1", level=NeedLevel.EXTRA
    ),
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
        level=NeedLevel.EXTRA,
    ),
)

CHECK = (
    Need(
        "perl",
        "check",
        "checkpatch.pl and get_maintainer.pl",
        # perl-base has the program, but not the modules that checkpatch.pl loads.
        Program("perl", ("-MTerm::ANSIColor", "-MPOSIX", "-e", "printf 'version %vd', $^V")),
        _same("perl"),
        "5.14",
        NeedLevel.RECOMMENDED,
    ),
    _program(
        "sparse", "check", "endian, lock and address space checks", level=NeedLevel.RECOMMENDED
    ),
    Need(
        "coccinelle",
        "check",
        "the tree's semantic patches: harness check --coccinelle",
        Program("spatch"),
        _same("coccinelle"),
        level=NeedLevel.EXTRA,
    ),
)

GUEST = (
    Need(
        "qemu",
        "guest",
        "runs the guest",
        Program("qemu-system-x86_64"),
        Packages("qemu-system-x86", "qemu-system-x86-core", "qemu-x86", "qemu-system-x86"),
        # virtme-ng works with 4.2; 6.2 is the oldest in a supported distribution.
        "6.2",
    ),
    Need("virtme-ng", "guest", "boots the kernel", Library("virtme-ng"), minimum="1.40"),
    _program("file", "guest", "virtme-ng uses it to read the image's release"),
    Need(
        "ip",
        "guest",
        "virtme-ng uses it to bring up the guest's loopback device",
        Program("ip", ("-V",)),
        Packages("iproute2", "iproute", "iproute2", "iproute2"),
    ),
    Need(
        "KVM",
        "guest",
        "runs guest code at full speed",
        MachineProperty("kvm"),
        level=NeedLevel.EXTRA,
    ),
    Need(
        "qemu for arm64",
        "guest",
        "--arch arm64",
        Program("qemu-system-aarch64"),
        Packages("qemu-system-arm", "qemu-system-aarch64-core", "qemu-arm", "qemu-system-aarch64"),
        "6.2",
        level=NeedLevel.EXTRA,
    ),
)

SUITES = (
    Need("nvme", "suites", "connects to nvmet", Program("nvme", ("version",)), _same("nvme-cli")),
    _program("fio", "suites", "writes and verifies data under load", level=NeedLevel.RECOMMENDED),
)

# For the tests that kernel people already have.  A series without suites gets self-tests by itself.
ADAPTORS = (
    _program("rsync", "suites", "installs the self-tests", level=NeedLevel.RECOMMENDED),
    Need(
        "libcap headers",
        "suites",
        "self-tests of mounts, namespaces and capabilities",
        CHeader("sys/capability.h", ("-lcap",)),
        Packages("libcap-dev", "libcap-devel", "libcap-devel", "libcap"),
        level=NeedLevel.RECOMMENDED,
    ),
    Need(
        "libmnl headers",
        "suites",
        "self-tests of netlink",
        CHeader("libmnl/libmnl.h", ("-lmnl",)),
        Packages("libmnl-dev", "libmnl-devel", "libmnl-devel", "libmnl"),
        level=NeedLevel.EXTRA,
    ),
    Need(
        "libnuma headers",
        "suites",
        "self-tests of memory management",
        CHeader("numa.h", ("-lnuma",)),
        Packages("libnuma-dev", "numactl-devel", "libnuma-devel", "numactl"),
        level=NeedLevel.EXTRA,
    ),
    Need(
        "libfuse headers",
        "suites",
        "self-tests of memfd",
        CHeader("fuse.h", ("-D_FILE_OFFSET_BITS=64", "-I/usr/include/fuse", "-lfuse")),
        Packages("libfuse-dev", "fuse-devel", "fuse-devel", "fuse2"),
        level=NeedLevel.EXTRA,
    ),
    Need(
        "udevadm",
        "suites",
        "--blktests",
        Program("udevadm"),
        Packages("udev", "systemd-udev", "udev", "systemd"),
        level=NeedLevel.EXTRA,
    ),
    Need(
        "gawk",
        "suites",
        "--blktests and --fstests",
        Program("gawk"),
        _same("gawk"),
        level=NeedLevel.EXTRA,
    ),
    Need(
        "xfs_io",
        "suites",
        "--fstests, and some of --blktests",
        Program("xfs_io", ("-V",)),
        _same("xfsprogs"),
        level=NeedLevel.EXTRA,
    ),
    Need(
        "mkfs.ext4",
        "suites",
        "--fstests",
        Program("mkfs.ext4", ("-V",)),
        _same("e2fsprogs"),
        level=NeedLevel.EXTRA,
    ),
)

MACHINE = (
    Need("Python", "host", "the harness itself", MachineProperty("python"), minimum="3.11"),
    Need(
        "free disk", "host", "sources, trees and builds", MachineProperty("disk"), minimum="12 GB"
    ),
    Need(
        "memory",
        "host",
        "builds and guests",
        MachineProperty("memory"),
        minimum="3 GB",
        level=NeedLevel.EXTRA,
    ),
    Need(
        "UTF-8 locale",
        "host",
        "names and mails in any alphabet",
        MachineProperty("locale"),
        Packages("libc-bin", "glibc-minimal-langpack", "glibc-locale-base", "glibc"),
    ),
)

NEEDS = MACHINE + SOURCES + BUILD + GUEST + SUITES + ADAPTORS + CHECK
