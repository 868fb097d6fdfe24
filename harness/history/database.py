# SPDX-License-Identifier: GPL-2.0-only
"""The database: opened, brought to our version, and its faults told in words.

Writers take turns: each locks the one row that holds the version (in SQLite: the whole database).
So two can never meet over a new name, nor write while the tables are changed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from harness.errors import HostFault, UsageError

HEAD = "0003"  # the newest migration; alembic is not even imported where this is the version
VERSIONS = sa.table("harness_version", sa.column("version_num", sa.String))
PATIENCE = 3.0  # seconds to wait for a lock or a server

_DRIVERS = {"postgresql": "postgresql+psycopg"}


class Database:
    """One database.  ``patience``: seconds that another's lock or a silent server is waited for."""

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        self.patience = patience
        self.url = _parse(url)
        self.engine = self._engine()

    @property
    def words(self) -> str:
        """Name it for people: no password."""
        if self.url.get_backend_name() == "sqlite":
            return str(self.url.database)
        return self.url.render_as_string(hide_password=True)

    @property
    def there(self) -> bool:
        """Whether there may be one: only of a file we know without asking it."""
        return self.url.get_backend_name() != "sqlite" or _is_there(self.words)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection that sees one state of a database of our version."""
        with self._said("read"):
            self._ready()
            with self.engine.connect() as connection, connection.begin():
                yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give a connection that alone writes; all of it is kept, or nothing."""
        with self._said("write to"):
            self._ready()
            with self._alone() as connection:
                connection.execute(sa.select(VERSIONS).with_for_update())
                yield connection

    def _ready(self) -> None:
        """See that the tables are of our version."""
        if self.url.get_backend_name() == "sqlite" and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        with self.engine.connect() as connection:
            version = self._version(connection)
        if version != HEAD:
            self.upgrade()

    def upgrade(self, to: str = "head") -> None:
        """Bring the tables to our version, whoever else tries the same now."""
        from harness.history.migrations import upgrade

        with self._alone() as connection:
            if self.url.get_backend_name() == "postgresql":
                # Before the first version there is no row to lock.
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(4242001)"))
            if self._version(connection) != HEAD:
                upgrade(connection, to)

    def _version(self, connection: sa.Connection) -> str:
        """Give the version of the tables, empty where there are none.

        Raises UsageError when it is of a harness newer than this one.
        """
        if not sa.inspect(connection).has_table(VERSIONS.name):
            return ""
        found = connection.execute(sa.select(VERSIONS)).scalar() or ""
        if found > HEAD:
            raise UsageError(
                f"the history in {self.words} is a newer harness's (form {found}, ours {HEAD})",
                hint="update this harness, or name another database with --db",
            )
        return str(found)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[sa.Connection]:
        """Begin by writing: a SQLite transaction that first reads may not get to write later."""
        with self.engine.connect() as connection:
            connection = connection.execution_options(harness_writes=True)
            with connection.begin():
                yield connection

    def _engine(self) -> sa.Engine:
        words: dict[str, object] = {}
        if self.url.get_backend_name() == "postgresql":
            words = {"connect_timeout": max(2, int(self.patience)), "client_encoding": "utf8"}
        elif self.url.get_backend_name() == "sqlite":
            words = {"timeout": self.patience}
            return self._made(words, _only_read(self.url.database, self.patience))
        return self._made(words, None)

    def _made(self, words: dict[str, object], creator: Callable[[], Any] | None) -> sa.Engine:
        own = {"creator": creator} if creator else {}
        try:
            engine = sa.create_engine(self.url, poolclass=NullPool, connect_args=words, **own)
        except sa.exc.ArgumentError as error:
            raise _no_url() from error
        except ModuleNotFoundError as error:
            raise HostFault(
                f"no driver for {self.words}: Python has no module {error.name}",
                hint=f"pip install {error.name}",
            ) from error
        if engine.dialect.name == "sqlite":
            _sqlite(engine)
        elif engine.dialect.name == "postgresql":
            _postgresql(engine, self.patience)
        return engine

    @contextlib.contextmanager
    def _said(self, doing: str) -> Iterator[None]:
        """Turn what databases raise into words with a hint."""
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            why = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            what = f"cannot {doing} the history in {self.words}: {why}"
            raise HostFault(what, hint=_hint(why)) from error
        except OSError as error:
            what = f"cannot {doing} the history in {self.words}: {error.strerror}"
            raise HostFault(what, hint="name another database with --db or HARNESS_DB") from error


def _hint(why: str) -> str:
    if "locked" in why or "lock timeout" in why:
        return "somebody else is writing to it: try again"
    if "not a database" in why or "malformed" in why:
        return "move that file away: a new one is begun, and runs still in their folders stay there"
    return "see that it can be reached and written, or name another with --db or HARNESS_DB"


def _no_url() -> UsageError:
    return UsageError(
        "the history's database is no URL that SQLAlchemy knows",
        hint="such as sqlite:///FILE or postgresql://USER@HOST/NAME",
    )


def _parse(url: str) -> sa.URL:
    try:
        found = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise _no_url() from None
    return found.set(drivername=_DRIVERS.get(found.drivername, found.drivername))


def _is_there(file: str) -> bool:
    """Whether there is such a file; a name that no file can have is none's."""
    try:
        return Path(file).exists()
    except OSError:
        return False


def _only_read(file: str | None, patience: float) -> Callable[[], sqlite3.Connection] | None:
    """Give what opens a file that we may read but not write; None where we may."""
    if not file or not _is_there(file):
        return None
    if all(os.access(one, os.W_OK, effective_ids=True) for one in (file, Path(file).parent)):
        return None
    # Without a writer's log nobody changes it; with one, SQLite must be able to follow.
    way = "mode=ro" if Path(f"{file}-wal").exists() else "immutable=1"
    uri = f"file:{quote(file)}?{way}"
    return lambda: sqlite3.connect(uri, uri=True, timeout=patience, check_same_thread=False)


def _sqlite(engine: sa.Engine) -> None:
    """Have transactions begin when we say, and readers not wait for writers."""

    @sa.event.listens_for(engine, "connect")
    def connected(connection: object, _: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]
        cursor = connection.cursor()  # type: ignore[attr-defined]
        with contextlib.suppress(sqlite3.OperationalError):
            cursor.execute("PRAGMA journal_mode=WAL")  # it stays as it is where we may not
            cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA cache_size=-32000")  # KiB: a session touches a page for each test
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("harness_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(engine: sa.Engine, patience: float) -> None:
    """Wait for others' locks no longer than we may."""

    @sa.event.listens_for(engine, "connect")
    def connected(connection: object, _: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute(f"SET lock_timeout = {int(patience * 1000)}")
        cursor.execute(f"SET statement_timeout = {int(patience * 4000)}")
        cursor.close()
        connection.commit()  # type: ignore[attr-defined]
