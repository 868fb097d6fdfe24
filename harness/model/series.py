# SPDX-License-Identifier: GPL-2.0-only
"""A patch series, and the sources it is applied to."""

from __future__ import annotations

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Patch:
    """One mail of a series: its ``number`` in the series, and the files it touches."""

    number: int
    subject: str
    author: str
    path: Path
    files: tuple[str, ...] = ()
    message_id: str = ""


@dataclasses.dataclass(frozen=True)
class Series:
    """Patches in order, with the settings of series.toml.

    ``digest`` covers the patches' bytes: the same digest on the same base gives the same tree.
    ``total`` is the n of [PATCH 1/n]; ``missing`` and ``duplicates`` are numbers of patches.
    ``after`` are series that are part of its base: they are applied first, in this order.
    ``prerequisites`` are ids (git patch-id) of patches that must be applied first.  ``notes`` are
    lines for display about choices that were made.  ``fault``: why the series cannot be used; only
    callers that request it get such a series.  ``repo`` is the git tree whose ``commits`` (in patch
    order) were turned into mails; None if the series was read from mails.
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
    after: tuple[Series, ...] = ()
    kconfig: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    subsystems: tuple[str, ...] = ()
    follow: tuple[str, ...] = ()
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
    """A commit to start from, once the series ``after`` are applied to it.

    ``repo`` is a git repository, which is never modified.
    """

    repo: Path
    commit: str
    name: str
    origin: str = ""
    after: tuple[Series, ...] = ()


@dataclasses.dataclass(frozen=True)
class Checkout:
    """A worktree with ``commit`` checked out; ``tree`` is that commit's tree object, which is part
    of a kernel's key; ``patches`` are (commit, subject) in order.
    """

    path: Path
    commit: str
    tree: str
    patches: tuple[tuple[str, str], ...] = ()
