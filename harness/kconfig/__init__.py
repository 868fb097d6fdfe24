# SPDX-License-Identifier: GPL-2.0-only
"""The stage that creates a .config, and explains why requested options did not take effect.

``request`` reads fragments and command-line assignments into one Request without contradictions.
``configure`` creates a .config from it and raises NotConfigured with reasons if an option did not
take effect; ``attempt`` accepts any result.  ``compare`` compares a Request with a .config's text.
``follow`` finds the options without which a series would not be compiled.
"""

from __future__ import annotations

from harness.kconfig.configure import attempt, configure
from harness.kconfig.follow import SeriesSources, follow
from harness.kconfig.fragment import (
    ConfigDifference,
    available,
    compare,
    effective,
    overridden,
    request,
    values,
)

__all__ = [
    "ConfigDifference",
    "SeriesSources",
    "attempt",
    "available",
    "compare",
    "configure",
    "effective",
    "follow",
    "overridden",
    "request",
    "values",
]
