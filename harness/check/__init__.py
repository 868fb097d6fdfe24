# SPDX-License-Identifier: GPL-2.0-only
"""Check a series patch by patch before it is merged: see docs/check.md."""

from harness.check.whole import check
from harness.check.wish import Wish

__all__ = ["Wish", "check"]
