# SPDX-License-Identifier: GPL-2.0-only
"""Kept kernels: one folder per key, found in milliseconds, never half written.

A folder is filled under another name and renamed when it is whole, so what ``find`` sees is
complete, and of two runs that built the same kernel the first one's is kept.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import model, paths
from harness.errors import HostFault
from harness.model import Checkout, Kernel, Key, Request, Toolchain

# Raise this when the same inputs begin to give another kernel.
_GENERATION = "1"
_RECORD = "kernel.json"
_FILES = ("image", "config", "log")
_SOME = ("vmlinux", "modules")  # not every kernel has them


@dataclasses.dataclass(frozen=True)
class Kept:
    """Something in the cache that could be removed: its size in bytes, when it was last used
    (seconds since the epoch), and what it is."""

    path: Path
    bytes: int
    used: float
    what: str


def key(checkout: Checkout, request: Request, toolchain: Toolchain) -> Key:
    """Name the kernel that these inputs make."""
    compiler = (toolchain.cross + toolchain.compiler, toolchain.version, *toolchain.words)
    words = (_GENERATION, toolchain.arch, *compiler)
    return Key(checkout.tree, request.digest, " ".join(words))


def lean(key: Key) -> Key:
    """Name the same kernel as guests need it that only run it."""
    return dataclasses.replace(key, lean=True)


def find(key: Key) -> Kernel | None:
    """Give the kept kernel of this key, marked as reused, or None."""
    kept = paths.cache("kernels") / key.digest
    kernel = _read(kept)
    if kernel is not None:
        with contextlib.suppress(OSError):
            os.utime(kept)
    return kernel


def keep(kernel: Kernel, copy: Callable[[Path, Path], None]) -> Kernel:
    """Copy a kernel's files into the cache and give the kernel as it lies there.

    ``kernel`` names its files where they were built; ``copy`` copies one file
    or folder.
    """
    kept = paths.cache("kernels") / kernel.key
    sources = {name: getattr(kernel, name) for name in (*_FILES, *_SOME)}
    with paths.writing(kept), paths.scratch(kept) as folder:
        for name, file in sources.items():
            if name == "image" and file == kernel.vmlinux:
                (folder / name).symlink_to("vmlinux")
            elif file is not None:
                copy(file, folder / _file(name))
        (folder / _RECORD).write_text(_record(kernel))
        _publish(folder, kept)
    found = _read(kept)
    if found is None:
        raise HostFault(f"the kept kernel {kept} vanished", hint="is a harness clean running?")
    return dataclasses.replace(found, reused=False)


def kernels() -> list[Kept]:
    """List the kept kernels, and what a killed run left half written, oldest use first."""
    return sorted(_listed(paths.cache("kernels")), key=lambda each: each.used)


def size(folder: Path) -> int:
    """Give the bytes a folder takes on the disk."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(Path(root, name)).st_blocks * 512
    return total


def _listed(folder: Path) -> Iterator[Kept]:
    for path in folder.iterdir():
        kernel = _read(path)
        what = f"{kernel.release} {kernel.arch} {kernel.commit[:12]}" if kernel else "half written"
        with contextlib.suppress(OSError):  # another run's, gone meanwhile
            yield Kept(path, size(path), path.stat().st_mtime, what)


def _file(name: str) -> str:
    return "build.log" if name == "log" else name


def _publish(folder: Path, kept: Path) -> None:
    """Give a filled folder its name, unless another run was first."""
    if kept.exists() and _read(kept) is None:
        shutil.rmtree(kept, ignore_errors=True)  # damaged by hand: nobody can use it
    folder.chmod(0o755)  # temporary folders are for their owner alone
    try:
        folder.rename(kept)
    except OSError:
        if _read(kept) is None:
            raise


def _record(kernel: Kernel) -> str:
    fields = dataclasses.asdict(kernel)
    for name in ("folder", "reused", *_FILES):
        del fields[name]
    fields.update({name: getattr(kernel, name) is not None for name in _SOME})
    return json.dumps(fields, indent=1)


def _read(kept: Path) -> Kernel | None:
    """Read a kept kernel; None for what is none: missing, half written, damaged."""
    try:
        fields = json.loads((kept / _RECORD).read_text())
        # A record of before a name was known has it not.
        for name in _SOME:
            fields[name] = kept / name if fields.get(name) else None
        fields["warnings"] = tuple(model.CompilerWarning(**each) for each in fields["warnings"])
        kernel = Kernel(
            folder=kept,
            image=kept / "image",
            config=kept / "config",
            log=kept / "build.log",
            reused=True,
            **fields,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    whole = kernel.image.exists() and kernel.config.exists()
    return kernel if whole else None
