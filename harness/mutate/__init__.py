# SPDX-License-Identifier: GPL-2.0-only
"""Mutation testing: break each line that a series adds, and see whether a test notices.

``kinds`` is the table of what is broken and how, ``mutants`` applies it to the lines of a series,
``prepare`` finds out which tests execute which line, ``switched`` puts many mutants into one file,
``workshop`` builds the kernels, ``engine`` runs the tests, and ``report`` writes the score.
"""
