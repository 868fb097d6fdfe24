# SPDX-License-Identifier: GPL-2.0-only
"""Configuration, toolchain and kernel; a key names everything that a kernel is made of."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Option:
    """A Kconfig option that is asked for.  ``value`` is y, m, n, a number or a quoted string.

    ``origin`` is "file:line" or "command line", for messages.
    """

    name: str
    value: str
    origin: str
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Request:
    """All Kconfig options that are asked for, without contradictions."""

    options: tuple[Option, ...]

    @property
    def digest(self) -> str:
        """Identifies the request in keys, whatever the order of its options."""
        lines = sorted(f"{o.name}={o.value}" for o in self.options)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Toolchain:
    """The compiler of a kernel, and the architecture it builds for.

    ``words`` are additional arguments of every make, such as W=1.
    """

    arch: str
    compiler: str
    version: str
    llvm: bool = False
    cross: str = ""
    words: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Key:
    """What makes a kernel.  The same key is never built twice.

    A ``lean`` kernel is only run by guests: it has no packed image and no debug info.
    """

    tree: str
    config: str
    toolchain: str
    lean: bool = False

    @property
    def digest(self) -> str:
        """A short name, for folders."""
        words = f"{self.tree}/{self.config}/{self.toolchain}"
        words += "/lean" if self.lean else ""
        return hashlib.sha256(words.encode()).hexdigest()[:20]


@dataclasses.dataclass(frozen=True)
class CompilerWarning:
    """A compiler warning; ``patch`` is the subject of the patch that touched the line."""

    file: str
    line: int
    text: str
    patch: str = ""

    @property
    def message(self) -> str:
        """The warning as compilers print it: "file:line: text"."""
        return f"{self.file}:{self.line}: {self.text}"


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A built kernel in the cache, under its key.

    ``modules`` is what a guest sees as /lib/modules; None when the kernel has no modules.
    """

    key: str
    folder: Path
    image: Path
    config: Path
    release: str
    commit: str
    arch: str
    vmlinux: Path | None = None
    modules: Path | None = None
    log: Path | None = None
    warnings: tuple[CompilerWarning, ...] = ()
    seconds: float = 0.0
    reused: bool = False
