# SPDX-License-Identifier: GPL-2.0-only
"""How the kernel's ``make`` is called: architectures, words and environment, in one place.

The stages that configure and build must say the same, or make would see another compiler and
build everything again.
"""

from __future__ import annotations

import dataclasses
import platform
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from harness import git
from harness.errors import HostFault, UsageError
from harness.model import Toolchain

# What a build must not take over from the caller's environment.
_FOREIGN = (
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
    "KCFLAGS",
    "KAFLAGS",
    "KCPPFLAGS",
    "KBUILD_OUTPUT",
    "KBUILD_EXTRA_WARN",
    "KBUILD_CHECKSRC",
    "KBUILD_EXTMOD",
    "KCONFIG_CONFIG",
    "KCONFIG_ALLCONFIG",
    "KCONFIG_DEFCONFIG_LIST",
)

# The same sources give the same bytes, whoever builds them and when; ccache needs that as well.
_STAMPS = {
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
    "KBUILD_BUILD_USER": "harness",
    "KBUILD_BUILD_HOST": "harness",
    "KBUILD_BUILD_VERSION": "1",
}

# Programs that the harness or every build starts, and what CI services start by themselves.
PROGRAMS = re.compile(
    r"(?:scripts|\.ci|\.github|\.gitlab|tools/(?:objtool|build|lib/subcmd|bpf/resolve_btfids))/"
    # An object that was not compiled here; and what a localversion file holds gets to a shell.
    r"|\.gitlab-ci|localversion|.*\.(?:sh|pl|py|awk|sed|cocci|o|so|a)$"
)
# A build compiles these and runs them.
HOST_PROGRAMS = re.compile(
    r"(?:usr/gen_|lib/(?:gen_|raid6/mktables|crc/gen_)|arch/[^/]+/(?:tools|boot/tools)/"
    r"|arch/x86/entry/vdso/vdso2c|security/selinux/genheaders|certs/|drivers/tty/vt/(?:conmakehash|gen_)"
    r"|tools/)"
)
KCONFIG = re.compile(r"(?:.*/)?Kconfig[^/]*$")
MAKE = re.compile(r"(?:.*/)?(?:(?:Makefile|Kbuild)[^/]*|Platform|[^/]+\.(?:mk|mak|include))$")

# What every build needs: program to Debian's package (others' names are the doctor's affair).
_ALWAYS = {"make": "make", "flex": "flex", "bison": "bison", "bc": "bc", "perl": "perl"}
_LLVM = {"ld": "lld", "objcopy": "llvm", "nm": "llvm"}  # GNU's are all in binutils


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What differs between architectures.

    ``folder`` is the one below arch/, ``goal`` what make is asked for, ``image`` where that
    lies in the build folder, ``cross`` the prefix of compilers that run on another machine.
    ``unpacked`` is the option with which QEMU starts vmlinux itself, "" where none does.
    ``proven`` says whether anybody has booted what this line describes.
    """

    name: str
    folder: str
    goal: str
    image: str
    cross: str
    unpacked: str
    proven: bool


ARCHITECTURES = {
    line.name: line
    for line in (
        Architecture(
            *("x86_64", "x86", "bzImage", "arch/x86/boot/bzImage", "x86_64-linux-gnu-", "PVH"),
            proven=True,
        ),
        Architecture(
            *("arm64", "arm64", "Image", "arch/arm64/boot/Image", "aarch64-linux-gnu-", ""),
            proven=False,
        ),
    )
}

_SAME = {"amd64": "x86_64", "x86-64": "x86_64", "aarch64": "arm64"}


def architecture(name: str) -> Architecture:
    """Give the table's line for a name as ``uname -m`` or the kernel says it, or UsageError."""
    line = ARCHITECTURES.get(_SAME.get(name.lower(), name.lower()))
    if line is None:
        raise UsageError(
            f"cannot build for the architecture {name}",
            hint="choose one of " + ", ".join(ARCHITECTURES),
        )
    return line


def native(line: Architecture) -> bool:
    """Whether this machine is of that architecture: no cross compiler is needed."""
    name = platform.machine().lower()
    return _SAME.get(name, name) == line.name


def command(source: Path, out: Path, toolchain: Toolchain) -> list[str]:
    """Give the words of a ``make`` on ``source`` into ``out``; goals and ``-j`` come behind."""
    check_place(source)
    check_place(out)
    llvm = toolchain.compiler.removeprefix("clang") or "1" if toolchain.llvm else ""
    return [
        "make",
        "--no-print-directory",
        "-C",
        str(source),
        f"O={out}",
        f"ARCH={architecture(toolchain.arch).name}",
        f"CROSS_COMPILE={toolchain.cross}",
        f"LLVM={llvm}",
        "LOCALVERSION=",
        "V=0",
        *toolchain.words,
    ]


def program(toolchain: Toolchain, name: str) -> str:
    """Name the program that make uses with this compiler as its ``ld``, ``ar`` or ``objcopy``."""
    if not toolchain.llvm:
        return f"{toolchain.cross}{name}"
    suffix = toolchain.compiler.removeprefix("clang")
    return f"ld.lld{suffix}" if name == "ld" else f"llvm-{name}{suffix}"


def check_place(path: Path) -> None:
    """Raise HostFault when no kernel can be built below ``path``, which is in our cache."""
    if any(mark in str(path) for mark in " \t:"):
        raise HostFault(
            f"the kernel's Makefile cannot work in {path}: it has a space or colon in it",
            hint="set HARNESS_CACHE to a path without spaces and colons",
        )


def environment() -> dict[str, str | None]:
    """Give what make's environment needs on top of ours; None is a variable to take out.

    The kernel's scripts start git too, to name the release.
    """
    return {**git.environment(), **dict.fromkeys(_FOREIGN), **_STAMPS}


def host_compiler(toolchain: Toolchain) -> str:
    """Name the compiler of the tools that the build itself runs."""
    return toolchain.compiler if toolchain.llvm else "gcc"


def programs(toolchain: Toolchain) -> dict[str, str]:
    """Give the programs that configuring and building need, with Debian's package of each."""
    binary = {
        program(toolchain, name): package if toolchain.llvm else "binutils"
        for name, package in _LLVM.items()
    }
    return {**_ALWAYS, host_compiler(toolchain): "clang" if toolchain.llvm else "gcc", **binary}


def runs(file: str) -> bool:
    """Whether a build runs a file of the tree that is called so, or does here what it says."""
    return any(kind.match(file) for kind in (PROGRAMS, HOST_PROGRAMS, KCONFIG, MAKE))


def check(toolchain: Toolchain) -> None:
    """Raise HostFault naming every program that any build will miss."""
    missing = {n: pkg for n, pkg in programs(toolchain).items() if shutil.which(n) is None}
    if missing:
        raise absent(missing)


def absent(missing: Mapping[str, str]) -> HostFault:
    """Say what is not installed (a program or header, and its package) and how to get it."""
    packages = " ".join(dict.fromkeys(missing.values()))
    return HostFault(
        f"a kernel cannot be built here: {', '.join(missing)} not installed",
        hint=f"harness setup (on Debian: apt install {packages})",
    )
