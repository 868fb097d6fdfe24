# SPDX-License-Identifier: GPL-2.0-only
"""Write a run into the database, replacing what was stored about that run."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from harness.history import schema
from harness.history.run_facts import Ended, RunFacts, SessionFacts, SideFacts, SplatFacts
from harness.model import Outcome

_CHUNK = 400  # values in one query: some databases accept no more
Value = TypeVar("Value")
# Surrogates that do not stand for a byte (those that do are \udc80 to \udcff).
_SURROGATES = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def write(connection: sa.Connection, facts: RunFacts) -> None:
    """Write a run.  A run that has ended is not turned back into a running one."""
    stored = connection.execute(
        sa.select(schema.run.c.id, schema.run.c.ended).where(schema.run.c.uid == facts.id)
    ).first()
    if stored and stored.ended != Ended.RUNNING and facts.ended is Ended.RUNNING:
        return
    row = _run_row(connection, facts)
    if stored:
        run_id = stored.id
        connection.execute(schema.run.update().where(schema.run.c.id == run_id).values(row))
        connection.execute(schema.side.delete().where(schema.side.c.run_id == run_id))
    else:
        run_id = _insert(connection, schema.run, row)
    for side in facts.sides:
        _write_side(connection, run_id, side)


def chunks(values: Sequence[Value]) -> Iterator[Sequence[Value]]:
    """Yield values in chunks that every database accepts in one query."""
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


def clean(text: str) -> str:
    """Return text that every database accepts: without NUL and without lone surrogates."""
    valid = _SURROGATES.sub("\ufffd", text.replace("\0", ""))
    return valid.encode(errors="surrogateescape").decode(errors="replace")


def short(name: str) -> str:
    """Shorten a name so that every database can index it; it then ends with a digest."""
    name = clean(name)
    if len(name) <= schema.LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name[: schema.LONGEST - 16]}... {digest}"


def _run_row(connection: sa.Connection, facts: RunFacts) -> dict[str, Any]:
    host = dataclasses.asdict(facts.host)
    host_id = _id_of(connection, schema.host, {"home": host.pop("home")}, host, update=True)
    series_id = source_id = None
    if facts.series:
        series = facts.series
        key = {
            "digest": short(series.digest),
            "lineage": short(series.lineage),
            "version": series.version,
        }
        texts = {name: clean(getattr(series, name)) for name in ("name", "title", "link")}
        series_id = _id_of(connection, schema.series, key, texts, update=True)
    if facts.source:
        key = {"commit": facts.source.commit, "name": short(facts.source.name)}
        source_id = _id_of(connection, schema.source, key, {"origin": clean(facts.source.origin)})
    return {
        "uid": facts.id,
        "verb": facts.verb,
        "host_id": host_id,
        "series_id": series_id,
        "source_id": source_id,
        "began": facts.began,
        "seconds": facts.seconds,
        "ended": facts.ended.value,
        "verdict": facts.verdict.value,
        "code": facts.code,
        "error": clean(facts.error),
        "folder": clean(str(facts.folder)) if facts.folder else "",
        "command": clean(facts.command),
        "accel": facts.accel,
        "harness": facts.harness,
    }


def _write_side(connection: sa.Connection, run_id: int, side: SideFacts) -> None:
    kernel_id = None
    if side.kernel is not None:
        texts = {name: clean(value) for name, value in dataclasses.asdict(side.kernel).items()}
        key = {"key": short(texts.pop("key"))}
        kernel_id = _id_of(connection, schema.kernel, key, texts)
    row = {
        "run_id": run_id,
        "name": short(side.name),
        "patch": side.patch,
        "kernel_id": kernel_id,
        "session_id": _write_session(connection, side.session, kernel_id) if side.session else None,
        "seconds": side.seconds,
        "reused": side.reused,
        "cached": side.cached,
        "warnings": side.warnings,
        "error": clean(side.error),
    }
    connection.execute(schema.side.insert(), [row])


def _write_session(connection: sa.Connection, session: SessionFacts, kernel_id: int | None) -> int:
    """Write a session, unless it is already stored: many runs share the session of their base."""
    key = {"digest": session.digest}
    known = _find(connection, schema.session, key)
    if known is not None:
        return known
    counts = Counter(test.outcome.value for test in session.tests)
    row = {**key, "kernel_id": kernel_id, "at": session.at, "accel": session.accel}
    session_id = _insert(connection, schema.session, {**row, "counts": dict(counts)})
    guests = [
        {"session_id": session_id, "name": clean(g.name), "ended": g.ended, "boot": g.boot}
        for g in session.guests
    ]
    _insert_all(connection, schema.guest, guests)
    tests = {test.id: test for test in session.tests if test.outcome is not Outcome.NOTRUN}
    test_ids = _ids_of_names(connection, schema.test.c.name, tests)
    message_ids = _ids_of_names(
        connection, schema.message.c.text, (test.message for test in tests.values())
    )
    results = []
    for test in tests.values():
        attempts = "".join(schema.LETTERS[outcome] for outcome in test.attempts)
        results.append(
            {
                "test_id": test_ids[short(test.id)],
                "session_id": session_id,
                "outcome": schema.LETTERS[test.outcome],
                "ms": round(test.seconds * 1000),
                "attempts": attempts[:100] if len(attempts) > 1 else None,
                "message_id": message_ids.get(short(test.message)),
            }
        )
    _insert_all(connection, schema.result, sorted(results, key=lambda row: row["test_id"]))
    _write_splats(connection, session, session_id, test_ids)
    return session_id


def _write_splats(
    connection: sa.Connection, session: SessionFacts, session_id: int, test_ids: Mapping[str, int]
) -> None:
    seen: Counter[tuple[int, int | None]] = Counter()
    splat_ids: dict[str, int] = {}
    pairs: list[tuple[int | None, SplatFacts]] = [(None, splat) for splat in session.boot_splats]
    pairs += [
        (test_ids.get(short(test.id)), splat) for test in session.tests for splat in test.splats
    ]
    for test_id, splat in pairs:
        if splat.fingerprint not in splat_ids:
            splat_ids[splat.fingerprint] = _id_of_splat(connection, splat, session.at)
        seen[splat_ids[splat.fingerprint], test_id] += 1
    rows = [
        {"splat_id": splat_id, "session_id": session_id, "test_id": test_id, "times": times}
        for (splat_id, test_id), times in seen.items()
    ]
    _insert_all(connection, schema.sighting, rows)


def _id_of_splat(connection: sa.Connection, splat: SplatFacts, at: float) -> int:
    """Return the id of a splat's row, with ``first`` set to the earliest time it was seen."""
    texts = {"title": clean(splat.title), "kind": splat.kind, "function": clean(splat.function)}
    key = {"fingerprint": short(splat.fingerprint)}
    splat_id = _id_of(connection, schema.splat, key, {**texts, "first": at})
    later = sa.and_(schema.splat.c.id == splat_id, schema.splat.c.first > at)
    connection.execute(schema.splat.update().where(later).values(first=at))
    return splat_id


def _ids_of_names(
    connection: sa.Connection, column: sa.Column[str], names: Iterable[str]
) -> dict[str, int]:
    """Return the ids of (shortened) names, inserting new names; empty names have no id."""
    wanted = sorted({short(name) for name in names if name})
    known = _known_names(connection, column, wanted)
    new = [name for name in wanted if name not in known]
    _insert_all(connection, column.table, [{column.name: name} for name in new])
    return known | _known_names(connection, column, new)


def _known_names(
    connection: sa.Connection, column: sa.Column[str], names: list[str]
) -> dict[str, int]:
    ids: dict[str, int] = {}
    for chunk in chunks(names):
        query = sa.select(column, column.table.c.id).where(column.in_(chunk))
        ids.update((row[0], row[1]) for row in connection.execute(query))
    return ids


def _id_of(
    connection: sa.Connection,
    table: sa.Table,
    key: Mapping[str, Any],
    rest: Mapping[str, Any],
    *,
    update: bool = False,
) -> int:
    """Return the id of the row with this key, inserted if necessary; ``update``: set ``rest``."""
    known = _find(connection, table, key)
    if known is None:
        return _insert(connection, table, {**key, **rest})
    if update:
        connection.execute(table.update().where(table.c.id == known).values(**rest))
    return known


def _find(connection: sa.Connection, table: sa.Table, key: Mapping[str, Any]) -> int | None:
    same = sa.and_(*(table.c[name] == value for name, value in key.items()))
    return connection.execute(sa.select(table.c.id).where(same)).scalar()


def _insert(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> int:
    inserted = connection.execute(table.insert().values(**row))
    assert inserted.inserted_primary_key is not None
    return int(inserted.inserted_primary_key[0])


def _insert_all(
    connection: sa.Connection, table: sa.FromClause, rows: list[dict[str, Any]]
) -> None:
    assert isinstance(table, sa.Table)
    if rows:
        connection.execute(table.insert(), rows)
