# SPDX-License-Identifier: GPL-2.0-only
"""The list of runs, and one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from harness import paths
from harness.history import identity, waiting
from harness.history.facts import Ended
from harness.history.places import parts
from harness.history.tables import (
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
from harness.history.values import RunRow, SideRow
from harness.history.write import clean
from harness.model import Outcome, Verdict

_COLUMNS = (
    *(run.c.id, run.c.uid, run.c.verb, run.c.began, run.c.seconds, run.c.ended, run.c.verdict),
    *(run.c.code, run.c.error, run.c.folder, run.c.command, run.c.accel, run.c.pinned),
    *(host.c.name.label("host"), host.c.home),
    sa.func.coalesce(series.c.title, series.c.name, "").label("series"),
    sa.func.coalesce(series.c.version, 0).label("version"),
    sa.func.coalesce(source.c.name, "").label("source"),
)
_FROM = (
    run.join(host, host.c.id == run.c.host_id)
    .outerjoin(series, series.c.id == run.c.series_id)
    .outerjoin(source, source.c.id == run.c.source_id)
)


def runs(
    connection: sa.Connection, where: sa.ColumnElement[bool] | None = None, last: int | None = None
) -> tuple[RunRow, ...]:
    """Give runs, the newest first."""
    question = sa.select(*_COLUMNS).select_from(_FROM)
    if where is not None:
        question = question.where(where)
    question = question.order_by(run.c.began.desc(), run.c.id.desc()).limit(last)
    found = connection.execute(question).mappings().all()
    judged = _judged(connection, [row["id"] for row in found])
    alive = _alive()
    return tuple(_row(row, judged.get(row["id"]), alive) for row in found)


def fitting(words: str = "", verb: str = "", *, bad: bool = False) -> sa.ColumnElement[bool]:
    """Say which runs: of a series with these words in its title, of a verb, bad ones."""
    fits: list[sa.ColumnElement[bool]] = [sa.true()]
    if words := clean(words):
        own = (series.c.title, series.c.name, series.c.lineage)
        fits.append(sa.or_(*(column.icontains(words, autoescape=True) for column in own)))
    if verb:
        fits.append(run.c.verb == clean(verb))
    if bad:
        fits.append(run.c.verdict == Verdict.BAD.value)
    return sa.and_(*fits)


def named(connection: sa.Connection, word: str) -> tuple[RunRow, ...]:
    """Give the runs that a word means: "last", a folder, an id or the beginning of one."""
    if word == "last":
        return runs(connection, last=1)
    path = paths.expanded(word)
    if "/" in word or path.is_dir():
        return runs(connection, run.c.folder == clean(str(path.absolute())), 1)
    word = clean(word)
    exact = runs(connection, run.c.uid == word)
    # Folders of runs have names that people see and copy too.
    return exact or runs(
        connection,
        sa.or_(
            run.c.uid.startswith(word, autoescape=True),
            run.c.folder.endswith(f"/{word}", autoescape=True),
        ),
        20,
    )


def sides(connection: sa.Connection, uid: str) -> tuple[SideRow, ...]:
    """Give the kernels of a run with what failed on each."""
    question = (
        sa.select(
            side, session.c.counts,
            *(kernel.c.release, kernel.c.key, kernel.c.commit, kernel.c.toolchain),
        )
        .select_from(
            side.join(run, run.c.id == side.c.run_id)
            .outerjoin(session, session.c.id == side.c.session_id)
            .outerjoin(kernel, kernel.c.id == side.c.kernel_id)
        )
        .where(run.c.uid == uid)
        .order_by(side.c.id)
    )  # fmt: skip
    return tuple(_side(connection, row) for row in connection.execute(question).mappings().all())


def _side(connection: sa.Connection, row: Mapping[Any, Any]) -> SideRow:
    number = row["session_id"]
    question = sa.select(guest.c.boot).where(guest.c.session_id == number).order_by(guest.c.id)
    boots = connection.execute(question).scalars()
    return SideRow(
        name=row["name"],
        patch=row["patch"],
        release=row["release"] or "",
        kernel=row["key"] or "",
        commit=row["commit"] or "",
        toolchain=row["toolchain"] or "",
        seconds=row["seconds"],
        reused=row["reused"],
        cached=row["cached"],
        warnings=row["warnings"],
        error=row["error"],
        counts=_counts(row["counts"]),
        boots=tuple(boot for boot in boots if boot is not None),
        failures=tuple(
            (name, OUTCOMES[word], text or "") for name, word, text in failures(connection, number)
        ),
    )


def failures(connection: sa.Connection, number: int | None) -> list[tuple[str, str, str | None]]:
    """Give (test, outcome's letter, message) of what was bad in a session."""
    question = (
        sa.select(test.c.name, result.c.outcome, message.c.text)
        .select_from(
            result.join(test, test.c.id == result.c.test_id).outerjoin(
                message, message.c.id == result.c.message_id
            )
        )
        .where(result.c.session_id == number, bad())
        .order_by(result.c.test_id)
    )
    return [(name, word, text) for name, word, text in connection.execute(question)]


def bad() -> sa.ColumnElement[bool]:
    """Say that a result is bad, in the words of the index of such."""
    return result.c.outcome.in_([sa.literal(letter, literal_execute=True) for letter in BAD])


def _judged(connection: sa.Connection, numbers: list[int]) -> dict[int, Mapping[Any, Any]]:
    """Give for each run the kernel that its verdict is about: the last one."""
    found: dict[int, Mapping[Any, Any]] = {}
    for some in parts(numbers):
        question = (
            sa.select(side.c.run_id, session.c.counts, kernel.c.release)
            .select_from(
                side.outerjoin(session, session.c.id == side.c.session_id).outerjoin(
                    kernel, kernel.c.id == side.c.kernel_id
                )
            )
            .where(side.c.run_id.in_(some))
            .order_by(side.c.id)
        )
        found |= {row["run_id"]: row for row in connection.execute(question).mappings()}
    return found


def _counts(known: Mapping[str, int] | None) -> dict[str, int]:
    """Give outcomes and their numbers in the order that Outcome has, as everywhere."""
    return {one.value: known[one.value] for one in Outcome if known and one.value in known}


def _alive() -> Callable[[str, str], bool]:
    """Give what tells whether a run is under way: of other machines we know what they said."""
    home = identity.host().home
    here: Iterable[str] = {one.id for one in waiting.running()}
    return lambda uid, its: its != home or uid in here


def _row(
    row: Mapping[Any, Any],
    judged: Mapping[Any, Any] | None,
    alive: Callable[[str, str], bool],
) -> RunRow:
    ended = row["ended"]
    if ended == Ended.RUNNING and not alive(row["uid"], row["home"]):
        ended = Ended.KILLED.value
    names = "verb began seconds verdict code error series version source folder host command"
    names += " accel pinned"
    return RunRow(
        id=row["uid"],
        ended=ended,
        release=(judged and judged["release"]) or "",
        counts=_counts(judged and judged["counts"]),
        there=bool(row["folder"]) and Path(row["folder"]).is_dir(),
        **{name: row[name] for name in names.split()},
    )
