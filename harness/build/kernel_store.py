# SPDX-License-Identifier: GPL-2.0-only
"""What is kept in the cache: a build folder per config, where make goes on, and finished kernels.

A kernel's folder is filled under another name and renamed when it is complete, so ``find`` never
sees half a kernel.  When two runs build the same kernel, the first one's is kept.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from harness import git, kbuild, paths, process, serial
from harness.errors import HostFault
from harness.model import Checkout, CompilerWarning, Kernel, Key, Request, Toolchain

# Raise this when the same inputs begin to give another kernel.
_GENERATION = "1"
_FOLDER_RECORD = ".harness-about.json"
_KERNEL_RECORD = "kernel.json"
# The files of a kernel, by the names of Kernel's fields; not every kernel has the optional ones.
_FILES = {"image": "image", "config": "config", "log": "build.log"}
_OPTIONAL = {"vmlinux": "vmlinux", "modules": "modules"}
# The note of a build id, with its 20 bytes.
_BUILD_ID = re.compile(rb"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0.{20}", re.DOTALL)
# What may be in the image and not in vmlinux: the code that unpacks it.
_UNPACKS = ("arch", "lib", "include/linux/decompress")


@dataclasses.dataclass(frozen=True)
class FolderRecord:
    """What a build folder is for: for people who look into the cache."""

    worktree: str
    arch: str


@dataclasses.dataclass(frozen=True)
class KernelRecord:
    """What kernel.json says of a kept kernel; the files lie beside it."""

    key: str
    release: str
    commit: str
    arch: str
    warnings: tuple[CompilerWarning, ...]
    seconds: float = 0.0
    vmlinux: bool = False
    modules: bool = False


def folder(checkout: Checkout, request: Request, toolchain: Toolchain) -> Path:
    """Return the build folder of these inputs, made if missing, and mark it as used now.

    Each worktree, config and toolchain has its own: make's work is never lost.
    """
    compiler = (toolchain.arch, toolchain.cross, toolchain.compiler, toolchain.version)
    inputs = (str(checkout.path), request.digest, *compiler, *toolchain.words)
    digest = hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]
    out = paths.cache("builds", digest)
    record = out / _FOLDER_RECORD
    with paths.writing(out):
        if not record.exists():
            serial.write(record, FolderRecord(str(checkout.path), toolchain.arch))
        os.utime(out)
    return out


def key(checkout: Checkout, request: Request, toolchain: Toolchain) -> Key:
    """Name the kernel that these inputs make."""
    compiler = (toolchain.cross + toolchain.compiler, toolchain.version, *toolchain.words)
    words = (_GENERATION, toolchain.arch, *compiler)
    return Key(checkout.tree, request.digest, " ".join(words))


def lean(key: Key) -> Key:
    """Name the lean form of a kernel, for guests that only run it."""
    return dataclasses.replace(key, lean=True)


def find(key: Key) -> Kernel | None:
    """Return the kept kernel of this key, marked as used now, or None."""
    kept = paths.cache("kernels") / key.digest
    kernel = kernel_in(kept)
    if kernel is not None:
        with contextlib.suppress(OSError):
            os.utime(kept)
    return kernel


def keep(kernel: Kernel, copy: Callable[[Path, Path], None]) -> Kernel:
    """Copy a kernel's files into the cache and return the kernel as it lies there.

    ``kernel`` names its files where they were built; ``copy`` copies one file or folder.
    """
    kept = paths.cache("kernels") / kernel.key
    with paths.writing(kept), paths.scratch(kept) as draft:
        for field, name in (_FILES | _OPTIONAL).items():
            file = getattr(kernel, field)
            if field == "image" and file == kernel.vmlinux:
                (draft / name).symlink_to("vmlinux")
            elif file is not None:
                copy(file, draft / name)
        record = KernelRecord(
            kernel.key,
            kernel.release,
            kernel.commit,
            kernel.arch,
            kernel.warnings,
            kernel.seconds,
            vmlinux=kernel.vmlinux is not None,
            modules=kernel.modules is not None,
        )
        serial.write(draft / _KERNEL_RECORD, record, indent=1)
        _publish(draft, kept)
    found = kernel_in(kept)
    if found is None:
        raise HostFault(
            f"the kernel in {kept} vanished while it was stored",
            hint="run again; is a harness clean running?",
        )
    return dataclasses.replace(found, reused=False)


def _publish(draft: Path, kept: Path) -> None:
    """Rename a filled folder, unless another run was first."""
    if kept.exists() and kernel_in(kept) is None:
        shutil.rmtree(kept, ignore_errors=True)  # damaged by hand: nobody can use it
    draft.chmod(0o755)  # temporary folders are for their owner alone
    try:
        draft.rename(kept)
    except OSError:
        if kernel_in(kept) is None:
            raise


def kernel_in(kept: Path) -> Kernel | None:
    """Read a kept kernel; None when it is missing, incomplete or damaged."""
    try:
        record = serial.read(kept / _KERNEL_RECORD, KernelRecord)
    except (OSError, serial.DamagedError):
        return None
    kernel = Kernel(
        key=record.key,
        folder=kept,
        image=kept / _FILES["image"],
        config=kept / _FILES["config"],
        release=record.release,
        commit=record.commit,
        arch=record.arch,
        vmlinux=kept / _OPTIONAL["vmlinux"] if record.vmlinux else None,
        modules=kept / _OPTIONAL["modules"] if record.modules else None,
        log=kept / _FILES["log"],
        warnings=record.warnings,
        seconds=record.seconds,
        reused=True,
    )
    return kernel if kernel.image.exists() and kernel.config.exists() else None


def loaded_digest(kernel: Kernel, checkout: Checkout, toolchain: Toolchain) -> str:
    """Name what a guest of this kernel would run, so that the same is not booted twice.

    That is the code and data of the kernel and its modules, without debug info and build ids: a
    patch that only moves comments changes those.  Without a vmlinux it is the image, byte for
    byte.
    """
    digest = hashlib.sha256()
    files = sorted(kernel.modules.rglob("*.ko")) if kernel.modules else []
    if kernel.vmlinux is None:
        digest.update(kernel.image.read_bytes())
    else:
        files.insert(0, kernel.vmlinux)
        words = ("ls-tree", checkout.commit, "--", *_UNPACKS)
        digest.update(git.run(checkout.path, *words).stdout.encode())
    with paths.scratch(paths.cache() / "loaded") as scratch:
        for file in files:
            digest.update(file.name.encode() + b"\0")
            digest.update(hashlib.sha256(_stripped(file, scratch, toolchain)).digest())
    return digest.hexdigest()


def _stripped(file: Path, scratch: Path, toolchain: Toolchain) -> bytes:
    """Return a file without debug info and build ids; as it is if objcopy cannot do that."""
    with file.open("rb") as data:
        try:
            relocatable = ELFFile(data)["e_type"] == "ET_REL"
        except ELFError:
            relocatable = False
    # Names of symbols may hold line numbers (initcalls do).  Those that a kernel can look up lie
    # in its data; what is still to be linked, as a module, needs all of them.
    how = "--strip-debug" if relocatable else "--strip-all"
    bare = scratch / "bare"
    program = kbuild.program(toolchain, "objcopy")
    done = process.run([program, how, file, bare], check=False)
    return _BUILD_ID.sub(b"", (bare if done.ok else file).read_bytes())
