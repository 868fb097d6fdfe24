# SPDX-License-Identifier: GPL-2.0-only
"""Which database: --db, else HARNESS_DB, else [tool.harness] db, else a file of the state."""

from __future__ import annotations

import os
from pathlib import Path

from harness import paths, settings

VARIABLE = "HARNESS_DB"
_FILE = "sqlite:///"


def choose(asked: str = "", start: Path | None = None) -> str:
    """Give the database's URL.  A word that is no URL is the file of a SQLite database.

    ``start`` is the folder whose project counts (the current one).
    """
    if asked or os.environ.get(VARIABLE):
        return _url(asked or os.environ[VARIABLE], Path.cwd())
    there = settings.load(start or Path.cwd())
    if there.db:
        return _url(there.db, there.folder)
    return f"{_FILE}{paths.state('history') / 'history.db'}"


def _url(text: str, folder: Path) -> str:
    """Make a file's name absolute: another command may be typed in another folder."""
    if "://" in text and not text.startswith(_FILE):
        return text
    return f"{_FILE}{folder / paths.expanded(text.removeprefix(_FILE))}"
