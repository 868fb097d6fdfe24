# SPDX-License-Identifier: GPL-2.0-only
"""Past runs in a database: see docs/history.md.

SQLAlchemy is imported only when a function is called.  ``db`` is a URL or the file of a SQLite
database; empty means the default.  All functions except ``recording`` raise HarnessError when the
database cannot be read.
"""

from __future__ import annotations

import typing
from pathlib import Path

from harness import paths
from harness.errors import UsageError
from harness.history.recording import Recording, recording

if typing.TYPE_CHECKING:
    from harness.history.histories import RunRow, TestHistory
    from harness.model import Series

__all__ = [
    "Recording",
    "find_folder",
    "folders",
    "last_failures",
    "named",
    "of_test",
    "of_tests",
    "recording",
]


def of_test(id: str, *, last: int = 20, on: str = "", db: str = "") -> TestHistory | None:  # noqa: A002
    """Return a test's history, or None when it was never run.

    ``last``: how many results, newest first; ``on``: only results on "base" or "patched" kernels.
    """
    return of_tests([id], last=last, on=on, db=db).get(id)


def of_tests(
    ids: typing.Iterable[str], *, last: int = 20, on: str = "", db: str = ""
) -> dict[str, TestHistory]:
    """Return the histories of tests by id, leaving out tests that were never run."""
    from harness.history import database, queries

    with database.opened(db) as (connection, _):
        histories = {id_: queries.of_test(connection, id_, last, on) for id_ in ids}
    return {id_: history for id_, history in histories.items() if history is not None}


def named(word: str, *, db: str = "") -> tuple[RunRow, ...]:
    """Return the runs that ``word`` refers to: "last", a folder, an id or its first letters."""
    from harness.history import database, run_queries

    with database.opened(db) as (connection, _):
        return run_queries.named(connection, word)


def find_folder(word: str, *, db: str = "") -> Path:
    """Return the folder of the run that ``word`` refers to: a path, an id, a name or "last".

    Raises UsageError when there is no such run, or its folder no longer exists.
    """
    path = paths.expanded(word)
    if path.is_dir():
        return path.absolute()
    if path.is_file():
        return path.parent.absolute()
    kept = paths.state("runs") / word
    if "/" not in word and kept.is_dir():
        return kept
    rows = named(word, db=db)
    if not rows:
        raise UsageError(f"no run matches {word!r}", hint="harness runs")
    if len(rows) > 1:
        names = ", ".join(row.id for row in rows[:6])
        raise UsageError(f"{word!r} matches several runs", hint=names)
    recorded = Path(rows[0].folder)
    if not recorded.is_dir():
        raise UsageError(
            f"the folder of run {rows[0].id} no longer exists: {recorded}",
            hint=f"harness show {rows[0].id}",
        )
    return recorded


def folders(series: Series, *, db: str = "") -> tuple[Path, ...]:
    """Return the folders of past runs of a series that still exist, newest first."""
    from harness.history import database, run_facts, run_queries

    with database.opened(db, must_exist=False) as (connection, _):
        names = run_queries.folders(connection, run_facts.lineage(series))
    return tuple(path for path in map(Path, names) if path.is_dir())


def last_failures(series: Series, *, db: str = "") -> tuple[str, ...]:
    """Return the tests that failed when this series, or an earlier revision, was last tested.

    Failures on the base do not count.  A history that does not exist yet has no failures.
    """
    from harness.history import database, run_facts, run_queries

    with database.opened(db, must_exist=False) as (connection, _):
        return run_queries.last_failures(connection, run_facts.lineage(series), series.version)
