# SPDX-License-Identifier: GPL-2.0-only
"""The tables of the history.  A change here needs a migration and a new database.HEAD.

Each name is stored once and has a number, so a result is four or five numbers.  Results are sorted
by test, since a test's history is the most frequent query.
"""

from __future__ import annotations

import sqlalchemy as sa

from harness.model import Outcome

# Names are cut to this many characters, so that every database can index them.
LONGEST = 400

# Outcomes are stored as letters: small, and still readable.
LETTERS = {
    Outcome.PASS: "p",
    Outcome.FAIL: "f",
    Outcome.SKIP: "s",
    Outcome.XFAIL: "x",
    Outcome.XPASS: "u",
    Outcome.ERROR: "e",
    Outcome.CRASH: "c",
    Outcome.TIMEOUT: "t",
    Outcome.FLAKY: "k",
    Outcome.NOTRUN: "n",
}
OUTCOMES = {letter: outcome for outcome, letter in LETTERS.items()}
BAD = tuple(letter for letter, outcome in OUTCOMES.items() if outcome.bad)

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def _reference(table: str, *, null: bool = False, index: bool = False) -> sa.Column[int]:
    key = sa.ForeignKey(f"{table}.id")
    return sa.Column(f"{table}_id", sa.Integer, key, nullable=null, index=index)


def _name(name: str, *, unique: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(LONGEST), nullable=False, unique=unique)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, default="")


host = sa.Table(
    "host",
    metadata,
    _id(),
    _name("home", unique=True),
    _text("name"),
    _text("system"),
    sa.Column("cpus", sa.Integer, nullable=False),
    sa.Column("memory", sa.Integer, nullable=False),  # MiB
)

series = sa.Table(
    "series",
    metadata,
    _id(),
    sa.Column("lineage", sa.String(LONGEST), nullable=False, index=True),
    _text("name"),
    _text("title"),
    sa.Column("version", sa.Integer, nullable=False),
    _name("digest"),
    _text("link"),
    sa.UniqueConstraint("digest", "version", "lineage"),
)

source = sa.Table(
    "source",
    metadata,
    _id(),
    _name("commit"),
    _name("name"),
    _text("origin"),
    sa.UniqueConstraint("commit", "name"),
)

run = sa.Table(
    "run",
    metadata,
    _id(),
    _name("uid", unique=True),
    _name("verb"),
    _reference("host"),
    _reference("series", null=True, index=True),
    _reference("source", null=True),
    sa.Column("began", sa.Double, nullable=False, index=True),  # seconds since the epoch
    sa.Column("seconds", sa.Double),
    _name("ended"),
    _name("verdict"),
    sa.Column("code", sa.Integer),
    _text("error"),
    _text("folder"),
    _text("command"),
    _text("accel"),
    _text("harness"),
    sa.Column("pinned", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
)

kernel = sa.Table(
    "kernel",
    metadata,
    _id(),
    _name("key", unique=True),
    _text("release"),
    _text("commit"),
    _text("arch"),
    _text("config"),
    _text("toolchain"),
)

# One test session of a kernel.  Many runs may share the session of their base.
session = sa.Table(
    "session",
    metadata,
    _id(),
    _name("digest", unique=True),
    _reference("kernel", null=True, index=True),
    sa.Column("at", sa.Double, nullable=False),
    _text("accel"),
    sa.Column("counts", sa.JSON, nullable=False),  # {outcome: number of tests}
)

side = sa.Table(
    "side",
    metadata,
    _id(),
    _reference("run", index=True),
    _name("name"),
    sa.Column("patch", sa.Integer, nullable=False),
    _reference("kernel", null=True),
    _reference("session", null=True, index=True),
    sa.Column("seconds", sa.Double, nullable=False),  # duration of the build
    sa.Column("reused", sa.Boolean, nullable=False),
    sa.Column("cached", sa.Boolean, nullable=False),
    sa.Column("warnings", sa.Integer, nullable=False),
    _text("error"),
)

guest = sa.Table(
    "guest",
    metadata,
    _id(),
    _reference("session", index=True),
    _text("name"),
    _text("ended"),
    sa.Column("boot", sa.Double),  # seconds; NULL: it did not boot
)

test = sa.Table("test", metadata, _id(), _name("name", unique=True))
message = sa.Table("message", metadata, _id(), _name("text", unique=True))

result = sa.Table(
    "result",
    metadata,
    sa.Column("test_id", sa.Integer, sa.ForeignKey("test.id"), primary_key=True),
    sa.Column("session_id", sa.Integer, sa.ForeignKey("session.id"), primary_key=True),
    sa.Column("outcome", sa.String(1), nullable=False),
    sa.Column("ms", sa.Integer, nullable=False),
    sa.Column("attempts", sa.String(100)),  # letters; NULL: a single attempt
    _reference("message", null=True),
    sqlite_with_rowid=False,
)
_bad = result.c.outcome.in_([sa.literal(letter, literal_execute=True) for letter in BAD])
sa.Index("ix_result_bad", result.c.session_id, sqlite_where=_bad, postgresql_where=_bad)

splat = sa.Table(
    "splat",
    metadata,
    _id(),
    _name("fingerprint", unique=True),
    _text("title"),
    _text("kind"),
    _text("function"),
    sa.Column("first", sa.Double, nullable=False),  # seconds since the epoch
)

# Where a splat was seen; test_id is NULL during boot.
sighting = sa.Table(
    "sighting",
    metadata,
    _id(),
    _reference("splat", index=True),
    _reference("session", index=True),
    _reference("test", null=True),
    sa.Column("times", sa.Integer, nullable=False),
)
