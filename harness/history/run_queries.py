# SPDX-License-Identifier: GPL-2.0-only
"""The list of runs, the kernels of a run, and the runs of all revisions of a series."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from harness import paths
from harness.history import waiting
from harness.history.histories import RunRow, SeriesHistory, SideRow, TestedRevision
from harness.history.run_facts import Ended, host_facts
from harness.history.schema import (
    BAD,
    OUTCOMES,
    guest,
    host,
    kernel,
    message,
    result,
    run,
    series,
    session,
    side,
    source,
    test,
)
from harness.history.write import chunks, clean
from harness.model import Outcome, Side, Verdict

# A failure on the base is not the series' fault.
_PATCHED = side.c.name != Side.BASE.value
# Identical to the condition of ix_result_bad, so that the database uses that index.
_RESULT_IS_BAD = result.c.outcome.in_([sa.literal(letter, literal_execute=True) for letter in BAD])


def runs(
    connection: sa.Connection, where: sa.ColumnElement[bool] | None = None, last: int | None = None
) -> tuple[RunRow, ...]:
    """Return runs, newest first."""
    query = (
        sa.select(
            *(run.c.id.label("number"), run.c.uid.label("id"), run.c.verb, run.c.began),
            *(run.c.seconds, run.c.ended, run.c.verdict, run.c.code, run.c.error, run.c.folder),
            *(run.c.command, run.c.accel, run.c.pinned, host.c.name.label("host"), host.c.home),
            sa.func.coalesce(series.c.title, series.c.name, "").label("series"),
            sa.func.coalesce(series.c.version, 0).label("version"),
            sa.func.coalesce(source.c.name, "").label("source"),
        )
        .select_from(
            run.join(host, host.c.id == run.c.host_id)
            .outerjoin(series, series.c.id == run.c.series_id)
            .outerjoin(source, source.c.id == run.c.source_id)
        )
        .where(sa.true() if where is None else where)
        .order_by(run.c.began.desc(), run.c.id.desc())
        .limit(last)
    )
    rows = connection.execute(query).mappings().all()
    judged = _judged_kernels(connection, [row["number"] for row in rows])
    this_home = host_facts().home
    running = {facts.id for facts in waiting.running()}
    run_rows = []
    for row in rows:
        fields: dict[str, Any] = {**row}
        number, home = fields.pop("number"), fields.pop("home")
        # We know whether a run is still running only if it is on this machine.
        if row["ended"] == Ended.RUNNING and home == this_home and row["id"] not in running:
            fields["ended"] = Ended.KILLED.value
        counts, release = judged.get(number, (None, None))
        exists = bool(row["folder"]) and Path(row["folder"]).is_dir()
        run_rows.append(
            RunRow(**fields, release=release or "", counts=_counts(counts), there=exists)
        )
    return tuple(run_rows)


def _judged_kernels(
    connection: sa.Connection, run_ids: list[int]
) -> dict[int, tuple[Mapping[str, int] | None, str | None]]:
    """Return (counts, release) of each run's last kernel, which its verdict is about."""
    judged: dict[int, tuple[Mapping[str, int] | None, str | None]] = {}
    for chunk in chunks(run_ids):
        query = (
            sa.select(side.c.run_id, session.c.counts, kernel.c.release)
            .select_from(
                side.outerjoin(session, session.c.id == side.c.session_id).outerjoin(
                    kernel, kernel.c.id == side.c.kernel_id
                )
            )
            .where(side.c.run_id.in_(chunk))
            .order_by(side.c.id)
        )
        judged |= {row.run_id: (row.counts, row.release) for row in connection.execute(query)}
    return judged


def _counts(counts: Mapping[str, int] | None) -> dict[str, int]:
    """Return counts in the order of Outcome."""
    return {o.value: counts[o.value] for o in Outcome if counts and o.value in counts}


def matching(text: str = "", verb: str = "", *, bad: bool = False) -> sa.ColumnElement[bool]:
    """Return a condition for ``runs``: text in the series' title, the verb, only bad runs."""
    conditions: list[sa.ColumnElement[bool]] = [sa.true()]
    if text := clean(text):
        columns = (series.c.title, series.c.name, series.c.lineage)
        conditions.append(sa.or_(*(column.icontains(text, autoescape=True) for column in columns)))
    if verb:
        conditions.append(run.c.verb == clean(verb))
    if bad:
        conditions.append(run.c.verdict == Verdict.BAD.value)
    return sa.and_(*conditions)


def named(connection: sa.Connection, word: str) -> tuple[RunRow, ...]:
    """Return the runs that ``word`` refers to: "last", a folder, an id or its first letters."""
    if word == "last":
        return runs(connection, last=1)
    path = paths.expanded(word)
    if "/" in word or path.is_dir():
        return runs(connection, run.c.folder == clean(str(path.absolute())), 1)
    word = clean(word)
    exact = runs(connection, run.c.uid == word)
    # People also copy the name of a run's folder.
    begins = run.c.uid.startswith(word, autoescape=True)
    return exact or runs(
        connection, sa.or_(begins, run.c.folder.endswith(f"/{word}", autoescape=True)), 20
    )


def sides(connection: sa.Connection, uid: str) -> tuple[SideRow, ...]:
    """Return the kernels of a run, with the failures on each."""
    query = (
        sa.select(
            *(side.c.name, side.c.patch, side.c.seconds, side.c.reused, side.c.cached),
            *(side.c.warnings, side.c.error, side.c.session_id, session.c.counts),
            sa.func.coalesce(kernel.c.release, "").label("release"),
            sa.func.coalesce(kernel.c.key, "").label("kernel"),
            sa.func.coalesce(kernel.c.commit, "").label("commit"),
            sa.func.coalesce(kernel.c.toolchain, "").label("toolchain"),
        )
        .select_from(
            side.join(run, run.c.id == side.c.run_id)
            .outerjoin(session, session.c.id == side.c.session_id)
            .outerjoin(kernel, kernel.c.id == side.c.kernel_id)
        )
        .where(run.c.uid == uid)
        .order_by(side.c.id)
    )
    side_rows = []
    for row in connection.execute(query).mappings().all():
        fields: dict[str, Any] = {**row}
        session_id = fields.pop("session_id")
        fields["counts"] = _counts(row["counts"])
        boots = sa.select(guest.c.boot).where(guest.c.session_id == session_id)
        side_rows.append(
            SideRow(
                **fields,
                boots=tuple(
                    boot
                    for boot in connection.execute(boots.order_by(guest.c.id)).scalars()
                    if boot is not None
                ),
                failures=tuple(_failures(connection, session_id)),
            )
        )
    return tuple(side_rows)


def _failures(connection: sa.Connection, session_id: int | None) -> list[tuple[str, Outcome, str]]:
    """Return (test, outcome, message) of the bad tests of a session."""
    query = (
        sa.select(test.c.name, result.c.outcome, message.c.text)
        .select_from(
            result.join(test, test.c.id == result.c.test_id).outerjoin(
                message, message.c.id == result.c.message_id
            )
        )
        .where(result.c.session_id == session_id, _RESULT_IS_BAD)
        .order_by(result.c.test_id)
    )
    rows = connection.execute(query)
    return [(name, OUTCOMES[letter], text or "") for name, letter, text in rows]


def of_series(connection: sa.Connection, lineage: str) -> SeriesHistory | None:
    """Return the history of a series by its lineage, or None if it was never tested."""
    query = sa.select(series).where(series.c.lineage == lineage)
    rows = connection.execute(query.order_by(series.c.version, series.c.id)).all()
    tested = [(row, runs(connection, run.c.series_id == row.id)) for row in rows]
    tested = [(row, its_runs) for row, its_runs in tested if its_runs]
    if not tested:
        return None
    tested.sort(key=lambda pair: (pair[0].version, pair[1][-1].began))
    revisions = []
    for revision, its_runs in tested:
        last = next((row for row in its_runs if row.verdict != Verdict.NONE), its_runs[0])
        first = its_runs[-1].began
        revisions.append(
            TestedRevision(
                revision.version, revision.digest, revision.name, len(its_runs), first, last
            )
        )
    latest = tested[-1][0]
    return SeriesHistory(
        title=latest.title or latest.name,
        lineage=lineage,
        link=latest.link,
        revisions=tuple(revisions),
        failures=_failures_by_revision(connection, [row.id for row, _ in tested]),
    )


def _failures_by_revision(
    connection: sa.Connection, series_ids: list[int]
) -> tuple[tuple[str, tuple[Outcome | None, ...]], ...]:
    """Return the tests that failed with any revision, each with its last outcome per revision.

    Sessions are queried first, then their results: both queries use an index.
    """
    query = (
        sa.select(session.c.id, run.c.series_id, session.c.at)
        .select_from(
            side.join(run, run.c.id == side.c.run_id).join(
                session, session.c.id == side.c.session_id
            )
        )
        .where(run.c.series_id.in_(series_ids), _PATCHED)
    )
    sessions = {row.id: (row.series_id, row.at) for row in connection.execute(query)}
    failed: set[int] = set()
    for chunk in chunks(list(sessions)):
        bad = sa.select(result.c.test_id).where(result.c.session_id.in_(chunk), _RESULT_IS_BAD)
        failed.update(connection.execute(bad).scalars())
    outcomes = _last_outcomes(connection, sorted(failed), sessions)
    failures = []
    for tests in chunks(sorted(failed)):
        for row in connection.execute(sa.select(test).where(test.c.id.in_(tests))):
            by_revision = outcomes[row.id]
            failures.append((row.name, tuple(by_revision.get(n) for n in series_ids)))
    return tuple(sorted(failures, key=lambda failure: failure[0]))


def _last_outcomes(
    connection: sa.Connection, test_ids: list[int], sessions: Mapping[int, tuple[int, float]]
) -> dict[int, dict[int, Outcome]]:
    """Return the last outcome of each test by revision: {test: {revision: outcome}}."""
    newest: dict[int, dict[int, tuple[float, str]]] = {}
    for tests in chunks(test_ids):
        for session_ids in chunks(list(sessions)):
            query = sa.select(result.c.test_id, result.c.session_id, result.c.outcome).where(
                result.c.test_id.in_(tests), result.c.session_id.in_(session_ids)
            )
            for test_id, session_id, letter in connection.execute(query):
                revision, at = sessions[session_id]
                of_test = newest.setdefault(test_id, {})
                of_test[revision] = max(of_test.get(revision, (0.0, "")), (at, letter))
    return {
        test_id: {revision: OUTCOMES[letter] for revision, (_, letter) in of_test.items()}
        for test_id, of_test in newest.items()
    }


def folders(connection: sa.Connection, lineage: str) -> tuple[str, ...]:
    """Return the folders of the runs of any revision of a series, newest first."""
    query = (
        sa.select(run.c.folder)
        .select_from(run.join(series, series.c.id == run.c.series_id))
        .where(series.c.lineage == lineage, run.c.folder != "")
        .order_by(run.c.began.desc())
    )
    return tuple(dict.fromkeys(connection.execute(query).scalars()))


def last_failures(connection: sa.Connection, lineage: str, version: int) -> tuple[str, ...]:
    """Return the tests that were bad with the last tested revision up to ``version``."""
    query = (
        sa.select(run.c.id)
        .select_from(
            side.join(run, run.c.id == side.c.run_id).join(series, series.c.id == run.c.series_id)
        )
        .where(series.c.lineage == lineage, series.c.version <= version)
        .where(_PATCHED, side.c.session_id.is_not(None))
        .order_by(run.c.began.desc())
        .limit(1)
    )
    newest = connection.execute(query).scalar()
    if newest is None:
        return ()
    query = sa.select(side.c.session_id).where(side.c.run_id == newest, _PATCHED)
    session_ids = connection.execute(query.order_by(side.c.id.desc())).scalars().all()
    names = (name for n in session_ids if n for name, _, _ in _failures(connection, n))
    return tuple(dict.fromkeys(names))
