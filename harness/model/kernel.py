# SPDX-License-Identifier: GPL-2.0-only
"""Configuration, toolchain and kernel; a key identifies everything that goes into a kernel."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Option:
    """A requested Kconfig option.  ``value`` is y, m, n, a number or a quoted string.

    ``origin`` is "file:line" or "command line", for messages.  ``optional``: nobody asked for it,
    it follows from the series; a kernel that cannot have it is built without it.
    """

    name: str
    value: str
    origin: str
    reason: str = ""
    optional: bool = False


@dataclasses.dataclass(frozen=True)
class Request:
    """All requested Kconfig options, without contradictions."""

    options: tuple[Option, ...]

    def without(self, names: Collection[str]) -> Request:
        """Return the request without these options."""
        return Request(tuple(option for option in self.options if option.name not in names))

    @property
    def digest(self) -> str:
        """Identifies the request in keys, independent of the order of its options."""
        lines = sorted(f"{o.name}={o.value}" for o in self.options)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Followed:
    """The options that a series needs to be compiled, in addition to those that were requested.

    ``new`` are the names of those that only the series defines, so that the base cannot have them.
    ``missed`` are lines about code that no option can bring into this kernel, each with the reason.
    ``left_out`` are files, each with the reason, whose options are not added.
    ``pervasive`` are options that so much code depends on that kernels with them get a build folder
    of their own.
    """

    options: tuple[Option, ...] = ()
    new: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    pervasive: tuple[str, ...] = ()


NOTHING_FOLLOWED = Followed()


@dataclasses.dataclass(frozen=True)
class Toolchain:
    """The compiler of a kernel, and the architecture it builds for.

    ``words`` are additional arguments for every make, such as W=1.
    """

    arch: str
    compiler: str
    version: str
    llvm: bool = False
    cross: str = ""
    words: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Key:
    """What a kernel is built from.  The same key is never built twice.

    A ``lean`` kernel is only for guests: it has no compressed image and no debug info.
    ``counted`` are the objects that count how often their lines are executed.
    """

    tree: str
    config: str
    toolchain: str
    lean: bool = False
    counted: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """A short name, for folders."""
        text = f"{self.tree}/{self.config}/{self.toolchain}"
        text += "/lean" if self.lean else ""
        text += f"/counting {' '.join(self.counted)}" if self.counted else ""
        return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclasses.dataclass(frozen=True)
class CompilerWarning:
    """A compiler warning; ``patch`` is the subject of the patch that touched the line."""

    file: str
    line: int
    text: str
    patch: str = ""

    @property
    def message(self) -> str:
        """The warning in the format of compilers: "file:line: text"."""
        return f"{self.file}:{self.line}: {self.text}"


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A built kernel in the cache, stored under its key.

    ``modules`` is what a guest sees as /lib/modules; None if the kernel has no modules.
    ``notes`` are the compiler's notes (.gcno) about the objects that have counters, below the
    absolute path of the folder that they were compiled in; None without counters.
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
    notes: Path | None = None
    log: Path | None = None
    warnings: tuple[CompilerWarning, ...] = ()
    seconds: float = 0.0
    reused: bool = False
