# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of the verbs, and the text of their --help; what they run is imported later."""
