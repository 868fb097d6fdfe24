# SPDX-License-Identifier: GPL-2.0-only
"""Show long work: a live view on a terminal, plain lines elsewhere; always on standard error."""

from harness.progress.shown import Progress
from harness.progress.stage import Row, Stage, clock

__all__ = ["Progress", "Row", "Stage", "clock"]
