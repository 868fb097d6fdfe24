# SPDX-License-Identifier: GPL-2.0-only
"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

LONGEST = 400
BAD = "outcome IN ('f', 'u', 'e', 'c', 't', 'k', 'n')"


def _number() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def _to(table: str, *, null: bool = False, index: bool = False) -> sa.Column[int]:
    key = sa.ForeignKey(f"{table}.id")
    return sa.Column(f"{table}_id", sa.Integer, key, nullable=null, index=index)


def _name(name: str, *, unique: bool = False, index: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(LONGEST), nullable=False, unique=unique, index=index)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _amount(name: str, *, null: bool = False, index: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=null, index=index)


def _count(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=null)


def upgrade() -> None:
    """Create all tables."""
    _create_inputs()
    _create_runs()
    _create_results()


def _create_inputs() -> None:
    op.create_table(
        "host",
        *(_number(), _name("home", unique=True), _text("name"), _text("system")),
        *(_count("cpus"), _count("memory")),
    )
    op.create_table(
        "series",
        *(_number(), _name("lineage", index=True), _text("name"), _text("title")),
        *(_count("version"), _name("digest"), _text("link")),
        sa.UniqueConstraint("digest", "version", "lineage"),
    )
    op.create_table(
        "source",
        *(_number(), _name("commit"), _name("name"), _text("origin")),
        sa.UniqueConstraint("commit", "name"),
    )
    op.create_table(
        "run",
        *(_number(), _name("uid", unique=True), _name("verb"), _to("host")),
        *(_to("series", null=True, index=True), _to("source", null=True)),
        *(_amount("began", index=True), _amount("seconds", null=True)),
        *(_name("ended"), _name("verdict"), _count("code", null=True), _text("error")),
        *(_text("folder"), _text("command"), _text("accel"), _text("harness")),
    )


def _create_runs() -> None:
    op.create_table(
        "kernel",
        *(_number(), _name("key", unique=True), _text("release"), _text("commit")),
        *(_text("arch"), _text("config"), _text("toolchain")),
    )
    op.create_table(
        "session",
        *(_number(), _name("digest", unique=True), _to("kernel", null=True, index=True)),
        *(_amount("at"), _text("accel"), sa.Column("counts", sa.JSON, nullable=False)),
    )
    op.create_table(
        "side",
        *(_number(), _to("run", index=True), _name("name"), _count("patch")),
        *(_to("kernel", null=True), _to("session", null=True, index=True), _amount("seconds")),
        sa.Column("reused", sa.Boolean, nullable=False),
        sa.Column("cached", sa.Boolean, nullable=False),
        *(_count("warnings"), _text("error")),
    )
    op.create_table(
        "guest",
        *(_number(), _to("session", index=True), _text("name"), _text("ended")),
        _amount("boot", null=True),
    )


def _create_results() -> None:
    op.create_table("test", _number(), _name("name", unique=True))
    op.create_table("message", _number(), _name("text", unique=True))
    op.create_table(
        "result",
        sa.Column("test_id", sa.Integer, sa.ForeignKey("test.id"), primary_key=True),
        sa.Column("session_id", sa.Integer, sa.ForeignKey("session.id"), primary_key=True),
        sa.Column("outcome", sa.String(1), nullable=False),
        *(_count("ms"), sa.Column("attempts", sa.String(100)), _to("message", null=True)),
        sqlite_with_rowid=False,
    )
    where = sa.text(BAD)
    columns = ["session_id"]
    op.create_index("ix_result_bad", "result", columns, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "splat",
        *(_number(), _name("fingerprint", unique=True), _text("title"), _text("kind")),
        *(_text("function"), _amount("first")),
    )
    op.create_table(
        "sighting",
        *(_number(), _to("splat", index=True), _to("session", index=True)),
        *(_to("test", null=True), _count("times")),
    )
