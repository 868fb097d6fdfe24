# SPDX-License-Identifier: GPL-2.0-only
"""Arguments, environment and required programs of the kernel's ``make``.

The stages that configure and build must call it in the same way, or make would see a different
compiler and rebuild everything.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from harness import architectures, git
from harness.errors import HostFault
from harness.model import Toolchain

# Variables that a build must not inherit from the caller's environment.
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

# Makes builds reproducible, which ccache needs as well.
_STAMPS = {
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
    "KBUILD_BUILD_USER": "harness",
    "KBUILD_BUILD_HOST": "harness",
    "KBUILD_BUILD_VERSION": "1",
}

# Files that the harness or every build runs, or that CI services run automatically.
PROGRAMS = re.compile(
    r"(?:scripts|\.ci|\.github|\.gitlab|tools/(?:objtool|build|lib/subcmd|bpf/resolve_btfids))/"
    # Objects that were not compiled here; localversion files, whose text reaches a shell.
    r"|\.gitlab-ci|localversion|.*\.(?:sh|pl|py|awk|sed|cocci|o|so|a)$"
)
# Files that a build compiles and then runs.
HOST_PROGRAMS = re.compile(
    r"(?:usr/gen_|lib/(?:gen_|raid6/mktables|crc/gen_)|arch/[^/]+/(?:tools|boot/tools)/"
    r"|arch/x86/entry/vdso/vdso2c|security/selinux/genheaders|certs/|drivers/tty/vt/(?:conmakehash|gen_)"
    r"|tools/)"
)
#: What the compiler reads: C, headers and assembly.
SOURCES = (".c", ".h", ".S")
KCONFIG = re.compile(r"(?:.*/)?Kconfig[^/]*$")
MAKE = re.compile(r"(?:.*/)?(?:(?:Makefile|Kbuild)[^/]*|Platform|[^/]+\.(?:mk|mak|include))$")

# Programs that every build needs, with Debian's packages (for other distributions, see the doctor).
_ALWAYS = {"make": "make", "flex": "flex", "bison": "bison", "bc": "bc", "perl": "perl"}
_LLVM = {"ld": "lld", "objcopy": "llvm", "nm": "llvm"}  # the GNU programs are all in binutils


def command(source: Path, out: Path, toolchain: Toolchain) -> list[str]:
    """Return a make command for ``source`` and ``out``; the caller appends targets and ``-j``."""
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
    """Return the name of the ``ld``, ``ar`` or ``objcopy`` that make uses with this compiler."""
    if not toolchain.llvm:
        return f"{toolchain.cross}{name}"
    suffix = toolchain.compiler.removeprefix("clang")
    return f"ld.lld{suffix}" if name == "ld" else f"llvm-{name}{suffix}"


def check_place(path: Path) -> None:
    """Raise HostFault if no kernel can be built below ``path``, which is in our cache."""
    if any(mark in str(path) for mark in " \t:"):
        raise HostFault(
            f"the kernel cannot be built in {path}: the path contains a space or colon",
            hint="set HARNESS_CACHE to a path without spaces or colons",
        )


def environment() -> dict[str, str | None]:
    """Return the changes to our environment that make needs; None removes a variable.

    git's variables are included because the kernel's scripts run git to set the release.
    """
    return {**git.environment(), **dict.fromkeys(_FOREIGN), **_STAMPS}


def host_compiler(toolchain: Toolchain) -> str:
    """Return the compiler for the tools that the build itself runs."""
    return toolchain.compiler if toolchain.llvm else "gcc"


def programs(toolchain: Toolchain) -> dict[str, str]:
    """Return the programs needed to configure and build, with Debian's package of each."""
    binary = {
        program(toolchain, name): package if toolchain.llvm else "binutils"
        for name, package in _LLVM.items()
    }
    return {**_ALWAYS, host_compiler(toolchain): "clang" if toolchain.llvm else "gcc", **binary}


def runs(file: str) -> bool:
    """Return whether a build executes or interprets the tree's file of this name."""
    return any(pattern.match(file) for pattern in (PROGRAMS, HOST_PROGRAMS, KCONFIG, MAKE))


def outside_image(file: str, arch: str) -> str:
    """Return why a file cannot be part of a kernel for ``arch``; empty if it can."""
    top, _, rest = file.partition("/")
    if top == "Documentation" or file.endswith((".rst", ".txt", ".md", ".yaml")):
        return "a document"
    if top in ("tools", "scripts", "LICENSES") or (not rest and "." not in top):
        plain = top in ("Kbuild", "Kconfig", "Makefile")
        return "" if plain else f"{top} is not part of the kernel image"
    if top == "arch" and not rest.startswith((f"{arch}/", "Kconfig")):
        return f"for another architecture ({rest.partition('/')[0]})"
    if file.endswith((".dts", ".dtsi", ".dtso")):
        return "a device tree"
    return ""


def check(toolchain: Toolchain) -> None:
    """Raise HostFault with all missing programs that every build needs."""
    missing = {n: pkg for n, pkg in programs(toolchain).items() if shutil.which(n) is None}
    if missing:
        raise absent(missing)


def absent(missing: Mapping[str, str]) -> HostFault:
    """Return the error for missing programs or headers, given with their Debian packages."""
    packages = " ".join(dict.fromkeys(missing.values()))
    return HostFault(
        f"cannot build a kernel: {', '.join(missing)} not installed",
        hint=f"run harness setup (on Debian: apt install {packages})",
    )
