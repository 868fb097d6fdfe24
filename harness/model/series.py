# SPDX-License-Identifier: GPL-2.0-only
"""A patch series, and the sources it is applied to."""

from __future__ import annotations

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Patch:
    """One mail of a series: ``number`` of n, and the files it touches."""

    number: int
    subject: str
    author: str
    path: Path
    files: tuple[str, ...] = ()
    message_id: str = ""


@dataclasses.dataclass(frozen=True)
class Series:
    """Patches in order, with what series.toml says of them.

    ``digest`` covers the patches' bytes: the same digest on the same base is the same tree.
    ``total`` is what the subjects count; ``missing`` and ``duplicates`` are numbers of patches.
    ``prerequisites`` are ids (git patch-id) of patches that come before the series.  ``notes`` say
    what was decided where there was a choice, each in a line for people; ``fault`` why the series
    cannot be used, which only who asked for it so is given.  ``repo`` is the git tree whose
    ``commits`` (in the patches' order) were made into mails; None when the mails came as such.
    """

    name: str
    folder: Path
    patches: tuple[Patch, ...]
    digest: str
    title: str = ""
    cover: Path | None = None
    link: str = ""
    kernel: str = ""
    base: str = ""
    kconfig: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    subsystems: tuple[str, ...] = ()
    version: int = 1
    total: int = 0
    cover_subject: str = ""
    cover_id: str = ""
    prerequisites: tuple[str, ...] = ()
    missing: tuple[int, ...] = ()
    duplicates: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    fault: str = ""
    repo: Path | None = None
    commits: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Source:
    """A commit to start from: ``repo`` is a git repository we only read."""

    repo: Path
    commit: str
    name: str
    origin: str = ""


@dataclasses.dataclass(frozen=True)
class Checkout:
    """A worktree of ours with ``commit`` checked out; ``tree`` is that commit's tree object, the
    part of a kernel's key that its sources make; ``patches`` are (commit, subject) in order.
    """

    path: Path
    commit: str
    tree: str
    patches: tuple[tuple[str, str], ...] = ()
