# SPDX-License-Identifier: GPL-2.0-only
"""Write what is known of a run.  Whatever was known of it before is replaced."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from harness.history import tables
from harness.history.facts import (
    Ended,
    KernelFacts,
    RunFacts,
    Session,
    SideFacts,
    SplatFacts,
    TestFacts,
)
from harness.model import Outcome

_ONCE = 400  # names in one question: some databases take no more
# Halves of letters that stand for no byte (those that do are \udc80 to \udcff).
_HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def write(connection: sa.Connection, facts: RunFacts) -> None:
    """Write a run.  A run that ended is never made into one that is under way."""
    known = connection.execute(
        sa.select(tables.run.c.id, tables.run.c.ended).where(tables.run.c.uid == facts.id)
    ).first()
    if known and known.ended != Ended.RUNNING and facts.ended is Ended.RUNNING:
        return
    row = _run(connection, facts)
    if known:
        number = known.id
        connection.execute(tables.run.update().where(tables.run.c.id == number).values(row))
        connection.execute(tables.side.delete().where(tables.side.c.run_id == number))
    else:
        number = _insert(connection, tables.run, row)
    for side in facts.sides:
        _side(connection, number, side)


def clean(text: str) -> str:
    """Give text that every database takes: no NUL, no half of a letter."""
    whole = _HALVES.sub("\ufffd", text.replace("\0", ""))
    return whole.encode(errors="surrogateescape").decode(errors="replace")


def short(name: str) -> str:
    """Cut a name to what every database can index; what is cut ends with a word of its own."""
    name = clean(name)
    if len(name) <= tables.LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name[: tables.LONGEST - 16]}... {digest}"


def _run(connection: sa.Connection, facts: RunFacts) -> dict[str, Any]:
    home = dataclasses.asdict(facts.host)
    del home["home"]
    host = _number(connection, tables.host, {"home": facts.host.home}, home, fresh=True)
    series = source = None
    if facts.series:
        names = dataclasses.asdict(facts.series)
        unique = {key: short(str(names[key])) for key in ("digest", "lineage")}
        rest = {key: clean(names[key]) for key in ("name", "title", "link")}
        where = {**unique, "version": facts.series.version}
        series = _number(connection, tables.series, where, rest, fresh=True)
    if facts.source:
        where = {"commit": facts.source.commit, "name": short(facts.source.name)}
        source = _number(connection, tables.source, where, {"origin": clean(facts.source.origin)})
    return {
        "uid": facts.id,
        "verb": facts.verb,
        "host_id": host,
        "series_id": series,
        "source_id": source,
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


def _side(connection: sa.Connection, run: int, side: SideFacts) -> None:
    kernel = _kernel(connection, side.kernel)
    session = _session(connection, side.session, kernel) if side.session else None
    row = {
        "run_id": run,
        "name": short(side.name),
        "patch": side.patch,
        "kernel_id": kernel,
        "session_id": session,
        "seconds": side.seconds,
        "reused": side.reused,
        "cached": side.cached,
        "warnings": side.warnings,
        "error": clean(side.error),
    }
    connection.execute(tables.side.insert(), [row])


def _kernel(connection: sa.Connection, kernel: KernelFacts | None) -> int | None:
    if kernel is None:
        return None
    names = {key: clean(value) for key, value in dataclasses.asdict(kernel).items()}
    key = {"key": short(names.pop("key"))}
    return _number(connection, tables.kernel, key, names)


def _session(connection: sa.Connection, found: Session, kernel: int | None) -> int:
    """Write a session, unless it is known: a base's is used by many runs."""
    digest = {"digest": found.digest}
    known = _find(connection, tables.session, digest)
    if known is not None:
        return known
    counts = Counter(one.outcome.value for one in found.tests)
    about = {"kernel_id": kernel, "at": found.at, "accel": found.accel, "counts": dict(counts)}
    number = _insert(connection, tables.session, {**digest, **about})
    guests = [
        {"session_id": number, "name": clean(one.name), "ended": one.ended, "boot": one.boot}
        for one in found.guests
    ]
    _many(connection, tables.guest, guests)
    ran = [one for one in found.tests if one.outcome is not Outcome.NOTRUN]
    tests = _names(connection, tables.test.c.name, (one.id for one in ran))
    messages = _names(connection, tables.message.c.text, (one.message for one in ran))
    rows = {one.id: _result(one, number, tests, messages) for one in ran}
    _many(connection, tables.result, sorted(rows.values(), key=lambda row: row["test_id"]))
    _splats(connection, found, number, tests)
    return number


def _result(
    one: TestFacts, session: int, tests: Mapping[str, int], messages: Mapping[str, int]
) -> dict[str, Any]:
    attempts = "".join(tables.LETTERS[outcome] for outcome in one.attempts)
    return {
        "test_id": tests[short(one.id)],
        "session_id": session,
        "outcome": tables.LETTERS[one.outcome],
        "ms": round(one.seconds * 1000),
        "attempts": attempts[:100] if len(attempts) > 1 else None,
        "message_id": messages.get(short(one.message)),
    }


def _splats(
    connection: sa.Connection, found: Session, session: int, tests: Mapping[str, int]
) -> None:
    seen: Counter[tuple[str, int | None]] = Counter()
    known: dict[str, int] = {}
    pairs: list[tuple[int | None, SplatFacts]] = [(None, one) for one in found.boot_splats]
    pairs += [(tests.get(short(test.id)), one) for test in found.tests for one in test.splats]
    for test, one in pairs:
        if one.fingerprint not in known:
            known[one.fingerprint] = _splat(connection, one, found.at)
        seen[one.fingerprint, test] += 1
    rows = [
        {"splat_id": known[name], "session_id": session, "test_id": test, "times": times}
        for (name, test), times in seen.items()
    ]
    _many(connection, tables.sighting, rows)


def _splat(connection: sa.Connection, one: SplatFacts, at: float) -> int:
    about = {"title": clean(one.title), "kind": one.kind, "function": clean(one.function)}
    key = {"fingerprint": short(one.fingerprint)}
    number = _number(connection, tables.splat, key, {**about, "first": at})
    mine = sa.and_(tables.splat.c.id == number, tables.splat.c.first > at)
    connection.execute(tables.splat.update().where(mine).values(first=at))
    return number


def _names(
    connection: sa.Connection, column: sa.Column[str], names: Iterable[str]
) -> dict[str, int]:
    """Give the numbers of names, new ones for new names; the empty name has none."""
    wanted = sorted({short(name) for name in names if name})
    known = _known(connection, column, wanted)
    new = [name for name in wanted if name not in known]
    _many(connection, column.table, [{column.name: name} for name in new])
    return known | _known(connection, column, new)


def _known(connection: sa.Connection, column: sa.Column[str], names: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(names), _ONCE):
        some = column.in_(names[start : start + _ONCE])
        for name, number in connection.execute(sa.select(column, column.table.c.id).where(some)):
            found[name] = number
    return found


def _number(
    connection: sa.Connection,
    table: sa.Table,
    key: Mapping[str, Any],
    rest: Mapping[str, Any],
    *,
    fresh: bool = False,
) -> int:
    """Give the number of the row with this key, new if need be; ``fresh``: the rest changes."""
    known = _find(connection, table, key)
    if known is None:
        return _insert(connection, table, {**key, **rest})
    if fresh:
        connection.execute(table.update().where(table.c.id == known).values(**rest))
    return known


def _find(connection: sa.Connection, table: sa.Table, key: Mapping[str, Any]) -> int | None:
    found = sa.and_(*(table.c[name] == value for name, value in key.items()))
    return connection.execute(sa.select(table.c.id).where(found)).scalar()


def _insert(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> int:
    done = connection.execute(table.insert().values(**row))
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


def _many(connection: sa.Connection, table: sa.FromClause, rows: list[dict[str, Any]]) -> None:
    assert isinstance(table, sa.Table)
    if rows:
        connection.execute(table.insert(), rows)
