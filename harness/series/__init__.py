# SPDX-License-Identifier: GPL-2.0-only
"""Read a patch series from any kind of source, and save it as a folder."""

from harness.series.folder import keep, slug
from harness.series.load import SeriesRequest, load

__all__ = ["SeriesRequest", "keep", "load", "slug"]
