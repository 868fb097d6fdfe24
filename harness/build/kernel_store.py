# SPDX-License-Identifier: GPL-2.0-only
"""Build folders, one per config, for incremental builds, and finished kernels in the cache.

A kernel's folder is filled under a temporary name and renamed when complete, so ``find`` never sees
an incomplete kernel.  If two runs build the same kernel, the first to finish is kept.
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

# Increment this when the same inputs start to produce a different kernel.
_GENERATION = "1"
FOLDER_RECORD = ".harness-about.json"
_KERNEL_RECORD = "kernel.json"
# The required files of a kernel, by the names of Kernel's fields.
_FILES = {"image": "image", "config": "config", "log": "build.log"}
_OPTIONAL = {"vmlinux": "vmlinux", "modules": "modules", "notes": "gcno"}
# The ELF note with a build id of 20 bytes.
_BUILD_ID = re.compile(rb"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0.{20}", re.DOTALL)
# Sources of code that may be in the image but not in vmlinux: the decompressor.
_UNPACKS = ("arch", "lib", "include/linux/decompress")


@dataclasses.dataclass(frozen=True)
class FolderRecord:
    """What a build folder is for, as information for users who look into the cache."""

    worktree: str
    arch: str


@dataclasses.dataclass(frozen=True)
class KernelRecord:
    """Content of a kept kernel's kernel.json; the kernel's files are beside it."""

    key: str
    release: str
    commit: str
    arch: str
    warnings: tuple[CompilerWarning, ...]
    seconds: float = 0.0
    vmlinux: bool = False
    modules: bool = False
    notes: bool = False


def folder(checkout: Checkout, request: Request, toolchain: Toolchain, purpose: str = "") -> Path:
    """Return the build folder for these inputs, created if missing and marked as just used.

    Each worktree, config and toolchain has its own folder, so make's work is never lost; so does a
    ``purpose`` that changes objects behind make's back.
    """
    compiler = (toolchain.arch, toolchain.cross, toolchain.compiler, toolchain.version)
    inputs = (str(checkout.path), request.digest, *compiler, *toolchain.words)
    inputs += (purpose,) if purpose else ()
    digest = hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]
    out = paths.cache("builds", digest)
    record = out / FOLDER_RECORD
    with paths.writing(out):
        if not record.exists():
            serial.write(record, FolderRecord(str(checkout.path), toolchain.arch))
        os.utime(out)
    return out


def key(
    checkout: Checkout, request: Request, toolchain: Toolchain, counted: tuple[str, ...] = ()
) -> Key:
    """Return the key of the kernel built from these inputs."""
    compiler = (toolchain.cross + toolchain.compiler, toolchain.version, *toolchain.words)
    text = " ".join((_GENERATION, toolchain.arch, *compiler))
    return Key(checkout.tree, request.digest, text, counted=counted)


def lean(key: Key) -> Key:
    """Return the key of the lean variant of a kernel, for guests that only run it."""
    return dataclasses.replace(key, lean=True)


def find(key: Key) -> Kernel | None:
    """Return the kept kernel with this key, marked as just used, or None."""
    kept = paths.cache("kernels") / key.digest
    kernel = kernel_in(kept)
    if kernel is not None:
        with contextlib.suppress(OSError):
            os.utime(kept)
    return kernel


def keep(kernel: Kernel, copy: Callable[[Path, Path], None]) -> Kernel:
    """Copy a kernel's files into the cache and return the cached kernel.

    ``kernel`` has the paths of the files where they were built; ``copy`` copies one file or folder.
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
            notes=kernel.notes is not None,
        )
        serial.write(draft / _KERNEL_RECORD, record, indent=1)
        _publish(draft, kept)
    stored = kernel_in(kept)
    if stored is None:
        raise HostFault(
            f"the kernel in {kept} vanished while it was being stored",
            hint="run again; is `harness clean` running?",
        )
    return dataclasses.replace(stored, reused=False)


def _publish(draft: Path, kept: Path) -> None:
    """Rename a filled folder, unless another run was first."""
    if kept.exists() and kernel_in(kept) is None:
        shutil.rmtree(kept, ignore_errors=True)  # damaged by a user, so unusable
    draft.chmod(0o755)  # temporary folders are private by default
    try:
        draft.rename(kept)
    except OSError:
        if kernel_in(kept) is None:
            raise


def kernel_in(kept: Path) -> Kernel | None:
    """Read a kept kernel; None if it is missing, incomplete or damaged."""
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
        notes=kept / _OPTIONAL["notes"] if record.notes else None,
        log=kept / _FILES["log"],
        warnings=record.warnings,
        seconds=record.seconds,
        reused=True,
    )
    return kernel if kernel.image.exists() and kernel.config.exists() else None


def loaded_digest(kernel: Kernel, checkout: Checkout, toolchain: Toolchain) -> str:
    """Return a digest of the code that a guest runs, so that the same code is not booted twice.

    It covers code and data of the kernel and its modules, without debug info and build ids, which
    change even if a patch only moves comments.  Without a vmlinux it covers all bytes of the image.
    """
    digest = hashlib.sha256()
    files = sorted(kernel.modules.rglob("*.ko")) if kernel.modules else []
    if kernel.vmlinux is None:
        digest.update(kernel.image.read_bytes())
    else:
        files.insert(0, kernel.vmlinux)
        listing = git.run(checkout.path, "ls-tree", checkout.commit, "--", *_UNPACKS)
        digest.update(listing.stdout.encode())
    with paths.scratch(paths.cache() / "loaded") as scratch:
        for file in files:
            digest.update(file.name.encode() + b"\0")
            digest.update(hashlib.sha256(_stripped(file, scratch, toolchain)).digest())
    return digest.hexdigest()


def _stripped(file: Path, scratch: Path, toolchain: Toolchain) -> bytes:
    """Return a file without debug info and build ids; unchanged if objcopy cannot do that."""
    with file.open("rb") as data:
        try:
            relocatable = ELFFile(data)["e_type"] == "ET_REL"
        except ELFError:
            relocatable = False
    # Symbol names may contain line numbers (initcalls do).  Symbols that a kernel can look up are
    # in its data; a file that will still be linked, such as a module, needs all symbols.
    how = "--strip-debug" if relocatable else "--strip-all"
    bare = scratch / "bare"
    program = kbuild.program(toolchain, "objcopy")
    done = process.run([program, how, file, bare], check=False)
    return _BUILD_ID.sub(b"", (bare if done.ok else file).read_bytes())
