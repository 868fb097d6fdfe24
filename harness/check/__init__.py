# SPDX-License-Identifier: GPL-2.0-only
"""Check a series patch by patch before it is merged: see docs/check.md."""

from harness.check.pipeline import check
from harness.check.walk import CheckRequest

__all__ = ["CheckRequest", "check"]
