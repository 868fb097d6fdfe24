# SPDX-License-Identifier: GPL-2.0-only
"""The history of a test or a splat, and what a name matches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from harness.history.histories import (
    Flakes,
    KernelInRun,
    Match,
    PastResult,
    SplatHistory,
    TestHistory,
    Trend,
)
from harness.history.schema import (
    BAD,
    OUTCOMES,
    kernel,
    message,
    result,
    run,
    series,
    session,
    side,
    sighting,
    source,
    splat,
    test,
)
from harness.history.write import chunks, clean, short
from harness.model import Outcome
from harness.text import quantity

_MOST = 200  # matches of a kind; a user who sees that many will type more of the name


def of_test(
    connection: sa.Connection, name: str, last: int = 20, on: str = ""
) -> TestHistory | None:
    """Return a test's history, or None if it was never run; ``on``: only "base" or "patched"."""
    test_id = connection.execute(sa.select(test.c.id).where(test.c.name == short(name))).scalar()
    rows = () if test_id is None else _results(connection, test_id, on)
    if not rows:
        return None
    outcomes = [OUTCOMES[row.outcome] for row in rows]
    newest_first, oldest_first = range(len(rows)), range(len(rows) - 1, -1, -1)
    first_failed = next((n for n in oldest_first if outcomes[n].bad), -1)
    last_failed = next((n for n in newest_first if outcomes[n].bad), -1)
    passing = (Outcome.PASS, Outcome.XFAIL)
    last_passed = next((n for n in newest_first if outcomes[n] in passing), -1)
    shown = newest_first[:last]
    wanted = sorted({*shown, len(rows) - 1, first_failed, last_failed, last_passed} - {-1})
    results = dict(zip(wanted, _past_results(connection, [rows[n] for n in wanted]), strict=True))
    return TestHistory(
        id=name,
        runs=len(rows),
        counts=dict(Counter(outcomes)),
        first=results[len(rows) - 1],
        seen=tuple(results[n] for n in shown),
        first_failed=results.get(first_failed),
        last_failed=results.get(last_failed),
        last_passed=results.get(last_passed),
        flakes=Flakes.of((str(row.kernel_id), _attempts(row)) for row in rows),
        trend=Trend.of(_durations(rows)),
    )


def _results(connection: sa.Connection, test_id: int, on: str) -> Sequence[Any]:
    """Return a test's results, newest first; fast, since they are stored together."""
    query = (
        sa.select(
            result.c.outcome,
            result.c.ms,
            result.c.attempts,
            result.c.message_id,
            session.c.id.label("session_id"),
            session.c.at,
            session.c.accel,
            session.c.kernel_id,
            kernel.c.config,
        )
        .select_from(
            result.join(session, session.c.id == result.c.session_id).outerjoin(
                kernel, kernel.c.id == session.c.kernel_id
            )
        )
        .where(result.c.test_id == test_id)
        .order_by(session.c.at.desc(), session.c.id.desc())
    )
    # Sessions that are no longer used by any run do not count.
    used = side.c.session_id == session.c.id
    query = query.where(sa.exists().where(used, side.c.name == on if on else sa.true()))
    return connection.execute(query).all()


def _past_results(connection: sa.Connection, rows: Sequence[Any]) -> list[PastResult]:
    kernels = kernels_in_runs(connection, [row.session_id for row in rows])
    texts = {}
    message_ids = {row.message_id for row in rows if row.message_id is not None}
    if message_ids:
        query = sa.select(message).where(message.c.id.in_(message_ids))
        texts = {row.id: row.text for row in connection.execute(query)}
    return [
        PastResult(
            where=kernels[row.session_id],
            at=row.at,
            outcome=OUTCOMES[row.outcome],
            seconds=row.ms / 1000,
            attempts=_attempts(row),
            message=texts.get(row.message_id, ""),
        )
        for row in rows
    ]


def _attempts(row: Any) -> tuple[Outcome, ...]:
    return tuple(OUTCOMES[letter] for letter in row.attempts or row.outcome)


def _durations(rows: Sequence[Any]) -> list[float]:
    """Return the durations of passes under the same conditions as the newest, oldest first."""
    passed = [row for row in rows if OUTCOMES[row.outcome] is Outcome.PASS]
    like = [row for row in passed if (row.accel, row.config) == (passed[0].accel, passed[0].config)]
    return [row.ms / 1000 for row in reversed(like)]


def kernels_in_runs(
    connection: sa.Connection, session_ids: Iterable[int]
) -> dict[int, KernelInRun]:
    """Return each session's kernel in the run that tested it, not in runs that reused it."""
    kernels: dict[int, KernelInRun] = {}
    for chunk in chunks(sorted(set(session_ids))):
        query = (
            sa.select(
                side.c.session_id.label("session"),
                run.c.uid.label("run"),
                run.c.began,
                run.c.verb,
                side.c.name.label("side"),
                side.c.patch,
                sa.func.coalesce(series.c.title, "").label("series"),
                sa.func.coalesce(series.c.version, 0).label("version"),
                sa.func.coalesce(source.c.name, "").label("source"),
                sa.func.coalesce(kernel.c.commit, "").label("commit"),
                sa.func.coalesce(kernel.c.release, "").label("release"),
                sa.func.coalesce(kernel.c.key, "").label("kernel"),
                session.c.accel,
                run.c.folder,
            )
            .select_from(
                side.join(run, run.c.id == side.c.run_id)
                .join(session, session.c.id == side.c.session_id)
                .outerjoin(kernel, kernel.c.id == side.c.kernel_id)
                .outerjoin(series, series.c.id == run.c.series_id)
                .outerjoin(source, source.c.id == run.c.source_id)
            )
            .where(side.c.session_id.in_(chunk))
            .order_by(side.c.cached, run.c.began, side.c.id)
        )
        for row in connection.execute(query).mappings():
            fields = {name: value for name, value in row.items() if name != "session"}
            kernels.setdefault(row["session"], KernelInRun(**fields))
    return kernels


def of_splat(connection: sa.Connection, fingerprint: str, last: int = 20) -> SplatHistory | None:
    """Return a splat's history by its fingerprint, or None if it was never seen."""
    row = connection.execute(sa.select(splat).where(splat.c.fingerprint == fingerprint)).first()
    if row is None:
        return None
    query = (
        sa.select(sighting.c.session_id, sighting.c.times, test.c.name)
        .select_from(
            sighting.join(session, session.c.id == sighting.c.session_id).outerjoin(
                test, test.c.id == sighting.c.test_id
            )
        )
        .where(sighting.c.splat_id == row.id)
        .order_by(session.c.at.desc(), session.c.id.desc())
    )
    sightings = connection.execute(query).all()
    session_ids = list(dict.fromkeys(seen.session_id for seen in sightings))
    tests: Counter[str] = Counter()
    for seen in sightings:
        tests[seen.name or ""] += seen.times
    kernels = kernels_in_runs(connection, [*session_ids[:last], *session_ids[-1:]])
    newest = tuple(kernels[n] for n in session_ids[:last] if n in kernels)
    runs = sa.select(sa.func.count(side.c.run_id.distinct())).where(
        side.c.session_id.in_(sa.select(sighting.c.session_id).where(sighting.c.splat_id == row.id))
    )
    return SplatHistory(
        fingerprint=row.fingerprint,
        title=row.title,
        kind=row.kind,
        function=row.function,
        times=tests.total(),
        runs=connection.execute(runs).scalar() or 0,
        first=kernels.get(session_ids[-1]) if session_ids else None,
        last=newest[0] if newest else None,
        seen=newest,
        tests=tuple(tests.most_common()),
    )


def find(connection: sa.Connection, text: str, kind: str = "") -> tuple[Match, ...]:
    """Return what matches ``text``, last seen first; only exact matches if there are any."""
    text = clean(text)
    functions = {"test": _match_tests, "series": _match_series, "splat": _match_splats}
    wanted: list[Callable[[sa.Connection, str, bool], list[Match]]]
    wanted = [functions[kind]] if kind else list(functions.values())
    for exact in (True, False):
        matches = [match for matching in wanted for match in matching(connection, text, exact)]
        if matches:
            return tuple(sorted(matches, key=lambda match: -match.last))
    return ()


def _contains(column: sa.Column[str], text: str) -> sa.ColumnElement[bool]:
    return column.icontains(text, autoescape=True)


def _match_tests(connection: sa.Connection, text: str, exact: bool) -> list[Match]:
    matches = test.c.name == short(text) if exact else _contains(test.c.name, text)
    bad = sa.func.sum(sa.case((result.c.outcome.in_(BAD), 1), else_=0))
    query = (
        sa.select(test.c.name, sa.func.count(), bad, sa.func.max(session.c.at))
        .select_from(
            test.join(result, result.c.test_id == test.c.id).join(
                session, session.c.id == result.c.session_id
            )
        )
        .where(test.c.id.in_(sa.select(test.c.id).where(matches).limit(_MOST)))
        .group_by(test.c.id, test.c.name)
    )
    return [
        Match("test", name, f"bad in {failed} of {quantity(runs, 'run')}", last)
        for name, runs, failed, last in connection.execute(query)
    ]


def _match_series(connection: sa.Connection, text: str, exact: bool) -> list[Match]:
    columns = (series.c.lineage, series.c.name, series.c.title)
    if exact:
        matches = sa.or_(*(column == text for column in columns), series.c.digest == text)
    else:
        digest = series.c.digest.startswith(text, autoescape=True)
        matches = sa.or_(*(_contains(column, text) for column in columns), digest)
    query = (
        sa.select(
            series.c.lineage,
            sa.func.max(series.c.title),
            sa.func.count(series.c.id.distinct()),
            sa.func.count(run.c.id),
            sa.func.max(run.c.began),
        )
        .select_from(series.join(run, run.c.series_id == series.c.id))
        .where(series.c.lineage.in_(sa.select(series.c.lineage).where(matches)))
        .group_by(series.c.lineage)
        .limit(_MOST)
    )
    return [
        Match(
            "series",
            lineage,
            f"{title or lineage}: {quantity(revisions, 'revision')}, {quantity(runs, 'run')}",
            last,
        )
        for lineage, title, revisions, runs, last in connection.execute(query)
    ]


def _match_splats(connection: sa.Connection, text: str, exact: bool) -> list[Match]:
    if exact:
        matches = sa.or_(splat.c.fingerprint == text, splat.c.title == text)
    else:
        fingerprint = splat.c.fingerprint.startswith(text, autoescape=True)
        matches = sa.or_(_contains(splat.c.title, text), fingerprint)
    query = (
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
        .where(matches)
        .group_by(splat.c.id, splat.c.fingerprint, splat.c.title)
        .limit(_MOST)
    )
    return [
        Match("splat", name, f"{title}: {quantity(times, 'time')}", last)
        for name, title, times, last in connection.execute(query)
    ]
