# SPDX-License-Identifier: GPL-2.0-only
"""The main job: a series and a kernel in, a Run with its evidence out."""

from harness.run.plan import Plan
from harness.run.whole import run

__all__ = ["Plan", "run"]
