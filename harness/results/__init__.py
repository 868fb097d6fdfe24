# SPDX-License-Identifier: GPL-2.0-only
"""Test results: recorded as they arrive, read back, compared, written as run.json."""
