# SPDX-License-Identifier: GPL-2.0-only
"""Show progress on standard error: a live view on a terminal, otherwise plain lines."""

from harness.progress.display import Progress, printable_text
from harness.progress.stage import Stage, StageRow, clock

__all__ = ["Progress", "Stage", "StageRow", "clock", "printable_text"]
