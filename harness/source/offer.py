# SPDX-License-Identifier: GPL-2.0-only
"""What a provider of sources has, and how it is fetched."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from harness.progress import Stage
from harness.source.version import Wanted


@dataclasses.dataclass(frozen=True)
class Offer:
    """One release to be had.  ``name`` is its folder in the cache, ``size`` in bytes (0 unknown).

    ``fetch(folder, stage)`` downloads into ``folder``, going on where an earlier try stopped, and
    gives the tarball, its checksum compared.  It raises HostFault.
    """

    version: str
    name: str
    origin: str
    size: int
    fetch: Callable[[Path, Stage], Path]


@dataclasses.dataclass(frozen=True)
class Provider:
    """A place to ask.  ``offers`` gives what matches, or raises HostFault with the reason."""

    name: str
    offers: Callable[[Wanted, Stage], list[Offer]]
