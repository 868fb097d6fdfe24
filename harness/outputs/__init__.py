# SPDX-License-Identifier: GPL-2.0-only
"""A run in the words of others: mail, TAP and KTAP, KCIDB, GitHub, GitLab.

Each module turns a Run into text or a value; nothing is sent or printed here.
"""
