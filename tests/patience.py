# SPDX-License-Identifier: GPL-2.0-only
"""How long a test waits before it gives up: no test may depend on the speed of the machine."""

PATIENCE = 600.0  # seconds; only a failing test waits that long
