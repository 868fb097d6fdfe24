# SPDX-License-Identifier: GPL-2.0-only
"""Where a kernel's sources come from: a release by number, or the user's git tree."""

from harness.source.sources import from_tree, release

__all__ = ["from_tree", "release"]
