# SPDX-License-Identifier: GPL-2.0-only
"""Read a patch series from whatever holds one, and keep it as a folder."""

from harness.series.folder import keep, slug
from harness.series.load import SeriesRequest, load

__all__ = ["SeriesRequest", "keep", "load", "slug"]
