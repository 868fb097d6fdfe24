# SPDX-License-Identifier: GPL-2.0-only
"""Where things were seen: the run, side and revision that a session belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa

from harness.history.tables import kernel, run, series, session, side, source
from harness.history.values import Where

ONCE = 400  # numbers in one question


def places(connection: sa.Connection, sessions: Iterable[int]) -> dict[int, Where]:
    """Give for each session the run that made it: the first, of those that share a base's."""
    found: dict[int, Where] = {}
    for some in parts(sorted(set(sessions))):
        question = (
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
            .where(side.c.session_id.in_(some))
            .order_by(side.c.cached, run.c.began, side.c.id)
        )
        for row in connection.execute(question).mappings():
            words = {name: value for name, value in row.items() if name != "session"}
            found.setdefault(row["session"], Where(**words))
    return found


def parts(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """Give numbers in parts that every database takes in one question."""
    for start in range(0, len(numbers), ONCE):
        yield numbers[start : start + ONCE]
