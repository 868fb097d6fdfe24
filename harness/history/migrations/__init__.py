# SPDX-License-Identifier: GPL-2.0-only
"""How the tables came to be: one file for each version, run by alembic in their order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

TABLE = "harness_version"


def config(connection: sa.Connection | None = None) -> Config:
    """Give alembic's configuration; env.py finds the connection in it."""
    made = Config()
    made.set_main_option("script_location", "harness.history:migrations")
    made.attributes["connection"] = connection
    return made


def upgrade(connection: sa.Connection, to: str = "head") -> None:
    """Run the migrations that lack, in the transaction that ``connection`` has begun."""
    command.upgrade(config(connection), to)
