# SPDX-License-Identifier: GPL-2.0-only
"""The compiler, and the other programs a build needs, found before the build begins."""

from __future__ import annotations

import contextlib
import platform
import shutil
from collections.abc import Mapping

from harness import kbuild, paths, process
from harness.model import Toolchain

# What single options need: option, program or header, package.
_PROGRAMS = (
    ("KERNEL_GZIP", "gzip", "gzip"),
    ("KERNEL_XZ", "xz", "xz-utils"),
    ("KERNEL_LZ4", "lz4", "lz4"),
    ("KERNEL_ZSTD", "zstd", "zstd"),
    ("KERNEL_BZIP2", "bzip2", "bzip2"),
    ("KERNEL_LZMA", "lzma", "xz-utils"),
    ("KERNEL_LZO", "lzop", "lzop"),
    ("DEBUG_INFO_BTF", "pahole", "dwarves"),
    ("MODULES", "depmod", "kmod"),
)
_HEADERS = (
    ("OBJTOOL", "gelf.h", "libelf-dev"),
    ("SYSTEM_TRUSTED_KEYRING", "openssl/evp.h", "libssl-dev"),
    ("MODULE_SIG", "openssl/evp.h", "libssl-dev"),
)
_NEWEST_CLANG, _OLDEST_CLANG = 40, 13


def toolchain(arch: str | None = None, llvm: bool = False) -> Toolchain:
    """Find the compiler for ``arch`` (by default this machine's), gcc unless ``llvm``.

    Raises UsageError for an architecture that is not in the table, HostFault when the compiler is
    not installed.
    """
    line = kbuild.architecture(arch or platform.machine())
    cross = "" if llvm or kbuild.native(line) else line.cross
    compiler = _clang() if llvm else "gcc"
    program = cross + compiler
    if shutil.which(program) is None:
        package = "clang" if llvm else f"gcc-{line.cross.rstrip('-')}" if cross else "gcc"
        raise kbuild.absent({program: package.replace("_", "-")})
    return Toolchain(line.name, compiler, _version(program), llvm, cross)


def check(toolchain: Toolchain, config: Mapping[str, str]) -> None:
    """Raise HostFault naming every program and header that building ``config`` will miss."""
    programs = kbuild.programs(toolchain)
    programs.update({name: pkg for option, name, pkg in _PROGRAMS if config.get(option) == "y"})
    missing = {name: pkg for name, pkg in programs.items() if shutil.which(name) is None}
    host = kbuild.host_compiler(toolchain)
    for option, header, package in _HEADERS if host not in missing else ():
        if config.get(option) == "y" and not _has_header(host, header):
            missing[header] = package
    if missing:
        raise kbuild.absent(missing)


def ccache() -> dict[str, str]:
    """Give the environment that puts ccache in front of the compiler, if ccache is there.

    The compiler's name stays as it is: links named like the compilers come first in PATH.  So
    make sees the same command lines with and without ccache, and builds nothing again.
    """
    program = shutil.which("ccache")
    if program is None:
        return {}
    links = paths.cache("ccache-links")
    for name in ("gcc", "clang", *(line.cross + "gcc" for line in kbuild.ARCHITECTURES.values())):
        link = links / name
        # Only a link that is missing or leads nowhere is made: another run may be doing the same.
        if shutil.which(name) and not link.exists():
            with paths.writing(link), contextlib.suppress(FileExistsError):
                link.unlink(missing_ok=True)
                link.symlink_to(program)
    before = process.environment().get("PATH", "")
    # Objects do not depend on the build folder's name: the stamps are fixed and paths mapped.
    return {"PATH": f"{links}:{before}", "CCACHE_NOHASHDIR": "1"}


def _version(program: str) -> str:
    said = process.run([program, "--version"], timeout=60).stdout.splitlines()
    return said[0].strip() if said else "unknown"


def _has_header(compiler: str, header: str) -> bool:
    source = f"#include <{header}>\n"
    argv = [compiler, "-E", "-x", "c", "-", "-o", "/dev/null"]
    return process.run(argv, stdin=source, timeout=60, check=False).ok


def _clang() -> str:
    """Give clang, or the newest clang-N when only such are installed."""
    names = ("clang", *(f"clang-{n}" for n in range(_NEWEST_CLANG, _OLDEST_CLANG, -1)))
    return next((name for name in names if shutil.which(name)), "clang")
