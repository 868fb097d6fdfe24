# SPDX-License-Identifier: GPL-2.0-only
"""Name what a guest of a kernel would run, so that the same is not booted twice.

A patch that only moves comments changes debug info, and with that the build id: neither decides
what the kernel does.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from harness import git, kbuild, paths, process
from harness.model import Checkout, Kernel, Toolchain

# The note of a build id, with the 20 bytes of it.
_BUILD_ID = re.compile(rb"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0.{20}", re.DOTALL)
_RELOCATABLE = b"\x01\0"  # of an ELF file's type
# What may be in the image and not in vmlinux: the code that unpacks it.
_UNPACKS = ("arch", "lib", "include/linux/decompress")


def digest(kernel: Kernel, checkout: Checkout, toolchain: Toolchain) -> str:
    """Name the code and data of a kernel and its modules; without debug info, without build ids.

    Where there is no vmlinux it is the image, byte for byte.
    """
    found = hashlib.sha256()
    modules = sorted(kernel.modules.rglob("*.ko")) if kernel.modules else []
    if kernel.vmlinux is None:
        found.update(kernel.image.read_bytes())
    else:
        words = ("ls-tree", checkout.commit, "--", *_UNPACKS)
        found.update(git.run(checkout.path, *words).stdout.encode())
    with paths.scratch(paths.cache() / "loaded") as scratch:
        for file in (*([kernel.vmlinux] if kernel.vmlinux else []), *modules):
            found.update(file.name.encode() + b"\0")
            found.update(hashlib.sha256(_stripped(file, scratch, toolchain)).digest())
    return found.hexdigest()


def _stripped(file: Path, scratch: Path, toolchain: Toolchain) -> bytes:
    """Give a file without debug info and build ids; as it is where the tool cannot do that."""
    program = kbuild.program(toolchain, "objcopy")
    bare = scratch / "bare"
    with file.open("rb") as data:
        head = data.read(18)
    # Names of symbols may hold line numbers (initcalls do).  Those that a kernel can look up lie
    # in its data; what is still to be linked, as a module, needs all of them.
    how = "--strip-debug" if head[16:18] == _RELOCATABLE else "--strip-all"
    done = process.run([program, how, file, bare], check=False)
    return _BUILD_ID.sub(b"", (bare if done.ok else file).read_bytes())
