# SPDX-License-Identifier: GPL-2.0-only
"""Kernel patch testing harness: reports, with evidence, what a patch series does to the kernel."""

__version__ = "0.1.0"
