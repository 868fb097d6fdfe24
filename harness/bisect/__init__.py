# SPDX-License-Identifier: GPL-2.0-only
"""Find what made a test fail: in a series, in history, in a config; and prove it."""

from harness.bisect.engine import bisect
from harness.bisect.job import BisectPlan

__all__ = ["BisectPlan", "bisect"]
