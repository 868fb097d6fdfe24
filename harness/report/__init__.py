# SPDX-License-Identifier: GPL-2.0-only
"""The report of a run as one HTML file: ``write(page(folder), file)``."""

from harness.report.failures import Ask
from harness.report.gather import page
from harness.report.render import write
from harness.report.values import History, Page, Past

__all__ = ["Ask", "History", "Page", "Past", "page", "write"]
