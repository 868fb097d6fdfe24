# SPDX-License-Identifier: GPL-2.0-only
"""The history of a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from harness.history import flakes, places
from harness.history.tables import OUTCOMES, kernel, message, result, session, side, test
from harness.history.values import Seen, TestHistory
from harness.history.write import short
from harness.model import Outcome

_OK = (Outcome.PASS, Outcome.XFAIL)


def of_test(
    connection: sa.Connection, name: str, last: int = 20, on: str = ""
) -> TestHistory | None:
    """Give a test's history, None when it was never run; ``on``: base or patched kernels only."""
    number = connection.execute(sa.select(test.c.id).where(test.c.name == short(name))).scalar()
    if number is None:
        return None
    rows = _rows(connection, number, on)
    if not rows:
        return None
    outcomes = [OUTCOMES[row.outcome] for row in rows]
    spots = {
        "first_failed": _spot(outcomes, _failed, oldest=True),
        "last_failed": _spot(outcomes, _failed),
        "last_passed": _spot(outcomes, _OK.__contains__),
    }
    shown = range(min(last, len(rows)))
    wanted = sorted({*shown, len(rows) - 1, *(at for at in spots.values() if at is not None)})
    seen = dict(zip(wanted, _seen(connection, [rows[one] for one in wanted]), strict=True))
    return TestHistory(
        id=name,
        runs=len(rows),
        counts=dict(Counter(outcomes)),
        first=seen[len(rows) - 1],
        seen=tuple(seen[one] for one in shown),
        flakes=flakes.flakes((str(row.kernel_id), _attempts(row)) for row in rows),
        trend=flakes.trend(_times(rows)),
        **{word: None if at is None else seen[at] for word, at in spots.items()},
    )


def _spot(
    outcomes: Sequence[Outcome], fits: Callable[[Outcome], bool], *, oldest: bool = False
) -> int | None:
    """Find the newest (or the oldest) outcome that fits; the newest stands first."""
    order = range(len(outcomes))
    return next((at for at in (reversed(order) if oldest else order) if fits(outcomes[at])), None)


def _rows(connection: sa.Connection, number: int, on: str) -> Sequence[Any]:
    """Give a test's results, the newest first; they lie together, so it is quick."""
    columns = (
        *(result.c.outcome, result.c.ms, result.c.attempts, result.c.message_id),
        *(session.c.id.label("session_id"), session.c.at, session.c.accel, session.c.kernel_id),
        kernel.c.config,
    )
    question = (
        sa.select(*columns)
        .select_from(
            result.join(session, session.c.id == result.c.session_id).outerjoin(
                kernel, kernel.c.id == session.c.kernel_id
            )
        )
        .where(result.c.test_id == number)
        .order_by(session.c.at.desc(), session.c.id.desc())
    )
    # A session that no run has any more is nobody's.
    mine = side.c.session_id == session.c.id
    question = question.where(sa.exists().where(mine, side.c.name == on if on else sa.true()))
    return connection.execute(question).all()


def _seen(connection: sa.Connection, rows: Sequence[Any]) -> list[Seen]:
    where = places.places(connection, [row.session_id for row in rows])
    texts = {}
    wanted = {row.message_id for row in rows if row.message_id is not None}
    if wanted:
        question = sa.select(message).where(message.c.id.in_(wanted))
        texts = {row.id: row.text for row in connection.execute(question)}
    return [
        Seen(
            where=where[row.session_id],
            at=row.at,
            outcome=OUTCOMES[row.outcome],
            seconds=row.ms / 1000,
            attempts=_attempts(row),
            message=texts.get(row.message_id, ""),
        )
        for row in rows
        if row.session_id in where
    ]


def _failed(one: Outcome) -> bool:
    return one.bad


def _attempts(row: Any) -> tuple[Outcome, ...]:
    return tuple(OUTCOMES[letter] for letter in row.attempts or row.outcome)


def _times(rows: Sequence[Any]) -> list[float]:
    """Give the times of passes, oldest first, under the newest one's conditions."""
    passed = [row for row in rows if OUTCOMES[row.outcome] is Outcome.PASS]
    like = [row for row in passed if (row.accel, row.config) == (passed[0].accel, passed[0].config)]
    return [row.ms / 1000 for row in reversed(like)]
