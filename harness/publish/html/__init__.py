# SPDX-License-Identifier: GPL-2.0-only
"""The report of a run as one HTML file: ``write(page(folder), file)``."""

from harness.publish.html.failures import Ask
from harness.publish.html.gather import page
from harness.publish.html.render import write
from harness.publish.html.values import History, Page, Past

__all__ = ["Ask", "History", "Page", "Past", "page", "write"]
