# SPDX-License-Identifier: GPL-2.0-only
"""Read a patch series from a folder, a single patch or an mbox file."""

from harness.series.load import load

__all__ = ["load"]
