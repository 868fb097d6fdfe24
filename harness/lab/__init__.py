# SPDX-License-Identifier: GPL-2.0-only
"""The lab: from a commit to a kernel, its tests and their evidence; every verb uses it."""
