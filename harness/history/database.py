# SPDX-License-Identifier: GPL-2.0-only
"""The database: connect, migrate to our version, import waiting records, explain errors.

Writers take turns: each locks the single row that holds the version (in SQLite: the whole
database).  So no two writers insert the same new name, and no writer runs during a migration.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from harness.errors import HarnessError, HostFault, UsageError
from harness.history import address, run_folder, run_queries, schema, waiting, write
from harness.history.histories import RunRow

HEAD = "0003"  # the newest migration; alembic is imported only for an older version
VERSIONS = sa.table("harness_version", sa.column("version_num", sa.String))
PATIENCE = 3.0  # seconds to wait for a lock or a server

_DRIVERS = {"postgresql": "postgresql+psycopg"}
_YOUNG = 5.0  # seconds; a younger run may still end as a usage error, which is not recorded
# Faults of the database.  Other errors concern one record, and the next record may succeed.
_DATABASE_FAULTS = (sa.exc.OperationalError, sa.exc.InterfaceError)


class Database:
    """One database.  ``patience``: seconds to wait for a lock or for a silent server."""

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        self.patience = patience
        try:
            self.url = sa.make_url(url)
        except (sa.exc.ArgumentError, ValueError):
            raise _not_a_url() from None
        self.url = self.url.set(drivername=_DRIVERS.get(self.url.drivername, self.url.drivername))
        self.engine = self._engine()

    @property
    def _is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def _is_postgresql(self) -> bool:
        return self.url.get_backend_name() == "postgresql"

    @property
    def name(self) -> str:
        """The file, or the URL without a password."""
        if self._is_sqlite:
            return str(self.url.database)
        return self.url.render_as_string(hide_password=True)

    @property
    def may_exist(self) -> bool:
        """False for a SQLite file that does not exist; a server is not queried."""
        return not self._is_sqlite or _exists(self.name)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection that sees one consistent state of an up-to-date database."""
        with self._errors_explained("read"):
            self._prepare()
            with self.engine.connect() as connection, connection.begin():
                yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield the only connection that writes; commit at the end, roll back on an exception."""
        with self._errors_explained("write to"):
            self._prepare()
            with self._write_transaction() as connection:
                connection.execute(sa.select(VERSIONS).with_for_update())
                yield connection

    def _prepare(self) -> None:
        """Create or migrate the tables if necessary."""
        if self._is_sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        with self.engine.connect() as connection:
            version = self._version(connection)
        if version != HEAD:
            self.upgrade()

    def upgrade(self, to: str = "head") -> None:
        """Migrate the tables; safe while other processes do the same."""
        from harness.history.migrations import upgrade

        with self._write_transaction() as connection:
            if self._is_postgresql:
                # Before the first version there is no row to lock.
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(4242001)"))
            if self._version(connection) != HEAD:
                upgrade(connection, to)

    def _version(self, connection: sa.Connection) -> str:
        """Return the version of the tables, empty if there are no tables.

        Raises UsageError when a newer harness wrote them.
        """
        if not sa.inspect(connection).has_table(VERSIONS.name):
            return ""
        version = connection.execute(sa.select(VERSIONS)).scalar() or ""
        if version > HEAD:
            raise UsageError(
                f"the history in {self.name} was written by a newer harness "
                f"(version {version}, this one knows {HEAD})",
                hint="update this harness, or name another database with --db",
            )
        return str(version)

    @contextlib.contextmanager
    def _write_transaction(self) -> Iterator[sa.Connection]:
        """Take the write lock first: SQLite may refuse it to a transaction that has read."""
        with self.engine.connect() as connection:
            connection = connection.execution_options(harness_writes=True)
            with connection.begin():
                yield connection

    def _engine(self) -> sa.Engine:
        arguments: dict[str, object] = {}
        creator = None
        if self._is_postgresql:
            arguments = {"connect_timeout": max(2, int(self.patience)), "client_encoding": "utf8"}
        elif self._is_sqlite:
            arguments = {"timeout": self.patience}
            creator = _read_only_creator(self.url.database, self.patience)
        own = {"creator": creator} if creator else {}
        try:
            engine = sa.create_engine(self.url, poolclass=NullPool, connect_args=arguments, **own)
        except sa.exc.ArgumentError as error:
            raise _not_a_url() from error
        except ModuleNotFoundError as error:
            raise HostFault(
                f"no driver for {self.name}: Python has no module {error.name}",
                hint=f"pip install {error.name}",
            ) from error
        if self._is_sqlite:
            _configure_sqlite(engine)
        elif self._is_postgresql:
            _configure_postgresql(engine, self.patience)
        return engine

    @contextlib.contextmanager
    def _errors_explained(self, action: str) -> Iterator[None]:
        """Turn exceptions of the database into HostFault with a hint."""
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            why = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            what = f"cannot {action} the history in {self.name}: {why}"
            raise HostFault(what, hint=_hint(why)) from error
        except OSError as error:
            what = f"cannot {action} the history in {self.name}: {error.strerror}"
            raise HostFault(what, hint="name another database with --db or HARNESS_DB") from error


def _hint(why: str) -> str:
    if "locked" in why or "lock timeout" in why:
        return "another process is writing to it: try again"
    if "not a database" in why or "malformed" in why:
        return "move that file away; a new one is created, and run folders are not affected"
    return "check that it is reachable and writable, or name another with --db or HARNESS_DB"


def _not_a_url() -> UsageError:
    return UsageError(
        "SQLAlchemy does not support the URL of the history database",
        hint="for example sqlite:///FILE or postgresql://USER@HOST/NAME",
    )


def _exists(file: str) -> bool:
    try:
        return Path(file).exists()
    except OSError:  # no file can have such a name
        return False


def _read_only_creator(
    file: str | None, patience: float
) -> Callable[[], sqlite3.Connection] | None:
    """Return a function that opens a file we may only read; None if we may also write it."""
    if not file or not _exists(file):
        return None
    if all(os.access(path, os.W_OK, effective_ids=True) for path in (file, Path(file).parent)):
        return None
    # Without a write-ahead log no process is changing the file; with a log, SQLite must read it.
    mode = "mode=ro" if Path(f"{file}-wal").exists() else "immutable=1"
    uri = f"file:{quote(file)}?{mode}"
    return lambda: sqlite3.connect(uri, uri=True, timeout=patience, check_same_thread=False)


def _configure_sqlite(engine: sa.Engine) -> None:
    """Begin transactions explicitly, and let readers proceed without waiting for writers."""

    @sa.event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        with contextlib.suppress(sqlite3.OperationalError):  # a read-only file keeps its mode
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA cache_size=-32000")  # KiB: a session touches a page for each test
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("harness_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _configure_postgresql(engine: sa.Engine, patience: float) -> None:
    """Limit the time spent waiting for locks held by other connections."""

    @sa.event.listens_for(engine, "connect")
    def connected(connection: sa.engine.interfaces.DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET lock_timeout = {int(patience * 1000)}")
        cursor.execute(f"SET statement_timeout = {int(patience * 4000)}")
        cursor.close()
        connection.commit()


@contextlib.contextmanager
def opened(db: str = "", *, must_exist: bool = True) -> Iterator[tuple[sa.Connection, str]]:
    """Yield a connection for queries, and why waiting records could not be imported, or "".

    ``db`` is as in ``address.choose``.  Raises HarnessError when the database cannot be read, and
    UsageError for a file that does not exist: its name is probably misspelt, and an empty history
    would not protect pinned runs from ``harness gc``.  ``must_exist=False`` creates it.
    """
    url = address.choose(db)
    database = Database(url)
    if must_exist and db and not database.may_exist and not waiting.ids(url):
        usual = Database(address.choose()).name
        raise UsageError(
            f"there is no history in {database.name}", hint=f"the default (without --db) is {usual}"
        )
    trouble = ""
    try:
        import_waiting(database, url)
        _import_running(database, url)
    except HarnessError as error:
        trouble = f"{error.what}: newer runs may be missing"
    except OSError as error:  # the state folder belongs to another user
        trouble = f"{error}: newer runs may be missing"
    with database.reading() as connection:
        yield connection, trouble


def import_waiting(database: Database, url: str) -> None:
    """Import records of runs that were killed or could not reach the database.

    Raises HarnessError when the database cannot be written; the remaining records keep waiting.
    """
    trouble: HarnessError | None = None
    for record, facts in waiting.unheld(url):
        taken = False
        try:
            facts = run_folder.complete(facts)
            with database.writing() as connection:
                write.write(connection, facts)
            taken = True
        except HarnessError as error:
            cause = error.__cause__
            if isinstance(cause, _DATABASE_FAULTS) or not isinstance(cause, sa.exc.StatementError):
                raise
            trouble = error
        finally:
            record.close(taken=taken)
    if trouble:
        raise trouble


def _import_running(database: Database, url: str) -> None:
    """Record this machine's running runs, unless they have already recorded themselves."""
    latest = time.time() - _YOUNG
    runs = [facts for facts in waiting.running(url) if facts.began < latest]
    if not runs:
        return
    with database.reading() as connection:
        mine = schema.run.c.uid.in_([facts.id for facts in runs])
        known = set(connection.execute(sa.select(schema.run.c.uid).where(mine)).scalars())
    new = [facts for facts in runs if facts.id not in known]
    if new:
        with database.writing() as connection:
            for facts in new:
                write.write(connection, facts)


def pin(db: str, uid: str, *, pinned: bool) -> RunRow:
    """Pin or unpin a run and return it.  Raises HarnessError."""
    mine = schema.run.c.uid == uid
    with Database(address.choose(db)).writing() as connection:
        connection.execute(schema.run.update().where(mine).values(pinned=pinned))
        return run_queries.runs(connection, mine)[0]
