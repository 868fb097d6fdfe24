# SPDX-License-Identifier: GPL-2.0-only
"""How the kernel's ``make`` is called: its arguments, environment and programs.

The stages that configure and build must call it alike, or make would see another compiler and
build everything again.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from harness import architectures, git
from harness.errors import HostFault
from harness.model import Toolchain

# What a build must not inherit from the caller's environment.
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

# Files that the harness or every build runs, and those that CI services run by themselves.
PROGRAMS = re.compile(
    r"(?:scripts|\.ci|\.github|\.gitlab|tools/(?:objtool|build|lib/subcmd|bpf/resolve_btfids))/"
    # Objects that were not compiled here; a localversion file, whose text reaches a shell.
    r"|\.gitlab-ci|localversion|.*\.(?:sh|pl|py|awk|sed|cocci|o|so|a)$"
)
# Files that a build compiles and then runs.
HOST_PROGRAMS = re.compile(
    r"(?:usr/gen_|lib/(?:gen_|raid6/mktables|crc/gen_)|arch/[^/]+/(?:tools|boot/tools)/"
    r"|arch/x86/entry/vdso/vdso2c|security/selinux/genheaders|certs/|drivers/tty/vt/(?:conmakehash|gen_)"
    r"|tools/)"
)
KCONFIG = re.compile(r"(?:.*/)?Kconfig[^/]*$")
MAKE = re.compile(r"(?:.*/)?(?:(?:Makefile|Kbuild)[^/]*|Platform|[^/]+\.(?:mk|mak|include))$")

# What every build needs: program to Debian's package (the doctor knows other distributions').
_ALWAYS = {"make": "make", "flex": "flex", "bison": "bison", "bc": "bc", "perl": "perl"}
_LLVM = {"ld": "lld", "objcopy": "llvm", "nm": "llvm"}  # GNU's are all in binutils


def command(source: Path, out: Path, toolchain: Toolchain) -> list[str]:
    """Return the start of a make command on ``source`` into ``out``; goals and ``-j`` follow it."""
    check_place(source)
    check_place(out)
    llvm = toolchain.compiler.removeprefix("clang") or "1" if toolchain.llvm else ""
    return [
        "make",
        "--no-print-directory",
        "-C",
        str(source),
        f"O={out}",
        f"ARCH={architectures.named(toolchain.arch).name}",
        f"CROSS_COMPILE={toolchain.cross}",
        f"LLVM={llvm}",
        "LOCALVERSION=",
        "V=0",
        *toolchain.words,
    ]


def program(toolchain: Toolchain, name: str) -> str:
    """Name the ``ld``, ``ar`` or ``objcopy`` that make uses with this compiler."""
    if not toolchain.llvm:
        return f"{toolchain.cross}{name}"
    suffix = toolchain.compiler.removeprefix("clang")
    return f"ld.lld{suffix}" if name == "ld" else f"llvm-{name}{suffix}"


def check_place(path: Path) -> None:
    """Raise HostFault when no kernel can be built below ``path``, which is in our cache."""
    if any(mark in str(path) for mark in " \t:"):
        raise HostFault(
            f"the kernel's Makefile cannot work in {path}: its name has a space or colon in it",
            hint="set HARNESS_CACHE to a path without spaces and colons",
        )


def environment() -> dict[str, str | None]:
    """Return what make's environment needs on top of ours; None removes a variable.

    git's variables are in it because the kernel's scripts run git to name the release.
    """
    return {**git.environment(), **dict.fromkeys(_FOREIGN), **_STAMPS}


def host_compiler(toolchain: Toolchain) -> str:
    """Name the compiler of the tools that the build itself runs."""
    return toolchain.compiler if toolchain.llvm else "gcc"


def programs(toolchain: Toolchain) -> dict[str, str]:
    """Return the programs that configuring and building need, with Debian's package of each."""
    binary = {
        program(toolchain, name): package if toolchain.llvm else "binutils"
        for name, package in _LLVM.items()
    }
    return {**_ALWAYS, host_compiler(toolchain): "clang" if toolchain.llvm else "gcc", **binary}


def runs(file: str) -> bool:
    """Whether a build runs the file of this name in the tree, or follows what it says."""
    return any(pattern.match(file) for pattern in (PROGRAMS, HOST_PROGRAMS, KCONFIG, MAKE))


def check(toolchain: Toolchain) -> None:
    """Raise HostFault naming every missing program that any build needs."""
    missing = {n: pkg for n, pkg in programs(toolchain).items() if shutil.which(n) is None}
    if missing:
        raise absent(missing)


def absent(missing: Mapping[str, str]) -> HostFault:
    """Return the error for missing programs or headers, given with their Debian packages."""
    packages = " ".join(dict.fromkeys(missing.values()))
    return HostFault(
        f"a kernel cannot be built here: {', '.join(missing)} not installed",
        hint=f"harness setup (on Debian: apt install {packages})",
    )
