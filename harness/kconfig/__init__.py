# SPDX-License-Identifier: GPL-2.0-only
"""The stage that makes a .config: what is asked for, what landed, and why not.

``request`` reads fragments and command-line assignments into one Request without contradictions;
``configure`` makes a .config from it and raises NotConfigured with reasons when an option did not
land, ``attempt`` takes what it gets; ``compare`` is the pure comparison of a Request with a
.config's text.
"""

from __future__ import annotations

from harness.kconfig.compare import Difference, compare, values
from harness.kconfig.configure import attempt, configure
from harness.kconfig.fragment import available, request

__all__ = ["Difference", "attempt", "available", "compare", "configure", "request", "values"]
