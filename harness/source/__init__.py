# SPDX-License-Identifier: GPL-2.0-only
"""Where a kernel's sources come from: a release by number, or the user's git tree."""

from harness.source.providers import release
from harness.source.usertree import from_tree

__all__ = ["from_tree", "release"]
