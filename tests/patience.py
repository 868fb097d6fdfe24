# SPDX-License-Identifier: GPL-2.0-only
"""How long tests wait for what comes in the end: no test may depend on how fast a machine is."""

PATIENCE = 600.0  # seconds; only a test that fails needs them all
