# SPDX-License-Identifier: GPL-2.0-only
"""Get kernel sources: a release by its number, or a commit of the user's git tree."""

from harness.source.sources import from_tree, release

__all__ = ["from_tree", "release"]
