# SPDX-License-Identifier: GPL-2.0-only
"""Everything that is made from stored results: pages, mails and reports for other programs."""
