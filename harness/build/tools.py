# SPDX-License-Identifier: GPL-2.0-only
"""Find the compiler and other programs that a build needs, before the build begins."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import shutil
from collections.abc import Collection

from harness import architectures, kbuild, paths, process
from harness.model import Toolchain


@dataclasses.dataclass(frozen=True)
class BuildNeed:
    """A program or C header that building a kernel needs when ``option`` is on."""

    option: str
    name: str
    package: str  # name of the Debian package


_PROGRAMS = (
    BuildNeed("KERNEL_GZIP", "gzip", "gzip"),
    BuildNeed("KERNEL_XZ", "xz", "xz-utils"),
    BuildNeed("KERNEL_LZ4", "lz4", "lz4"),
    BuildNeed("KERNEL_ZSTD", "zstd", "zstd"),
    BuildNeed("KERNEL_BZIP2", "bzip2", "bzip2"),
    BuildNeed("KERNEL_LZMA", "lzma", "xz-utils"),
    BuildNeed("KERNEL_LZO", "lzop", "lzop"),
    BuildNeed("DEBUG_INFO_BTF", "pahole", "dwarves"),
    BuildNeed("MODULES", "depmod", "kmod"),
)
_HEADERS = (
    BuildNeed("OBJTOOL", "gelf.h", "libelf-dev"),
    BuildNeed("SYSTEM_TRUSTED_KEYRING", "openssl/evp.h", "libssl-dev"),
    BuildNeed("MODULE_SIG", "openssl/evp.h", "libssl-dev"),
)
_NEWEST_CLANG, _OLDEST_CLANG = 40, 13


def toolchain(arch: str | None = None, llvm: bool = False) -> Toolchain:
    """Find the compiler for ``arch`` (by default this machine's), gcc unless ``llvm``.

    Raises UsageError for an unknown architecture, HostFault if the compiler is not installed.
    """
    architecture = architectures.named(arch or platform.machine())
    cross = "" if llvm or architectures.is_native(architecture) else architecture.cross
    compiler = "gcc"
    if llvm:  # the newest clang-N if plain clang is not installed
        names = ("clang", *(f"clang-{n}" for n in range(_NEWEST_CLANG, _OLDEST_CLANG, -1)))
        compiler = next((name for name in names if shutil.which(name)), "clang")
    program = cross + compiler
    if shutil.which(program) is None:
        package = "clang" if llvm else f"gcc-{cross.rstrip('-')}" if cross else "gcc"
        raise kbuild.absent({program: package.replace("_", "-")})
    version = process.run([program, "--version"], timeout=60).stdout.splitlines()
    first = version[0].strip() if version else "unknown"
    return Toolchain(architecture.name, compiler, first, llvm, cross)


def check(toolchain: Toolchain, on: Collection[str]) -> None:
    """Raise a HostFault that lists all missing programs and headers needed for the build.

    ``on`` are the options that are y.
    """
    programs = kbuild.programs(toolchain)
    programs.update({need.name: need.package for need in _PROGRAMS if need.option in on})
    missing = {name: package for name, package in programs.items() if shutil.which(name) is None}
    host = kbuild.host_compiler(toolchain)
    for need in _HEADERS if host not in missing else ():
        if need.option in on and not _has_header(host, need.name):
            missing[need.name] = need.package
    if missing:
        raise kbuild.absent(missing)


def _has_header(compiler: str, header: str) -> bool:
    source = f"#include <{header}>\n"
    argv = [compiler, "-E", "-x", "c", "-", "-o", "/dev/null"]
    return process.run(argv, stdin=source, timeout=60, check=False).ok


def ccache() -> dict[str, str]:
    """Return the environment that puts ccache in front of the compiler; empty without ccache.

    The compiler's name does not change: links named like the compilers come first in PATH.  So
    make sees the same command lines with and without ccache, and rebuilds nothing.
    """
    program = shutil.which("ccache")
    if program is None:
        return {}
    links = paths.cache("ccache-links")
    for name in ("gcc", "clang", *(f"{entry.cross}gcc" for entry in architectures.ARCHITECTURES)):
        link = links / name
        # Create only links that are missing or broken: another run may be doing the same.
        if shutil.which(name) and not link.exists():
            with paths.writing(link), contextlib.suppress(FileExistsError):
                link.unlink(missing_ok=True)
                link.symlink_to(program)
    before = process.environment().get("PATH", "")
    # Objects do not depend on the build folder's name: timestamps are fixed and paths mapped.
    return {"PATH": f"{links}:{before}", "CCACHE_NOHASHDIR": "1"}
