# SPDX-License-Identifier: GPL-2.0-only
"""Reports generated from stored results: pages, mails, and formats for other programs."""

PAGE = "report.html"  # the usual name of a page, in the folder that it is about
