# SPDX-License-Identifier: GPL-2.0-only
"""Our worktrees with a base or a patched kernel; the user's tree is only read."""

from harness.tree.base import Base
from harness.tree.base import choose as choose_base
from harness.tree.slot import Slot, peek, slot

__all__ = ["Base", "Slot", "choose_base", "peek", "slot"]
