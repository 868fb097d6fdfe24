# SPDX-License-Identifier: GPL-2.0-only
"""Migrations of the tables: one file per version, run in order by alembic."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

TABLE = "harness_version"


def config(connection: sa.Connection | None = None) -> Config:
    """Return alembic's configuration; env.py takes the connection from it."""
    alembic_config = Config()
    alembic_config.set_main_option("script_location", "harness.history:migrations")
    alembic_config.attributes["connection"] = connection
    return alembic_config


def upgrade(connection: sa.Connection, to: str = "head") -> None:
    """Run the missing migrations in the transaction begun by ``connection``."""
    command.upgrade(config(connection), to)
