# SPDX-License-Identifier: GPL-2.0-only
"""What runs inside the guest: the standard library and pytest only."""
