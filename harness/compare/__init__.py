# SPDX-License-Identifier: GPL-2.0-only
"""What differs between two kernels' results, and which differences are regressions."""

from harness.compare.half import Half, read
from harness.compare.numbers import Shift
from harness.compare.whole import Comparison, compare

__all__ = ["Comparison", "Half", "Shift", "compare", "read"]
