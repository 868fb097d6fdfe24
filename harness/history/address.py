# SPDX-License-Identifier: GPL-2.0-only
"""Choose the database: --db, HARNESS_DB, [tool.harness] db, or a file in the state folder."""

from __future__ import annotations

import os
from pathlib import Path

from harness import paths, settings

VARIABLE = "HARNESS_DB"
FILE = "sqlite:///"


def choose(db: str = "") -> str:
    """Return the database's URL.  Anything that is not a URL names a SQLite file."""
    if db or os.environ.get(VARIABLE):
        return _url(db or os.environ[VARIABLE], Path.cwd())
    project = settings.load(Path.cwd())
    if project.db:
        return _url(project.db, project.folder)
    return f"{FILE}{paths.state('history') / 'history.db'}"


def _url(text: str, folder: Path) -> str:
    """Make the path of a file absolute, since the next command may run in another folder."""
    if "://" in text and not text.startswith(FILE):
        return text
    return f"{FILE}{folder / paths.expanded(text.removeprefix(FILE))}"
