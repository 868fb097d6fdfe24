# SPDX-License-Identifier: GPL-2.0-only
"""Where a kernel's sources come from: a release by number, or a person's git tree."""

from harness.source.find import release
from harness.source.given import from_tree

__all__ = ["from_tree", "release"]
