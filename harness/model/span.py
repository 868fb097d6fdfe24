# SPDX-License-Identifier: GPL-2.0-only
"""When a stage ran."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Span:
    """A stage of a run; ``began`` is in seconds since the epoch, ``what`` its progress line."""

    name: str
    what: str
    began: float
    seconds: float
