# SPDX-License-Identifier: GPL-2.0-only
"""Take what waits into the database."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator

import sqlalchemy as sa

from harness.errors import HarnessError, UsageError
from harness.history import address, gather, runs, tables, waiting, write
from harness.history.database import Database
from harness.history.facts import Ended, RunFacts, SideFacts
from harness.history.values import RunRow
from harness.model import Outcome

_YOUNG = 5.0  # seconds in which a run may find that it was asked for nonsense, and be none
# Faults of the database; others are of one record, and the next one may do.
_ITS_FAULT = (sa.exc.OperationalError, sa.exc.InterfaceError)


def take(database: Database, url: str) -> None:
    """Take every record whose run is over, and whose owner did not: it was killed, or had no luck.

    Raises HarnessError when the database cannot be written; what it has not, still waits.
    """
    trouble: HarnessError | None = None
    for record, facts in waiting.ours(url):
        done = False
        try:
            found = complete(facts)
            with database.writing() as connection:
                write.write(connection, found)
            done = True
        except HarnessError as error:
            cause = error.__cause__
            if isinstance(cause, _ITS_FAULT) or not isinstance(cause, sa.exc.StatementError):
                raise
            trouble = error
        finally:
            record.close(taken=done)
    if trouble:
        raise trouble


def complete(facts: RunFacts) -> RunFacts:
    """Add what the run's folder holds; of a killed run that is all there is to know."""
    try:
        sides = gather.of_folder(facts.folder) if facts.folder else ()
    except Exception as error:  # whatever lies there: the rest is known, and others wait behind it
        sides, facts = (), dataclasses.replace(facts, error=facts.error or f"folder: {error!r}")
    found = dataclasses.replace(facts, sides=sides)
    if facts.ended is Ended.KILLED and facts.seconds is None:
        last = max((one.session.at for one in sides if one.session), default=None)
        found = dataclasses.replace(found, seconds=max(0.0, last - facts.began) if last else None)
    return whole(found)


def whole(facts: RunFacts) -> RunFacts:
    """Leave out what is no result: a test that was under way when its run was stopped."""
    if facts.ended in (Ended.DONE, Ended.RUNNING):
        return facts
    return dataclasses.replace(facts, sides=tuple(map(_without_open, facts.sides)))


def _without_open(side: SideFacts) -> SideFacts:
    if side.session is None or side.cached:
        return side
    tests = tuple(
        dataclasses.replace(one, outcome=Outcome.NOTRUN)
        if one.outcome is Outcome.CRASH and not one.message
        else one
        for one in side.session.tests
    )
    return dataclasses.replace(side, session=dataclasses.replace(side.session, tests=tests))


def _begun(database: Database, url: str) -> None:
    """Write which runs of this machine are under way, if they have not done so themselves."""
    young = time.time() - _YOUNG
    begun = [one for one in waiting.running(url) if one.began < young]
    if not begun:
        return
    with database.reading() as connection:
        mine = tables.run.c.uid.in_([one.id for one in begun])
        known = set(connection.execute(sa.select(tables.run.c.uid).where(mine)).scalars())
    new = [one for one in begun if one.id not in known]
    if new:
        with database.writing() as connection:
            for one in new:
                write.write(connection, one)


def existing(asked: str) -> str:
    """Give the URL of the history to look at, as address.choose does.

    Raises UsageError for a file that nobody has written, nor is to: the name is misspelt, and a new
    and empty history would answer everything, and keep no pinned run from gc.
    """
    url = address.choose(asked)
    if asked and not Database(url).there and not waiting.some(url):
        usual = Database(address.choose()).words
        raise UsageError(
            f"there is no history in {Database(url).words}", hint=f"without --db it is {usual}"
        )
    return url


@contextlib.contextmanager
def opened(url: str) -> Iterator[tuple[sa.Connection, str]]:
    """Open the history to look at it: (a connection, what could not be taken in and why).

    Raises HarnessError when it cannot be read.
    """
    database = Database(url)
    trouble = ""
    try:
        take(database, url)
        _begun(database, url)
    except HarnessError as error:
        trouble = f"{error.what}: newer runs may be missing"
    except OSError as error:  # the state is somebody else's
        trouble = f"{error}: newer runs may be missing"
    with database.reading() as connection:
        yield connection, trouble


def pin(url: str, uid: str, *, pinned: bool) -> RunRow:
    """Pin a run, or let it go; gives it as it is now.  Raises HarnessError."""
    mine = tables.run.c.uid == uid
    with Database(url).writing() as connection:
        connection.execute(tables.run.update().where(mine).values(pinned=pinned))
        return runs.runs(connection, mine)[0]
