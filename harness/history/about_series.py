# SPDX-License-Identifier: GPL-2.0-only
"""The history of a series: its revisions, their verdicts, what failed when."""

from __future__ import annotations

import sqlalchemy as sa

from harness.history import places, runs
from harness.history.tables import OUTCOMES, result, run, series, session, side, test
from harness.history.values import Revision, RunRow, SeriesHistory
from harness.model import Outcome, Verdict

_BASE = "base"


def of_series(connection: sa.Connection, lineage: str) -> SeriesHistory | None:
    """Give a series' history by what its revisions have in common; None when there was no run."""
    question = sa.select(series).where(series.c.lineage == lineage)
    rows = connection.execute(question.order_by(series.c.version, series.c.id)).all()
    found = [(row, runs.runs(connection, run.c.series_id == row.id)) for row in rows]
    found = [(row, some) for row, some in found if some]
    if not found:
        return None
    found.sort(key=lambda pair: (pair[0].version, pair[1][-1].began))
    revisions = [
        Revision(row.version, row.digest, row.name, len(some), some[-1].began, _told(some))
        for row, some in found
    ]
    latest = found[-1][0]
    return SeriesHistory(
        title=latest.title or latest.name,
        lineage=lineage,
        link=latest.link,
        revisions=tuple(revisions),
        failures=_failures(connection, [row.id for row, _ in found]),
    )


def _told(some: tuple[RunRow, ...]) -> RunRow:
    """Give the newest run that came to a verdict, or just the newest."""
    return next((one for one in some if one.verdict != Verdict.NONE), some[0])


def _failures(
    connection: sa.Connection, numbers: list[int]
) -> tuple[tuple[str, tuple[Outcome | None, ...]], ...]:
    """Give what failed with any revision, and what its last outcome was with each.

    First the series' sessions and then their results: both lie in an index, in few places.
    """
    sessions = _sessions(connection, numbers)
    bad: set[int] = set()
    for some in places.parts(list(sessions)):
        question = sa.select(result.c.test_id).where(result.c.session_id.in_(some), runs.bad())
        bad.update(connection.execute(question).scalars())
    names = _names(connection, sorted(bad))
    last: dict[int, dict[int, tuple[float, str]]] = {}
    for tests in places.parts(sorted(bad)):
        for some in places.parts(list(sessions)):
            question = sa.select(result.c.test_id, result.c.session_id, result.c.outcome).where(
                result.c.test_id.in_(tests), result.c.session_id.in_(some)
            )
            for test_id, session_id, letter in connection.execute(question):
                revision, at = sessions[session_id]
                mine = last.setdefault(test_id, {})
                mine[revision] = max(mine.get(revision, (0.0, "")), (at, letter))
    found = {
        names[one]: tuple(OUTCOMES[mine[n][1]] if n in mine else None for n in numbers)
        for one, mine in last.items()
    }
    return tuple(sorted(found.items()))


def _sessions(connection: sa.Connection, numbers: list[int]) -> dict[int, tuple[int, float]]:
    """Give the sessions on kernels with the series: (revision, when)."""
    of = side.join(run, run.c.id == side.c.run_id).join(session, session.c.id == side.c.session_id)
    question = sa.select(session.c.id, run.c.series_id, session.c.at).select_from(of)
    rows = connection.execute(question.where(run.c.series_id.in_(numbers), _patched()))
    return {number: (revision, at) for number, revision, at in rows}


def _names(connection: sa.Connection, numbers: list[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for some in places.parts(numbers):
        for number, name in connection.execute(
            sa.select(test.c.id, test.c.name).where(test.c.id.in_(some))
        ):
            found[number] = name
    return found


def _patched() -> sa.ColumnElement[bool]:
    """Say that a side is not the base: what the base does is no revision's doing."""
    return side.c.name != _BASE


def last_failures(connection: sa.Connection, lineage: str, version: int) -> tuple[str, ...]:
    """Give the tests that were bad with the newest tested revision up to ``version``."""
    of = side.join(run, run.c.id == side.c.run_id).join(series, series.c.id == run.c.series_id)
    question = (
        sa.select(run.c.id)
        .select_from(of)
        .where(series.c.lineage == lineage, series.c.version <= version)
        .where(_patched(), side.c.session_id.is_not(None))
        .order_by(run.c.began.desc())
        .limit(1)
    )
    newest = connection.execute(question).scalar()
    if newest is None:
        return ()
    question = sa.select(side.c.session_id).where(side.c.run_id == newest, _patched())
    sessions = connection.execute(question.order_by(side.c.id.desc())).scalars().all()
    names = (name for one in sessions if one for name, _, _ in runs.failures(connection, one))
    return tuple(dict.fromkeys(names))
