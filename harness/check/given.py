# SPDX-License-Identifier: GPL-2.0-only
"""Commits of a person's own tree: who committed them, and what that means for a check."""

from __future__ import annotations

import dataclasses

from harness import git
from harness.check.wish import Wish
from harness.model import Series


def of_commits(asked: Wish, series: Series) -> Wish:
    """Ask what is asked of commits: nobody has sent them, and their tree is trusted."""
    if series.repo is None:
        return asked
    words = ("log", "--no-walk=unsorted", "--format=%cn <%ce>", *series.commits, "--")
    names = git.run(series.repo, *words).stdout.splitlines()
    return dataclasses.replace(asked, mails=False, committers=tuple(names), trust=True)
