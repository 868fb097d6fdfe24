# SPDX-License-Identifier: GPL-2.0-only
"""Trials on other machines, through Dask distributed.

The driver, which is the command that the user typed, keeps git, the plan, the journal and the
reports.  Workers do trials: each is one request in and one reply out.  Dask's scheduler knows the
workers, starts trials on those that can run them, and starts them again elsewhere when a worker is
lost.  Nothing here is imported unless ``--on`` is given.
"""
