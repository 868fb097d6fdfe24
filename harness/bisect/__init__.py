# SPDX-License-Identifier: GPL-2.0-only
"""Find what made a test fail: in a series, in history, in a config; and prove it."""

from harness.bisect.ask import Ask
from harness.bisect.whole import bisect

__all__ = ["Ask", "bisect"]
