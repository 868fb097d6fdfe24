# SPDX-License-Identifier: GPL-2.0-only
"""Find what made a test fail: in a series, in history, in a config; and prove it."""
