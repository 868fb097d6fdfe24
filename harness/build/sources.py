# SPDX-License-Identifier: GPL-2.0-only
"""Which files of a tree a build folder was made from, as far as a guess needs to know.

Most commits of a history touch what one configuration does not compile.  make's own records say
what it did: a .cmd file beside each object.  They are of whatever was built last, so what came or
went since is not told; and what is neither C nor a Makefile is taken for used.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path

from harness import kbuild


def used(out: Path, worktree: Path) -> Callable[[str], bool]:
    """Give what says whether the kernel in ``out`` was made from a file, named as in the tree.

    Where nothing was built everything may be used.
    """
    if not (out / "vmlinux").exists():
        return lambda _: True
    files = _files(out, worktree)
    return functools.partial(_used, files, frozenset(map(_folder, files)))


def _used(files: frozenset[str], folders: frozenset[str], path: str) -> bool:
    if path.endswith((".c", ".h", ".S")):
        return path in files
    if kbuild.MAKE.match(path) or kbuild.KCONFIG.match(path):
        folder = _folder(path)
        return folder in folders or "/" not in folder
    return True


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _files(out: Path, worktree: Path) -> frozenset[str]:
    """Name all files of the worktree that make's records name."""
    mark = re.compile(re.escape(os.fsencode(worktree)) + rb"/([^\s)'\"]+\.[chS])\b")
    names = set[bytes]()
    for record in out.rglob(".*.cmd"):
        names.update(mark.findall(record.read_bytes()))
    return frozenset(os.path.normpath(os.fsdecode(name)) for name in names)
