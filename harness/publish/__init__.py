# SPDX-License-Identifier: GPL-2.0-only
"""Reports generated from stored results: pages, mails, and formats for other programs."""
