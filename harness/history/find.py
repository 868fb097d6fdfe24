# SPDX-License-Identifier: GPL-2.0-only
"""What words mean: a test, a series, a splat."""

from __future__ import annotations

import sqlalchemy as sa

from harness.history.tables import BAD, result, run, series, session, sighting, splat, test
from harness.history.values import Match
from harness.history.write import clean, short
from harness.publish.sentences import number

MOST = 200  # matches of a kind: whoever sees so many types more letters


def find(connection: sa.Connection, words: str, kind: str = "") -> tuple[Match, ...]:
    """Give what words could mean, the last seen first; what bears exactly that name comes alone."""
    words = clean(words)
    ways = {"test": _tests, "series": _series, "splat": _splats}
    some = [ways[kind]] if kind else list(ways.values())
    for exactly in (True, False):
        found = [one for way in some for one in way(connection, words, exactly)]
        if found:
            return tuple(sorted(found, key=lambda one: -one.last))
    return ()


def _like(column: sa.Column[str], words: str) -> sa.ColumnElement[bool]:
    return column.icontains(words, autoescape=True)


def _tests(connection: sa.Connection, words: str, exactly: bool) -> list[Match]:
    fits = test.c.name == short(words) if exactly else _like(test.c.name, words)
    bad = sa.func.sum(sa.case((result.c.outcome.in_(BAD), 1), else_=0))
    question = (
        sa.select(test.c.name, sa.func.count(), bad, sa.func.max(session.c.at))
        .select_from(
            test.join(result, result.c.test_id == test.c.id).join(
                session, session.c.id == result.c.session_id
            )
        )
        .where(test.c.id.in_(sa.select(test.c.id).where(fits).limit(MOST)))
        .group_by(test.c.id, test.c.name)
    )
    return [
        Match("test", name, f"bad in {wrong} of {number(runs, 'run')}", last)
        for name, runs, wrong, last in connection.execute(question)
    ]


def _series(connection: sa.Connection, words: str, exactly: bool) -> list[Match]:
    own = (series.c.lineage, series.c.name, series.c.title)
    if exactly:
        fits = sa.or_(*(column == words for column in own), series.c.digest == words)
    else:
        digest = series.c.digest.startswith(words, autoescape=True)
        fits = sa.or_(*(_like(column, words) for column in own), digest)
    question = (
        sa.select(
            series.c.lineage,
            sa.func.max(series.c.title),
            sa.func.count(series.c.id.distinct()),
            sa.func.count(run.c.id),
            sa.func.max(run.c.began),
        )
        .select_from(series.join(run, run.c.series_id == series.c.id))
        .where(series.c.lineage.in_(sa.select(series.c.lineage).where(fits)))
        .group_by(series.c.lineage)
        .limit(MOST)
    )
    return [
        Match(
            "series",
            lineage,
            f"{title or lineage}: {number(revisions, 'revision')}, {number(some, 'run')}",
            last,
        )
        for lineage, title, revisions, some, last in connection.execute(question)
    ]


def _splats(connection: sa.Connection, words: str, exactly: bool) -> list[Match]:
    if exactly:
        fits = sa.or_(splat.c.fingerprint == words, splat.c.title == words)
    else:
        start = splat.c.fingerprint.startswith(words, autoescape=True)
        fits = sa.or_(_like(splat.c.title, words), start)
    question = (
        sa.select(
            splat.c.fingerprint,
            splat.c.title,
            sa.func.sum(sighting.c.times),
            sa.func.max(session.c.at),
        )
        .select_from(
            splat.join(sighting, sighting.c.splat_id == splat.c.id).join(
                session, session.c.id == sighting.c.session_id
            )
        )
        .where(fits)
        .group_by(splat.c.id, splat.c.fingerprint, splat.c.title)
        .limit(MOST)
    )
    return [
        Match("splat", name, f"{title}: {number(times, 'time')}", last)
        for name, title, times, last in connection.execute(question)
    ]
