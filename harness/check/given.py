# SPDX-License-Identifier: GPL-2.0-only
"""Commits of a person's own tree: who committed them, and what that means for a check."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from harness import git
from harness.check.wish import Wish
from harness.model import Series


def of_commits(asked: Wish, series: Series, *, trust: bool) -> Wish:
    """Ask what is asked of commits: nobody has sent them; ``trust``: they are one's own."""
    if series.repo is None:
        return asked
    words = ("log", "--no-walk=unsorted", "--format=%cn <%ce>", *series.commits, "--")
    names = git.run(series.repo, *words).stdout.splitlines()
    return dataclasses.replace(asked, mails=False, committers=tuple(names), trust=trust)


def reviewed(tracking: Path) -> str:
    """Give the range of the series that b4 has under review, by what it keeps of it.

    Empty when the file says nothing of it.  The tip of b4's branch is its own note.
    """
    try:
        known = json.loads(tracking.read_text())["series"]
        return f"{known['first-patch-commit']}~1..refs/heads/b4/review/{known['change-id']}~1"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
