# SPDX-License-Identifier: GPL-2.0-only
"""Read a patch series from whatever holds one, and keep it."""

from harness.series.load import Wish, load, slug

__all__ = ["Wish", "load", "slug"]
