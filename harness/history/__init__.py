# SPDX-License-Identifier: GPL-2.0-only
"""Every run in a database: see docs/history.md.

What is asked here imports SQLAlchemy only when it is called.  ``db`` is a URL or a SQLite file;
empty is the usual one.  All but ``recording`` raise HarnessError when it cannot be read.
"""

from __future__ import annotations

import typing

from harness.history import address
from harness.history.recording import Entry, recording

if typing.TYPE_CHECKING:
    from harness.history.values import RunRow, TestHistory
    from harness.model import Series

__all__ = ["Entry", "last_failures", "named", "of_test", "of_tests", "recording"]


def of_test(id: str, *, last: int = 20, on: str = "", db: str = "") -> TestHistory | None:  # noqa: A002
    """Give a test's history, None when it was never run.

    ``last``: how many results, the newest first; ``on``: those on "base" or "patched" kernels only.
    """
    from harness.history import about_test, take

    with take.opened(take.existing(db)) as (connection, _):
        return about_test.of_test(connection, id, last, on)


def of_tests(
    ids: typing.Iterable[str], *, last: int = 20, on: str = "", db: str = ""
) -> dict[str, TestHistory]:
    """Give the histories of several tests, of those that have one."""
    from harness.history import about_test, take

    with take.opened(take.existing(db)) as (connection, _):
        found = {one: about_test.of_test(connection, one, last, on) for one in ids}
    return {one: history for one, history in found.items() if history is not None}


def named(word: str, *, db: str = "") -> tuple[RunRow, ...]:
    """Give the runs that a word means: "last", a folder, an id or the beginning of one."""
    from harness.history import runs, take

    with take.opened(take.existing(db)) as (connection, _):
        return runs.named(connection, word)


def last_failures(series: Series, *, db: str = "") -> tuple[str, ...]:
    """Give the tests that failed when this series, or a revision before it, was last tested.

    Only what failed on its own kernels counts, not on the base.  Nothing known: none; the history
    may be one that a run is about to begin.
    """
    from harness.history import about_series, identity, take

    with take.opened(address.choose(db)) as (connection, _):
        return about_series.last_failures(connection, identity.lineage(series), series.version)
