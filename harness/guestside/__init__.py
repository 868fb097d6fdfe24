# SPDX-License-Identifier: GPL-2.0-only
"""Code that runs inside the guest; it needs only the standard library and pytest."""
