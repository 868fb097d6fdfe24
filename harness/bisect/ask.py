# SPDX-License-Identifier: GPL-2.0-only
"""What a bisection is asked to do."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from harness.bisect.signature import Signature
from harness.model import BisectMode, Call, Plan


@dataclasses.dataclass(frozen=True)
class Ask:
    """The command line, understood.

    ``goods`` and ``bad`` are refs; with ``reverse`` the bad one is the older, and what is looked
    for made it good.  ``files`` and ``first_parent`` limit history.  ``other`` is what another
    failure counts as; ``trials`` are given to a failure to show at the bad end.
    ``sources_only``: the command needs no kernel.  ``log`` is one of git's to go on from.
    ``configs`` are the options of the good and the bad end: a .config, or a fragment's
    file or name; "" are the usual ones.
    """

    plan: Plan
    mode: BisectMode
    signature: Signature
    goods: tuple[str, ...] = ()
    bad: str = ""
    files: tuple[str, ...] = ()
    first_parent: bool = False
    reverse: bool = False
    other: Call = Call.SKIP
    confidence: float = 0.99
    trials: int = 10
    sources_only: bool = False
    log: Path | None = None
    configs: tuple[str, str] | None = None

    @property
    def of_commits(self) -> bool:
        """Whether commits are searched, not options or sets of patches."""
        return self.mode in (BisectMode.SERIES, BisectMode.HISTORY)

    @property
    def series_mode(self) -> bool:
        """Whether the commits are the patches of a series."""
        return self.mode is BisectMode.SERIES
