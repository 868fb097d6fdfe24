# SPDX-License-Identifier: GPL-2.0-only
"""The history of a splat."""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa

from harness.history import places
from harness.history.tables import session, side, sighting, splat, test
from harness.history.values import SplatHistory


def of_splat(connection: sa.Connection, fingerprint: str, last: int = 20) -> SplatHistory | None:
    """Give a splat's history by its fingerprint; None when it was never seen."""
    row = connection.execute(sa.select(splat).where(splat.c.fingerprint == fingerprint)).first()
    if row is None:
        return None
    question = (
        sa.select(sighting.c.session_id, sighting.c.times, test.c.name, session.c.at)
        .select_from(
            sighting.join(session, session.c.id == sighting.c.session_id).outerjoin(
                test, test.c.id == sighting.c.test_id
            )
        )
        .where(sighting.c.splat_id == row.id)
        .order_by(session.c.at.desc(), session.c.id.desc())
    )
    sights = connection.execute(question).all()
    sessions = list(dict.fromkeys(one.session_id for one in sights))
    tests: Counter[str] = Counter()
    for one in sights:
        tests[one.name or ""] += one.times
    shown = [*sessions[:last], *sessions[-1:]]
    where = places.places(connection, shown)
    seen = tuple(where[one] for one in sessions[:last] if one in where)
    ran = sa.select(sa.func.count(side.c.run_id.distinct())).where(
        side.c.session_id.in_(sa.select(sighting.c.session_id).where(sighting.c.splat_id == row.id))
    )
    return SplatHistory(
        fingerprint=row.fingerprint,
        title=row.title,
        kind=row.kind,
        function=row.function,
        times=sum(one.times for one in sights),
        runs=connection.execute(ran).scalar() or 0,
        first=where.get(sessions[-1]) if sessions else None,
        last=seen[0] if seen else None,
        seen=seen,
        tests=tuple(tests.most_common()),
    )
