# SPDX-License-Identifier: GPL-2.0-only
"""Results of tests: kept as they come, read back whole, compared, written as run.json."""
