# SPDX-License-Identifier: GPL-2.0-only
"""Find the folder of a past run without SQLAlchemy, whose import takes longer than showing it.

Only the ordinary case: a SQLite file that is up to date, and a run that ended.  In every other case
``past_run`` returns None, and the caller asks ``run_queries``, which has an answer to all of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from urllib.parse import quote

from harness import paths
from harness.errors import HarnessError
from harness.history import address, waiting
from harness.history.run_facts import Ended


@dataclasses.dataclass(frozen=True)
class PastRun:
    """A run that ended.  ``began`` is in seconds since the epoch."""

    id: str
    began: float
    command: str
    folder: str


_QUERY = "SELECT uid, began, command, folder, ended FROM run WHERE {} ORDER BY began DESC, id DESC"


def past_run(word: str, db: str = "") -> PastRun | None:
    """Return the only run that ``word`` refers to, as in ``run_queries.named``."""
    try:
        url = address.choose(db)
        newer = [id_ for id_ in waiting.ids(url) if word == "last" or id_.startswith(word)]
        if newer or not url.startswith(address.FILE):
            return None
        with contextlib.closing(_connected(url.removeprefix(address.FILE))) as connection:
            rows = _named(connection, word)
    except (sqlite3.Error, HarnessError, OSError, UnicodeError):
        return None
    if len(rows) != 1:
        return None
    uid, began, command, folder, ended = rows[0]
    return None if ended == Ended.RUNNING else PastRun(uid, began, command, folder)


def _connected(file: str) -> sqlite3.Connection:
    # Even a reader creates files beside a database with a write-ahead log, so not mode=ro.
    return sqlite3.connect(f"file:{quote(file)}?mode=rw", uri=True)


def _named(connection: sqlite3.Connection, word: str) -> list[tuple[str, float, str, str, str]]:
    """Return the runs that a word refers to, at most two."""

    def rows(condition: str, *values: str, most: int = 2) -> list[tuple[str, float, str, str, str]]:
        return connection.execute(_QUERY.format(condition), values).fetchmany(most)

    if word == "last":
        return rows("true", most=1)
    path = paths.expanded(word)
    if "/" in word or path.is_dir():
        return rows("folder = ?", str(path.absolute()), most=1)
    begins, ends = "substr(uid, 1, length(?)) = ?", "substr(folder, -length(?)) = ?"
    below = f"/{word}"
    return rows("uid = ?", word) or rows(f"{begins} OR {ends}", word, word, below, below)
